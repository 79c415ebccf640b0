"""How far a model's windows agree with the online store. Evaluate thread only; no effects.

A window is compared a moment after it was judged: what was asked while it was open has been answered then, or never is.
It looks like a verdict that has figures for scores and limits for rules, so that incidents, alerts and requests for
retraining follow from it as from any other. What is counted is a sample, and lost at a restart; what was made of it
is in the ledger, so that a limit that must hold for a time is not forgotten.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from monitor.consistency.tallies import RECORD, Tallies
from monitor.incident.model import Incident
from monitor.incident.track import Transition, track
from monitor.judge.catalogue import FEATURE_MISMATCH
from monitor.judge.limits import rules_that_hold
from monitor.judge.record import from_json, to_json
from monitor.labelled import Measured
from monitor.labels.runs import dated, spanned
from monitor.labels.sequences import bound_share
from monitor.plan import ModelPlan, RawRule, StorePlan, WindowSpec
from monitor.state.log import Entry, Ledger
from monitor.verdict import State, Unknown, Verdict
from monitor.window.grid import next_end, start_of
from monitor.window.next import EMPTY_RUN

HISTORY = 200
"""Windows remembered per window name, and the longest run that a limit can ask for."""
KIND, CURSOR = "consistency", "compared"
"""Of the ledger's entries: a window's figures; how far the windows of a name were compared."""
SETTLE = 20_000
"""Ms after the verdict of a window: questions of half a second, a notice each 5 s, and a server that takes 10 s to answer."""
ALPHA = 0.05
"""Bounds hold with 95 %."""


class Consistency:
    """The windows of one model."""

    def __init__(self, plan: ModelPlan, tallies: Tallies) -> None:
        self.plan = plan
        self.history: dict[str, deque[Verdict]] = {}
        """By window name, oldest first."""
        self.tallies = tallies
        self._cursor: dict[str, int] = {}
        self._seen: dict[tuple[str, int], int] = {}
        """Since when windows wait for answers, wall time."""

    @property
    def _store(self) -> StorePlan:
        assert self.plan.store is not None
        return self.plan.store

    def restore(self, ledger: Ledger) -> None:
        """Continue from what the ledger says was compared."""
        self._cursor = {name: int(body["end"]) for name, body in ledger.of(CURSOR).items()}
        self.history.clear()
        known = {spec.name for spec in self.plan.windows}
        for _, body in sorted(ledger.of(KIND).items()):
            if body["window"] in known:
                self._remember(from_json(body))

    def due(
        self,
        incidents: Callable[[], Mapping[str, Incident]],
        *,
        judged: Mapping[str, int],
        now: int,
        said: Callable[[str, int], Verdict | None] = lambda _name, _end: None,
    ) -> Iterator[Measured]:
        """Compare every window that was judged, oldest first; `judged`: how far windows are, by name.

        `said` is the judge's verdict on a window of this name and end, which knows where its records are. The caller makes
        each result durable before it asks for the next one. Windows that were over before anybody asked the store are none
        of ours.
        """
        for spec in self.plan.windows:
            if spec.name not in judged:
                continue
            self._cursor.setdefault(spec.name, int(min(judged[spec.name], self._before(spec))))
            while (end := self._next(spec, judged[spec.name])) <= judged[spec.name]:
                if now - self._seen.setdefault((spec.name, end), now) < SETTLE:
                    break
                yield self._measured(spec, end, incidents(), said(spec.name, end))
        self._forget()

    def entries(self, measured: Measured) -> list[Entry]:
        """What must be durable before a result is accepted, beside what follows for incidents."""
        verdict = measured.verdict
        history = self.history.get(verdict.window, deque())
        outdated = [Entry(KIND, _identity(history[0]), None)] if len(history) == HISTORY else []
        return [Entry(KIND, _identity(verdict), to_json(verdict)), *outdated, measured.cursor]

    def accept(self, measured: Measured) -> None:
        """Take note of a result that is durable now."""
        verdict = measured.verdict
        self._cursor[verdict.window] = verdict.end
        self._seen.pop((verdict.window, verdict.end), None)
        self._remember(verdict)

    def shown(self) -> dict[str, Any]:
        """How the store is doing, JSON-able."""
        standing = self.tallies.standing(self.plan.name)
        return {"outcomes": standing.outcomes, "error": standing.error, "answered": standing.answered}

    def _before(self, spec: WindowSpec) -> float:
        """Just before the end of the first window that can be whole; infinite while nothing was counted."""
        oldest = self.tallies.oldest(self.plan.name)
        if oldest is None:
            return math.inf
        end = next_end(spec, oldest)
        while start_of(spec, end) + spec.step <= oldest:
            end = next_end(spec, end)
        return end - 1

    def _next(self, spec: WindowSpec, judged: int) -> int:
        """End of the window that is compared next; a long silence is one step."""
        end = next_end(spec, self._cursor[spec.name])
        return end if judged - end <= EMPTY_RUN * spec.step else judged

    def _measured(
        self, spec: WindowSpec, end: int, incidents: Mapping[str, Incident], said: Verdict | None
    ) -> Measured:
        plan, start = self.plan, start_of(spec, end)
        sums = self.tallies.sums(plan.name, start, end)
        scores = {feature: _figures(counts, plan.min_records) for feature, counts in sums.items()}
        compared, _, moved = sums.get(RECORD, (0, 0, 0))
        reason = None
        if not any(FEATURE_MISMATCH in one for one in scores.values()):
            reason = Unknown.NOT_ENOUGH_DATA if compared + moved else Unknown.NO_DATA
        before = list(self.history.get(spec.name, ()))
        runs = spanned(self._store.limits, spec)
        verdict = Verdict(
            model=plan.name, window=spec.name, start=start, end=end, revision=0,
            state=State.UNKNOWN if reason is not None else State.OK, reason=reason,
            detail=_detail(compared, moved), rows=compared, coverage=1.0, p=1.0, statistic=0.0, alpha=0.0,
            proven=False, reference="", reference_windows=0, windows_needed=0, scores=scores,
            rules=() if reason is not None else rules_that_hold(runs, scores, before=before),
            offsets={} if said is None else said.offsets,
        )  # fmt: skip
        verdict = dated(verdict, runs, before)
        transitions = self._transitions(verdict, incidents)
        return Measured(verdict, transitions, Entry(CURSOR, spec.name, {"end": end}), kind=KIND)

    def _transitions(self, verdict: Verdict, incidents: Mapping[str, Incident]) -> tuple[Transition, ...]:
        """A limit on a feature that was hardly compared is neither held nor kept: its incident stays as it is."""
        found: list[Transition] = []
        for rule in self._store.limits:
            known = FEATURE_MISMATCH in verdict.scores.get(rule.feature, {})
            found += track(
                {name: incident for name, incident in incidents.items() if name == rule.name},
                verdict if known else replace(verdict, state=State.UNKNOWN, reason=Unknown.NOT_ENOUGH_DATA),
                self._alone(rule),
            )
        return tuple(found)

    def _alone(self, rule: RawRule) -> ModelPlan:
        """The plan with one limit and no other, as `track` takes it."""
        return replace(self.plan, raw_rules=(rule,), harm=(), store=None)

    def _remember(self, verdict: Verdict) -> None:
        self.history.setdefault(verdict.window, deque(maxlen=HISTORY)).append(verdict)

    def _forget(self) -> None:
        """Let go of counts that no coming window holds."""
        if all(spec.name in self._cursor for spec in self.plan.windows):
            ends = [(spec, next_end(spec, self._cursor[spec.name])) for spec in self.plan.windows]
            self.tallies.forget(self.plan.name, min(start_of(spec, end) for spec, end in ends))


def _figures(counts: tuple[int, ...], fewest: int) -> dict[str, float]:
    """The ratio with its bounds where enough was compared, and the counts."""
    compared, mismatched, moved = counts
    figures = {"compared": float(compared), "mismatched": float(mismatched), "moved": float(moved)}
    if compared < fewest or not compared:
        return figures
    low, high = bound_share(mismatched, compared, ALPHA)
    ratio = mismatched / compared
    return {
        FEATURE_MISMATCH: ratio,
        f"{FEATURE_MISMATCH}_low": low,
        f"{FEATURE_MISMATCH}_high": high,
        **figures,
    }


def _detail(compared: int, moved: int) -> str:
    later = f"; of {moved} the store has only values that are newer" if moved else ""
    return f"{compared} records compared with the online store{later}"


def _identity(verdict: Verdict) -> str:
    return f"{verdict.window}|{verdict.end:015d}"
