"""From sketches to verdicts and what follows from them: steps 7 to 11, without any effects.

`Judgement` holds what the evaluate loop knows of one model. `replay` drives the same object, so
that live and replayed verdicts agree to the last digit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from monitor.beside import Besides, reach
from monitor.consistency.windows import KIND as KIND_OF_STORE
from monitor.consistency.windows import Consistency
from monitor.context import Context
from monitor.diagnosed import compared, completed, dated, diagnosed, estimated
from monitor.held import Held, Panes
from monitor.history import History, verdict_entry
from monitor.incident.model import Incident, latest_incidents
from monitor.incident.track import Transition, stand, track
from monitor.judge.kept import Kept
from monitor.judge.policy import judge, judge_without_reference
from monitor.labelled import Labelled, Measured
from monitor.looks import KIND, Looks, entry_of
from monitor.names import Source
from monitor.plan import ModelPlan, WindowSpec
from monitor.reference.profile import Reference
from monitor.reigns import Reigns, Ruling, version_of
from monitor.sample import Sample
from monitor.segments import WHOLE
from monitor.sketch import Sketch
from monitor.state.log import Entry, Ledger, Progress
from monitor.verdict import State, Unknown, Verdict, Window
from monitor.window.completeness import Patience, assess
from monitor.window.grid import ends_holding, floor_pane, start_of
from monitor.window.heard import Heard
from monitor.window.merge import merge
from monitor.window.next import Waiting, end_of_next, is_over

COUNTED = "counted"
"""Id of the `clock` entry {config, since}: which configuration is counted, and from which event time on.
-1: from the start of the log."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One verdict and everything that follows from it, to be made durable together."""

    verdict: Verdict
    window: Window
    transitions: tuple[Transition, ...]
    cursor: Entry


