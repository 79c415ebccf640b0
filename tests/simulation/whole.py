"""Level C: replicas that fold, judge and deliver over one state log in Kafka, with all that is real between.

Every window is judged once, with the counts of the whole log; incidents are those of a run that nothing
disturbed, and so are the pages that are delivered.
"""

from __future__ import annotations

import functools
import random
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import monitor.deliver.loop
import monitor.deliver.watch
import monitor.evaluate
import monitor.state.kafka.log
import monitor.state.kafka.sketches
from monitor.clock import ManualClock
from monitor.context import Context
from monitor.deliver.plan import AlertsPlan, PagerDutyPlan
from monitor.errors import StateError
from monitor.evaluate import Evaluate
from monitor.judgement import Judgement
from monitor.names import Source
from monitor.plan import RetrainPlan, WindowSpec
from monitor.secret import Secret
from monitor.state.codec import encode
from monitor.state.kafka import owner
from monitor.state.kafka.log import KafkaLog
from monitor.state.log import Checkpoint, Marker, Progress
from monitor.state.simulated import SimulatedLog
from monitor.verdict import State, Verdict, Window
from monitor.window.completeness import Patience
from tests.simulation.group import Membership
from tests.simulation.ingest import INPUTS, Ingester, check_recovered
from tests.simulation.inputs import FIRST, MODELS, PLANS, TOPIC, WINDOW, Input, input_of
from tests.simulation.ledger import PARTITIONS, Receiver, Recorder, attend, deliver, fences, idle, opened
from tests.simulation.world import Process, Quiet, World, Wrong, batons, changed
from tests.test_partition import LAYOUT, START

LATER = START + 8 * 86_400_000
"""Wall time: the inputs are a week old, so that their end is the end, and no empty windows follow."""
PATIENCE = Patience(idle=1_000, stall=60_000, max_hold=1 << 50, settle=500)
RETRAIN = RetrainPlan(mode="auto", target="pipeline", cooldown=0, max_per_day=99, min_records=0, windows=1)
CONTEXTS = {
    name: Context(replace(plan, retrain=RETRAIN, clear_after=1), LAYOUT, None, {})
    for name, plan in PLANS.items()
}
ALERTS = AlertsPlan(pagerduty=PagerDutyPlan(routing_key=Secret("key")))
WEIGHTS = np.arange(1, LAYOUT.slots + 1)


def drift(_: Judgement, spec: WindowSpec, window: Window, context: Context) -> Verdict:
    """A verdict that any row more or less turns into another one."""
    verdict = monitor.judgement.judge_without_reference(window, context.plan, spec)
    if not window.rows:
        return verdict
    state = State.DRIFT if int(WEIGHTS @ window.counts) % 5 < 3 else State.OK
    return replace(verdict, state=state, reason=None, alpha=0.1)


@dataclass(frozen=True)
class Expected:
    """What a run that nothing disturbs comes to."""

    verdicts: dict[tuple[str, str], dict[str, Any]]
    incidents: dict[tuple[str, str], dict[str, Any]]
    intents: frozenset[str]
    """Pages and their ends; which retraining is asked for depends on when the one before was delivered."""
    counts: dict[tuple[str, int], list[int]]
    """(model, end of window) → counts, by plain Python."""


