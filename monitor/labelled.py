"""How well a model did in each window, once its labels are in. Evaluate thread only; no effects.

A window is measured when every partition of the labels is past its end by as long as labels are waited for, or idle,
and after it was judged: what is measured is a function of the records, whenever that happens to be. It looks like a
verdict that has figures for scores and limits for rules, so that incidents, alerts and requests for retraining follow
from it as from any other; the judge's own incidents are none of its business.

Windows are measured in the order of their ends, and what no coming one holds is forgotten before the next: an id that was
predicted again counts in each of these. What comes for forgotten predictions, from a partition that was idle, makes this
begin anew with all sketches that are kept: windows that were measured and look otherwise now are revised.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from monitor import metrics
from monitor.incident.model import Incident
from monitor.incident.text import rfc3339
from monitor.incident.track import Transition, track
from monitor.judge.limits import rules_that_hold
from monitor.judge.record import from_json, to_json
from monitor.labels import brief
from monitor.labels.concept import ERRORS, Change, Concept, held, recorded, told
from monitor.labels.counted import Counted
from monitor.labels.delays import Delays
from monitor.labels.outcomes import Outcomes
from monitor.labels.provisional import Provisional, newest_label, provisional
from monitor.labels.runs import dated, kept, run, spanned
from monitor.labels.sampled import Parts, stands_for
from monitor.labels.shares import Shares, cell_of, measure
from monitor.labels.steps import delays_of, edges_of, finest, outcomes_of
from monitor.labels.versions import BY_VERSION, by_version
from monitor.names import CHAMPION
from monitor.plan import JoinPlan, ModelPlan, WindowSpec
from monitor.segments import WHOLE
from monitor.sketch import Sketch
from monitor.state.log import Entry, Ledger
from monitor.verdict import State, Unknown, Verdict
from monitor.window.completeness import Patience, assess
from monitor.window.grid import next_end, start_of
from monitor.window.heard import Heard
from monitor.window.next import EMPTY_RUN

log = structlog.get_logger(__name__)

HISTORY = 200
"""Windows remembered per window name."""
SHOWN = 24
"""Windows of a name that wait for labels and are looked at meanwhile: each costs 20 ms at most."""
LOOK = 60_000
"""Wall time, ms, between such looks."""
ANEW_EVERY = 60_000
"""Milliseconds of wall time between two beginnings: all sketches of a model are read for each."""
KIND, CURSOR = "performance", "measured"
"""Of the ledger's entries: a window's figures; how far the windows of a name were measured."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one window and what follows from them, to be made durable together."""

    verdict: Verdict
    transitions: tuple[Transition, ...]
    cursor: Entry
    kind: str = KIND
    """Of its entry in the ledger."""