class Judgement:
    """The windows of one model. Evaluate thread only."""

    def __init__(self, context: Context, *, patience: Patience) -> None:
        self.context = context
        self.latest: dict[str, Verdict] = {}
        self.windows: dict[str, Window] = {}
        self.incidents: dict[str, Incident] = {}
        """Newest incident of every rule, open or resolved."""
        self.closed: dict[str, int] = {}
        self.skipped: dict[tuple[str, str], int] = {}
        self.pages = self.early_pages = 0
        self.looks = Looks()
        self.reigns = Reigns()
        self.labelled = Labelled(context.plan, patience=patience) if context.plan.join is not None else None
        self.consistency = self._consistency()
        self._patience = patience
        self._past = History()
        self._panes = Panes(context.plan)
        self._besides = Besides(self._panes.store, context.layout)
        self._cursor: dict[str, int] = {}
        self._since = -1
        self._waiting = Waiting(patience)
        self._revise: set[tuple[str, int]] = set()

    @property
    def plan(self) -> ModelPlan:
        return self.context.plan

    @property
    def reference(self) -> Reference | None:
        """What windows are judged by from now on."""
        current = self.reigns.current if self.plan.registered else None
        return (
            self.context.reference
            if current is None
            else self.reigns.context(current, self.context).reference
        )

    @property
    def cursors(self) -> Mapping[str, int]:
        """Window name → end of the newest window that was judged."""
        return dict(self._cursor)

    @property
    def history(self) -> Mapping[str, Sequence[Kept]]:
        """The verdicts that are remembered, by window name, oldest first."""
        return self._past.kept

    def recall(self, identity: str, body: Mapping[str, Any]) -> None:
        """Remember one verdict of the ledger, in the order of their ids; then `restore` what else it says."""
        if any(identity.rpartition("|")[0] == spec.name for spec in self.plan.windows):
            self._past.remember(Kept.read(body), self.plan)

    def restore(self, ledger: Ledger) -> None:
        """Continue from what the ledger says was judged."""
        for name, body in ledger.of("cursor").items():
            self._cursor[name] = int(body["end"])
        counted = ledger.of("clock").get(COUNTED, {})
        self._since = int(counted["since"]) if counted.get("config") == self.plan.config else -1
        for identity, body in sorted(ledger.of("verdict").items()):
            self.recall(identity, body)
        self.latest = self._past.newest()
        self.incidents = latest_incidents(ledger.of("incident"))
        self.looks.restore(ledger.of(KIND))
        self.reigns.restore(ledger, self.history)
        for one in (self.labelled, self.consistency):
            if one is not None:
                one.restore(ledger)

    def observe(self, sketches: Sequence[Sketch]) -> None:
        """Take newer sketches; windows already judged that they change will be revised."""
        if self.labelled is not None:
            self.labelled.observe(sketches)
        for sketch in sketches:
            if sketch.key.config != self.plan.config:
                continue
            if not self._panes.put(replace(sketch, joinable=b"") if sketch.joinable else sketch):
                continue
            for spec in self.plan.windows:
                cursor = self._cursor.get(spec.name)
                if cursor is None or sketch.key.pane >= cursor:
                    continue
                for end in ends_holding(spec, sketch.key.pane, until=cursor):
                    self._revise.add((spec.name, end))

    def due(
        self, *, expected: Collection[Source], progress: Mapping[Source, Progress], now: int
    ) -> Iterator[Judged]:
        """Judge every window that is complete or has been held too long, oldest first.

        The caller makes each result durable before it asks for the next one.
        """
        heard = progress if isinstance(progress, Heard) else self._heard(expected, progress)
        for spec in self.plan.windows:
            yield from self._revisions(spec, heard)
            while (judged := self._next(spec, heard, now)) is not None:
                yield judged
        self._forget()

    def accept(self, judged: Judged | Measured) -> None:
        """Take note of a result that is durable now."""
        if isinstance(judged, Measured):
            self.incidents = stand(self.incidents, judged.transitions)
            self._measurer(judged).accept(judged)
            return
        verdict, name = judged.verdict, judged.verdict.window
        self.reigns.accept(verdict)
        self.incidents = stand(self.incidents, judged.transitions)
        pages = sum(transition.pages for transition in judged.transitions)
        self.pages += pages
        if verdict.early:
            self.early_pages += pages
            self.looks.accept(verdict, judged.cursor)
            return
        if verdict.revision == 0:
            self._cursor[name] = verdict.end
            self.closed[name] = self.closed.get(name, 0) + 1
            if verdict.state is State.UNKNOWN and verdict.reason is not None:
                key = (name, str(verdict.reason))
                self.skipped[key] = self.skipped.get(key, 0) + 1
        self._waiting.forget((name, verdict.end))
        self._past.remember(Kept.of(verdict), self.plan)
        newest = self.latest.get(name)
        if newest is None or verdict.end >= newest.end:
            self.latest[name] = verdict
        self.windows[name] = judged.window
        self._besides.remember(judged.window, self.context.prepared.get(name), self.plan)

    def begin_anew(self, now: int) -> bool:
        """Whether all sketches have to be handed to `observe` once more, for the sake of labels."""
        return self.labelled is not None and self.labelled.begin_anew(now)

    def measures(self, heard: Heard | None, *, now: int, passed: int = -1) -> Iterator[Measured]:
        """Windows whose labels are in, and those that were compared with the online store. To be used as `due`.

        `heard` is of the partitions of the labels, None where there are none; `passed` what all of the predictions' are past.
        """
        if self.labelled is not None and heard is not None:
            yield from self.labelled.due(
                lambda: self.incidents, judged=self._cursor, heard=heard, now=now, passed=passed,
                said=self._past.said,
            )  # fmt: skip
        if self.consistency is not None:
            yield from self.consistency.due(
                lambda: self.incidents, judged=self._cursor, now=now, said=self._past.said
            )  # fmt: skip

    def entries(self, judged: Judged | Measured) -> list[Entry]:
        """What must be durable before a result is accepted, beside what follows for incidents."""
        if isinstance(judged, Measured):
            return self._measurer(judged).entries(judged)
        verdict = judged.verdict
        entries = [] if verdict.early else [verdict_entry(verdict), *self._past.outdated(verdict, self.plan)]
        return [*entries, judged.cursor] if verdict.revision == 0 else entries

    def renew(self, context: Context) -> None:
        """Judge with a new context from now on; `track` supersedes incidents of another reference."""
        self.context = context
        self._panes.renew()
        self.looks.renew()
        self.reigns.renew()
        if self.labelled is not None:
            self.labelled.plan = context.plan
        if self.consistency is not None and context.plan.store is not None:
            self.consistency.plan = context.plan
        else:
            self.consistency = self._consistency()

    def _consistency(self) -> Consistency | None:
        plan, tallies = self.context.plan, self.context.tallies
        return Consistency(plan, tallies) if plan.store is not None and tallies is not None else None

    def _measurer(self, measured: Measured) -> Labelled | Consistency:
        one = self.consistency if measured.kind == KIND_OF_STORE else self.labelled
        assert one is not None
        return one

    def _heard(self, expected: Collection[Source], progress: Mapping[Source, Progress]) -> Heard:
        heard = Heard(self.plan.name, expected, config=None)
        heard.take(progress[source] for source in expected if source in progress)
        return heard

    def _next(self, spec: WindowSpec, heard: Heard, now: int) -> Judged | None:
        """The verdict of the window that closes next, or before it the next alarm of a look at it."""
        if spec.name not in self._cursor and self._panes.store.oldest() is None:
            return None
        end = end_of_next(spec, self._cursor.get(spec.name), self._panes.store, heard.mark)
        if spec.name in self._cursor and is_over(spec, end, store=self._panes.store, heard=heard, now=now):
            return None
        key, due = (spec.name, end), end + self.plan.lateness
        standing = assess(due, heard=heard, now=now, patience=self._patience)
        closes = standing.complete and self._waiting.is_settled(key, due, heard, now)
        if alarm := self._look(spec, end, heard, until=end if closes else heard.passed - self.plan.lateness):
            return alarm
        if standing.complete:
            return self._judge(spec, end, heard, (), revision=0) if closes else None
        self._waiting.woke(key)
        if not standing.missing or standing.waiting_for or not self._waiting.is_held_too_long(key, now):
            return None
        return self._judge(spec, end, heard, standing.missing, revision=0)

    def _look(self, spec: WindowSpec, end: int, heard: Heard, *, until: int) -> Judged | None:
        """The next alarm of looks at the window that ends at `end`.

        A window that was already open when the reference changed is not looked at: it was with the other.
        """
        start, before = start_of(spec, end), self.latest.get(spec.name)
        context = self.reigns.looked(self.context, spec.name, start, end)
        prepared = context.prepared.get(spec.name) if context is not None else None
        if context is None or prepared is None or prepared.early is None or self._partial(spec, end, heard):
            return None
        if before is not None and before.reference != prepared.reference:
            return None
        panes = partial(self._held, context)
        found = self.looks.next(spec, (start, end), until=until, prepared=prepared, held=panes(WHOLE))
        if found is None:
            return None
        verdict = completed(found[0], lambda one: dated(one, spec, prepared=prepared, panes=panes))
        sampled = partial(self._sample, found[1], context)
        verdict = diagnosed(verdict, found[1], prepared, context.plan, sampled=sampled)
        return Judged(verdict, found[1], track(self.incidents, verdict, context.plan), entry_of(verdict, end))

    def _judge(
        self, spec: WindowSpec, end: int, heard: Heard, missing: tuple[Source, ...], *, revision: int,
        ruling: Ruling | None = None,
    ) -> Judged:  # fmt: skip
        start = start_of(spec, end)
        lacking = self._partial(spec, end, heard)
        total = max(len(heard.expected), 1)
        coverage = 1.0 - (len(missing) + len(set(lacking) - set(missing))) / total
        ruling = ruling or self._ruling(spec, start, end)
        context = ruling.context
        plan, layout = context.plan, context.layout
        window = merge(
            spec, start=start, end=end, parts=self._panes.store.sums(start, end, plan=plan, layout=layout),
            plan=plan, layout=layout, coverage=coverage, missing=missing, revision=revision,
        )  # fmt: skip
        verdict = replace(self._verdict(spec, window, context), others=ruling.others)
        if missing and verdict.state is State.UNKNOWN and any(s not in heard for s in missing):
            verdict = replace(
                verdict,
                reason=Unknown.NOT_ALL_PARTITIONS,
                detail=f"{len(missing)} of {total} source partitions are not assigned to this process",
            )
        if lacking and verdict.reason is Unknown.NO_DATA:
            verdict = replace(
                verdict, reason=Unknown.LOW_COVERAGE, detail="counted only from a later time on"
            )
        if verdict.reason is Unknown.NO_DATA and ruling.others:
            verdict = replace(verdict, detail=ruling.absent)
        transitions = track(self.incidents, verdict, plan, outgoing=ruling.outgoing)
        return Judged(verdict, window, transitions, Entry("cursor", spec.name, {"end": end}))

    def _partial(self, spec: WindowSpec, end: int, heard: Heard) -> Collection[Source]:
        """Source partitions of which not all of a window is counted for this model."""
        start = start_of(spec, end)
        return heard.partial(start, end) if self._since <= start else heard.keys()

    def _ruling(self, spec: WindowSpec, start: int, end: int, *, judged: str | None = None) -> Ruling:
        """How a window is judged; `judged`: of which version it was before."""
        seen = partial(self._panes.versions, start, end, self.plan)
        return self.reigns.ruling(self.context, spec.name, start, end, seen=seen, judged=judged)

    def _held(self, context: Context, segment: str) -> Held:
        return self._panes.of(segment, context.plan, context.layout)

    def _verdict(self, spec: WindowSpec, window: Window, context: Context) -> Verdict:
        prepared, plan = context.prepared.get(spec.name), context.plan
        if prepared is None:
            return judge_without_reference(window, plan, spec)
        segments = self._panes.segments(window, spec, plan, context.layout)
        window, segments = self._panes.seasonal(window, segments, prepared, plan)
        previous = self._past.before(window, plan, reference=prepared.reference if plan.registered else "")
        verdict = judge(window, prepared, plan, previous=previous, segments=segments)
        if verdict.state is State.DRIFT:
            panes = partial(self._held, context)
            verdict = completed(verdict, lambda one: dated(one, spec, prepared=prepared, panes=panes))
        sampled = partial(self._sample, window, context)
        verdict = diagnosed(verdict, window, prepared, plan, segments=segments, sampled=sampled)
        verdict = completed(verdict, lambda one: compared(one, window, prepared, plan.compat))
        verdict = completed(verdict, lambda one: estimated(one, window, prepared, segments))
        return completed(verdict, lambda one: self._besides.show(
            one, window, prepared, plan=plan, others=context.others,
            judged=self._past.of(spec.name), since=self._panes.whole,
        ))  # fmt: skip

    def _sample(self, window: Window, context: Context) -> Sample | None:
        return self._panes.sample(window, context.plan, context.layout)

    def _revisions(self, spec: WindowSpec, heard: Heard) -> Iterator[Judged]:
        for key in sorted(key for key in self._revise if key[0] == spec.name):
            self._revise.discard(key)
            before = next((v for v in self._past.of(spec.name) if v.end == key[1]), None)
            start = start_of(spec, key[1])
            if before is None or before.start != start or start < self._panes.whole:
                continue
            # Counts only grow: fewer rows are those of another configuration, counted since a reload.
            # After a restart every window that is still held comes by here, so look before judging.
            # A window remains of the version that it was judged of.
            own = version_of(before) if self.reigns.all else None
            ruling = self._ruling(spec, start, key[1], judged=own)
            plan = ruling.context.plan
            if plan.version not in {None, own or plan.version} or not self._has_more(before, plan):
                continue
            judged = self._judge(spec, key[1], heard, (), revision=before.revision + 1, ruling=ruling)
            self._revise.add(key)  # not done before it is durable
            yield judged
            self._revise.discard(key)

    def _has_more(self, before: Kept, plan: ModelPlan) -> bool:
        """Whether there are more rows in a window than its verdict counted, in the whole or in segments."""
        rows, parts = self._panes.rows(before.start, before.end, plan)
        return rows > before.rows or (rows == before.rows and 0 < before.parts < parts)

    def _forget(self) -> None:
        """Drop panes that no coming window needs; a correction later than that is not applied."""
        if any(spec.name not in self._cursor for spec in self.plan.windows):
            return
        keep = min(
            reach(spec, start_of(spec, self._cursor[spec.name]), self.plan) - spec.step - self.plan.lateness
            for spec in self.plan.windows
        )
        self._panes.forget(floor_pane(keep, self.plan.pane))