def told_of(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """What of an entry does not depend on the wall clock."""
    return {name: value for name, value in body.items() if kind != "incident" or name != "spans"}


@functools.cache
def expected_of(seed: int, sources: int) -> Expected:
    clock = ManualClock(LATER)
    state, inputs = SimulatedLog(0, clock=clock), [input_of(seed, number) for number in range(sources)]
    with changed((Judgement, "_verdict", drift), (monitor.evaluate, "log", Quiet())):
        loop = evaluating(state, clock, [one.source for one in inputs])
        for one in inputs:
            marker = one.markers[one.end]
            state.checkpoint(one.source, list(one.newest.values()), marker)
        for _ in range(5):
            for one in inputs:
                state.report(reported(one.markers[one.end], one, clock.now_ms()))
            loop.tick()
            clock.advance(1.0)
    ledgers = {name: state.ledger(name, kinds=None) for name in MODELS}
    return Expected(
        {(name, one): told_of("verdict", dict(body)) for name in MODELS
         for one, body in ledgers[name].of("verdict").items()},
        {(name, one): told_of("incident", dict(body)) for name in MODELS
         for one, body in ledgers[name].of("incident").items()},
        frozenset(
            one for name in MODELS for one, body in ledgers[name].of("intent").items()
            if body["integration"] == "pagerduty"
        ),
        _windows(inputs),
    )  # fmt: skip


def _windows(inputs: list[Input]) -> dict[tuple[str, int], list[int]]:
    found: dict[tuple[str, int], list[int]] = {}
    for one in inputs:
        for (model, _, pane), slots in one.recount.slots.items():
            end = pane // WINDOW.size * WINDOW.size + WINDOW.size
            before = found.get((model, end), [0] * len(slots))
            found[model, end] = [a + b for a, b in zip(before, slots, strict=True)]
    return found


def evaluating(state: Any, clock: Any, sources: list[Source]) -> Evaluate:
    return Evaluate(
        CONTEXTS, state=state, clock=clock, alerts=ALERTS, patience=PATIENCE,
        expected=lambda _topic: sources, topics={"s": TOPIC},
    )  # fmt: skip


def reported(marker: Marker, one: Input, now: int) -> Progress:
    return Progress(
        source=one.source, applied=marker.applied, end=one.end, watermark=marker.watermark,
        idle=marker.applied == one.end, paused="", observed=now, counted=marker.counted,
    )  # fmt: skip


class _Stored:
    """Stores the checkpoints of one source in a state log."""

    def __init__(self, state: KafkaLog, source: Source) -> None:
        self._state = state
        self._source = source

    def checkpoint(self, sketches: Any, marker: Marker) -> None:
        self._state.checkpoint(self._source, sketches, marker)


@dataclass
class WholeRun:
    """One schedule of level C."""

    seed: int
    sources: int = 2
    acknowledged: dict[Source, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world = World(self.seed, PARTITIONS, self._boot)
        self.world.clock.advance((LATER - START) / 1000)
        made = [input_of(self.seed % INPUTS, number) for number in range(self.sources)]
        self.inputs = {one.source: one for one in made}
        self.expected = expected_of(self.seed % INPUTS, self.sources)
        self.group = self.world.group(self.inputs)
        self.judges = self.world.group(range(PARTITIONS["ledger"]))
        self.fences = fences(self.world)
        self.receiver = Receiver(self.world, self.fences)
        self._states: dict[str, KafkaLog] = {}
        chance, quiet = random.Random(self.seed), Quiet()
        self._prunes = chance.random() < 0.3
        self._changes = [
            (owner, "TIDY_FROM", chance.choice([1, 3, 32])),
            (owner, "SLACK", chance.choice([0, 1 << 20])),
            (owner, "REWRITE", chance.choice([1_000, 256 << 10])),
            (Judgement, "_verdict", lambda *given: self._verdict(*given)),  # noqa: PLW0108 - a method
            *(
                ((monitor.evaluate, "KEPT", 0), (monitor.evaluate, "FORGET_EVERY", 15.0))
                if self._prunes
                else ()
            ),
            *((module, "log", quiet) for module in LOGGING),
        ]

    def run(self) -> None:
        """Raises `Wrong`, or whatever else came of it."""
        modules = owner, monitor.deliver.watch, monitor.evaluate
        with ExitStack() as undo:
            undo.callback(self.world.schedule.close)
            undo.enter_context(changed(*self._changes))
            undo.enter_context(batons(self.world.schedule, *modules))
            self.world.play(self._is_done)
            self._check_end()

    def recover(self, process: Process, source: Source) -> tuple[Checkpoint | None, _Stored]:
        state = self._states[process.name]
        floor = max(self.acknowledged.get(source, 0), self.group.commits.get(source, 0))
        if self.group.commits.get(source):
            state.expect(source)
        found = state.recover(source)
        truth = self.inputs[source]
        sketches = () if found is None else found.sketches
        contents = {one.key: truth.sealed.get(encode(one), (None, -1))[1] for one in sketches}
        check_recovered(self, source, found, contents, floor=floor)
        return found, _Stored(state, source)

    def position(self, source: Source, found: Checkpoint | None) -> int:
        return FIRST if found is None else found.marker.applied

    def report(self, process: Process, marker: Marker) -> None:
        one = self.inputs[marker.source]
        self._states[process.name].report(reported(marker, one, process.clock.now_ms()))

    def _boot(self, process: Process) -> None:
        members = Membership(self.judges, process.name, taken=idle, revoked=idle, lost=idle)
        state = self._states[process.name] = opened(process, members)
        process.spawn(Ingester(self, process).live)
        process.spawn(lambda: self._judge(process, state, members))
        recorders = [Recorder(self.receiver, process, name) for name in ("pagerduty", "pipeline")]
        process.spawn(lambda: deliver(process, state, recorders, MODELS))

    def _judge(self, process: Process, state: KafkaLog, members: Membership) -> None:
        chance, loop = self.world.random, None
        while True:
            self.world.schedule.pause()
            if not process.is_deaf and chance.random() < 0.5:
                members.poll()
            if chance.random() < 0.3:
                attend_all(self, state)
                if loop is None:
                    loop = self._evaluate(process, state)
                elif chance.random() < 0.7:
                    loop.tick()

    def _evaluate(self, process: Process, state: KafkaLog) -> Evaluate | None:
        try:
            return evaluating(state, process.clock, list(self.inputs))
        except StateError:
            return None

    def _verdict(self, judgement: Judgement, spec: WindowSpec, window: Window, context: Context) -> Verdict:
        """Who judges a window while it speaks for the model, or believes it does, has all of it.

        Unless old sketches are not kept for so long. One that was fenced in the same turn has no sketches any more.
        """
        truth = self.expected.counts.get((window.model, window.end), [0] * LAYOUT.slots)
        is_fenced = not self._states[self.world.schedule.current].terms([window.model])
        if window.counts.tolist() != truth and not self._prunes and not is_fenced:
            raise Wrong(f"judged before it was whole - {window.model} to {window.end} - {window.rows} rows")
        if window.revision:
            raise Wrong(f"revised - {window.model} to {window.end}")
        return drift(judgement, spec, window, context)

    def _entry(self, model: str, kind: str, name: str) -> Any:
        return next(
            (found for fence in self.fences if (found := fence.now().live.get((model, kind, name)))), None
        )

    def _is_done(self) -> bool:
        ends = {name: max(end for model, end in self.expected.counts if model == name) for name in MODELS}
        cursors = {name: self._entry(name, "cursor", WINDOW.name) for name in MODELS}
        if any(cursors[name] is None or cursors[name]["end"] < ends[name] for name in MODELS):
            return False
        return not any(kind == "intent" for fence in self.fences for _, kind, _ in fence.now().live)

    def _check_end(self) -> None:
        live = {key: body for fence in self.fences for key, body in fence.now().live.items()}
        for kind, truth in (("verdict", self.expected.verdicts), ("incident", self.expected.incidents)):
            found = {(m, name): told_of(kind, body) for (m, k, name), body in live.items() if k == kind}
            if found != truth:
                odd = sorted(key for key in found.keys() | truth.keys() if found.get(key) != truth.get(key))
                raise Wrong(f"{kind} - {odd[0]} - {found.get(odd[0])} - undisturbed {truth.get(odd[0])}")
        asked = {name for (_, kind, name) in live if kind == "retrain"}
        if set(self.receiver.counts) != self.expected.intents | asked:
            odd = set(self.receiver.counts) ^ (self.expected.intents | asked)
            raise Wrong(f"delivered too much or too little - {sorted(odd)}")
        unsent = [
            name for (_, kind, name), body in live.items() if kind == "outcome" and body["state"] != "sent"
        ]
        if unsent or any(state.divergences for state in self._states.values()):
            raise Wrong(f"not sent, or diverged - {unsent}")


LOGGING = (
    monitor.evaluate, monitor.deliver.loop, monitor.state.kafka.log, monitor.state.kafka.sketches,
)  # fmt: skip


def attend_all(run: WholeRun, state: KafkaLog) -> None:
    """Take over before `Evaluate` does, so that what is believed is looked at first."""
    try:
        attend(run.fences, state)
    except StateError:
        return