class Labelled:
    """The labels of one model."""

    def __init__(self, plan: ModelPlan, *, patience: Patience) -> None:
        assert plan.join is not None
        self.plan = plan
        self.history: dict[str, deque[Verdict]] = {}
        """By window name, oldest first."""
        self._wait = plan.join.wait
        self._patience = patience
        self._join: JoinPlan = plan.join
        self._variants = {plan.champion, CHAMPION}
        self._cursor: dict[str, int] = {}
        self._next_anew = -1
        self.outcomes = _outcomes(plan)
        self._oldest = -1
        self._passed_over = self._wanted = False
        """Labels were not taken; and there are predictions for them now."""
        self._at: dict[str, int] = {}
        """How far windows were looked at, by name."""
        self.provisional: dict[str, tuple[Provisional, ...]] = {}
        """Windows that wait for labels, as far as those tell, by window name, oldest first."""
        self.delays: Delays | None = None
        self._concept = Concept()
        self._looked = -LOOK
        self._final = -1
        """The event time before which there is no coming prediction; -1: not known yet."""

    def restore(self, ledger: Ledger) -> None:
        """Continue from what the ledger says was measured."""
        self._cursor = {name: int(body["end"]) for name, body in ledger.of(CURSOR).items()}
        self.history.clear()
        known = {spec.name for spec in self.plan.windows}
        for _, body in sorted(ledger.of(KIND).items()):
            if body["window"] in known:
                self._remember(from_json(body))
        self._at = self._known()

    def observe(self, sketches: Sequence[Sketch]) -> None:
        """Take sketches of predictions and labels.

        Before there is any prediction labels are left where they are: a model that is not used has those of years.
        """
        own = [sketch for sketch in sketches if sketch.joinable]
        own.sort(key=lambda sketch: sketch.key.config != self.plan.config)
        for sketch in own:
            pane = sketch.key.pane
            if sketch.key.config == self.plan.config:
                self._oldest = pane if self._oldest < 0 else min(self._oldest, pane)
                self._wanted |= self._passed_over
            elif self._oldest < 0:
                self._passed_over = True
                continue
            self.outcomes.observe(sketch)
            self.outcomes.relieve(passed=self._final)

    def begin_anew(self, now: int) -> bool:
        """Whether all sketches must be handed out once more; then this has forgotten what it knew of them."""
        if not (self._wanted or (self.outcomes.missed and now >= self._next_anew)):
            return False
        self._next_anew = now + ANEW_EVERY
        self.outcomes, self._oldest = _outcomes(self.plan), -1
        self._passed_over = self._wanted = False
        self._at = self._known()
        return True

    def _known(self) -> dict[str, int]:
        """By window name, where to begin: with the windows that are remembered."""
        return {
            name: self.history[name][0].end - 1 if self.history.get(name) else end
            for name, end in self._cursor.items()
        }

    def due(
        self,
        incidents: Callable[[], Mapping[str, Incident]],
        *,
        judged: Mapping[str, int],
        heard: Heard,
        now: int,
        passed: int = -1,
        said: Callable[[str, int], Verdict | None] = lambda _name, _end: None,
    ) -> Iterator[Measured]:
        """Measure every window whose labels are in, and those again that look otherwise than when they were, in the order of
        their ends; `judged`: how far windows are, by name.

        `heard` is of the partitions of the labels, `passed` what those of the predictions are all past; `said` is the verdict
        on a window of this name and end, before there were labels: what was estimated, and where its records are. The caller
        makes each result durable before it asks for the next one; `incidents` gives them as they stand then.
        """
        while not self._wanted and (found := self._first()) is not None:
            spec, end = found
            if end > judged.get(spec.name, -1):
                break
            if not assess(end + self._wait, heard=heard, now=now, patience=self._patience).complete:
                break
            if end > self.outcomes.whole:
                self.outcomes.missed = True  # its labels were put off
                break
            if end > self._cursor.get(spec.name, -1):
                yield self._measured(spec, end, incidents(), said(spec.name, end))
                self._looked = -LOOK
            elif revised := self._revised(spec, end, incidents):
                yield revised
            self._at[spec.name] = end
            self._leave()
        self._final = max(passed - self.plan.lateness, *judged.values(), -1)
        self.outcomes.sweep(passed=self._final)
        self.outcomes.relieve(passed=self._final)
        if abs(now - self._looked) >= LOOK:
            self._looked = now
            self._shown(judged, heard)

    def entries(self, measured: Measured) -> list[Entry]:
        """What must be durable before a result is accepted, beside what follows for incidents."""
        verdict = measured.verdict
        if verdict.revision:
            return [Entry(KIND, _identity(verdict), to_json(verdict))]
        history = self.history.get(verdict.window, deque())
        outdated = [Entry(KIND, _identity(history[0]), None)] if len(history) == HISTORY else []
        return [Entry(KIND, _identity(verdict), to_json(verdict)), *outdated, measured.cursor]

    def accept(self, measured: Measured) -> None:
        """Take note of a result that is durable now."""
        verdict = measured.verdict
        if verdict.revision:
            history = self.history[verdict.window]
            renewed = [verdict if one.end == verdict.end else one for one in history]
            self.history[verdict.window] = deque(renewed, maxlen=HISTORY)
            self._concept = Concept()
            return
        self._cursor[verdict.window] = verdict.end
        self._remember(verdict)

    def _first(self) -> tuple[WindowSpec, int] | None:
        """The window that ends first of those to be looked at next; None before there is any prediction."""
        ends = [(spec, self._next(spec)) for spec in self.plan.windows]
        found = [(spec, end) for spec, end in ends if end is not None]
        return min(found, key=lambda one: one[1]) if len(found) == len(ends) else None

    def _next(self, spec: WindowSpec) -> int | None:
        if spec.name in self._at:
            end = next_end(spec, self._at[spec.name])
            if end <= self._cursor.get(spec.name, -1):
                return end
            ahead = self.outcomes.oldest_from(start_of(spec, end))
            jump = next_end(spec, ahead) if ahead is not None else end
            return jump if jump - end > EMPTY_RUN * spec.step else end
        if self._oldest < 0:
            return None
        end = next_end(spec, self._oldest)
        while start_of(spec, end) + spec.step <= self._oldest:
            end = next_end(spec, end)  # a sliding window is measured when it can be full
        return end

    def _revised(
        self, spec: WindowSpec, end: int, incidents: Callable[[], Mapping[str, Incident]]
    ) -> Measured | None:
        """A window that was measured, where the whole looks otherwise now, or a version that has figures of its own. It has
        lost nothing: less is what sketches that are gone leave."""
        before = next((one for one in self.history.get(spec.name, ()) if one.end == end), None)
        if before is None:
            return None
        old, new = before.scores.get(WHOLE, {}), self._shares(spec, end, WHOLE)
        has_lost = new.predictions < before.rows or new.labelled < old.get("labels", 0)
        is_same = new.predictions == before.rows and new.scores == old
        if is_same and BY_VERSION in before.outcomes:
            now = by_version(self._versions(spec, end), self.plan)
            is_same = now.get(BY_VERSION) == before.outcomes[BY_VERSION]
        if has_lost or is_same:
            return None
        return self._measured(spec, end, incidents(), before, old=before)

    def _shares(self, spec: WindowSpec, end: int, segment: str) -> Shares:
        return measure(self.outcomes.parts(start_of(spec, end), end, self._variants, segment), self.plan)

    def _versions(self, spec: WindowSpec, end: int) -> Mapping[str, Parts]:
        return self.outcomes.by_version(start_of(spec, end), end, self._variants)

    def _measured(
        self,
        spec: WindowSpec,
        end: int,
        incidents: Mapping[str, Incident],
        said: Verdict | None,
        *,
        old: Verdict | None = None,
    ) -> Measured:
        """`old`: what is revised. Detectors went by that, and begin anew with the next window."""
        plan, before = self.plan, [one for one in self.history.get(spec.name, ()) if one.end < end]
        verdict = self._verdict(spec, end, before)
        if said is not None:
            verdict = replace(verdict, estimate=said.estimate, offsets=said.offsets)
        changes = {}
        if old is not None:
            verdict, changes = replace(verdict, revision=old.revision + 1), recorded(old)
        elif ERRORS in verdict.outcomes:
            changes = self._concept.changes(verdict, before, plan=plan, spec=spec)
        if changes:
            verdict = _changed(verdict, changes, [*before, verdict], plan)
        limits = plan.measured if ERRORS in verdict.outcomes else plan.harm
        verdict = dated(verdict, spanned(plan.harm, spec), before)
        own = {rule.name for rule in limits}
        transitions = track(
            {rule: incident for rule, incident in incidents.items() if rule in own},
            verdict,
            replace(plan, raw_rules=limits, harm=()),
        )
        return Measured(verdict, transitions, Entry(CURSOR, spec.name, {"end": end}))

    def _verdict(self, spec: WindowSpec, end: int, before: Sequence[Verdict]) -> Verdict:
        """The figures of a window; `before`: those of the windows before it, oldest first."""
        plan, start, versions = self.plan, start_of(spec, end), self._versions(spec, end)
        found = {segment: self._shares(spec, end, segment) for segment in (WHOLE, *self.outcomes.segments())}
        whole = found[WHOLE]
        scores = {segment: one.scores for segment, one in found.items() if one.predictions}
        early = self.outcomes.brief(start, end) if whole.labelled < whole.predictions else 0
        reason = None
        if not whole.predictions:
            reason = Unknown.NO_DATA
        elif whole.labelled < plan.min_records:
            reason = Unknown.NOT_ENOUGH_DATA
        limits = spanned(plan.harm, spec)
        runs = {rule.name: run(rule, scores, before) for rule in limits if not rule.of}
        return Verdict(
            model=plan.name, window=spec.name, start=start, end=end, revision=0,
            state=State.UNKNOWN if reason is not None else State.OK, reason=reason, detail=whole.detail + brief.told(early),
            rows=whole.predictions, coverage=1.0, p=1.0, statistic=0.0, alpha=0.0, proven=False, reference="",
            reference_windows=0, windows_needed=0, scores=scores,
            rules=() if reason is not None else rules_that_hold(limits, scores, before=before, runs=runs),
            versions={version: stands_for(parts) for version, parts in versions.items()},
            outcomes=self._step(spec, end) | kept(limits, runs) | by_version(versions, plan)
            | ({brief.NOT_HELD: early} if early else {}),
        )  # fmt: skip

    def _step(self, spec: WindowSpec, end: int) -> dict[str, Any]:
        """What is kept of the last step of a window, where no other window has it."""
        if spec != finest(self.plan):
            return {}
        join, start, variants = self._join, end - spec.step, self._variants
        cell = cell_of(self.outcomes.sums(start, end, variants), join)
        labels, delays = self.outcomes.delays(start, end, variants)
        return outcomes_of(labels, delays, cell, join=join, span=self.outcomes.span)

    def _shown(self, judged: Mapping[str, int], heard: Heard) -> None:
        try:
            self._look(judged, heard)
        except Exception:
            # boundary: nothing is judged by what is shown meanwhile
            metrics.INTERNAL_ERRORS_TOTAL.labels("show").inc()
            log.exception("look_raised", model=self.plan.name)

    def _look(self, judged: Mapping[str, int], heard: Heard) -> None:
        """Look at windows that were judged and wait for labels."""
        variants, until = self._variants, newest_label(heard)
        self.delays = delays_of(
            self.history.get(finest(self.plan).name, ()), edges_of(self._join, self.outcomes.span)
        )
        self.provisional = {}
        for spec in self.plan.windows:
            ends = self._waiting(spec, judged.get(spec.name, -1))
            if not ends or until < 0:
                continue
            sums = self.outcomes.by_cohort(start_of(spec, ends[0]), ends[-1], variants)
            found = (
                provisional(
                    spec.name, start, end, {at: one for at, one in sums.items() if start <= at < end},
                    join=self._join, until=until, delays=self.delays,
                )
                for start, end in ((start_of(spec, end), end) for end in ends)
            )  # fmt: skip
            self.provisional[spec.name] = tuple(one for one in found if one is not None)

    def _waiting(self, spec: WindowSpec, judged: int) -> list[int]:
        """Ends of windows that were judged and not measured, oldest first; some of them where there are many."""
        ends, end = [], self._next(spec)
        while end is not None and end <= judged:
            if end > self._cursor.get(spec.name, -1):
                ends.append(end)
            end = next_end(spec, end)
        return ends[:: -(-len(ends) // SHOWN)] if ends else []

    def _remember(self, verdict: Verdict) -> None:
        self.history.setdefault(verdict.window, deque(maxlen=HISTORY)).append(verdict)

    def _leave(self) -> None:
        """Go on as if predictions that no coming window holds had never been."""
        coming = [(spec, self._next(spec)) for spec in self.plan.windows]
        starts = [start_of(spec, end) for spec, end in coming if end is not None]
        if len(starts) == len(coming):
            self.outcomes.leave(min(starts))

    def shown(self) -> dict[str, int]:
        """What is waited for, in numbers."""
        return self.outcomes.waiting()


def _outcomes(plan: ModelPlan) -> Outcomes | Counted:
    assert plan.join is not None
    return Outcomes(plan) if plan.join.source else Counted(plan)


def _changed(
    verdict: Verdict, changes: Mapping[str, Change], history: Sequence[Verdict], plan: ModelPlan
) -> Verdict:
    """A window with the rises of errors that stand after it."""
    assert plan.join is not None
    text = told(changes, history, plan.join.kind, rfc3339)
    names = held(changes) if verdict.reason is None else ()
    return replace(
        verdict,
        detail=f"{verdict.detail} {text}",
        rules=(*verdict.rules, *names),
        outcomes={**verdict.outcomes, "changes": {name: own._asdict() for name, own in changes.items()}},
        onset=min(own.since for own in changes.values()) if names else verdict.onset,
    )


def _identity(verdict: Verdict) -> str:
    return f"{verdict.window}|{verdict.end:015d}"
