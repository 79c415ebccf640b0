"""Level B: several processes speak for models, one after the other or at once, and deliver what was decided.

A model's story is fixed: step n of it opens or resolves an incident. Whoever speaks for the model takes the
next step; the real delivery loop sends. In the end all of the story was told in order, and delivered.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import monitor.deliver.loop
import monitor.deliver.watch
import monitor.state.kafka.log
from monitor.deliver.attempt import SENT, Attempt, Outcome
from monitor.deliver.backoff import Backoff
from monitor.deliver.loop import Deliverer
from monitor.deliver.watch import Watch
from monitor.errors import DriftlineError, StateDamaged, StateError
from monitor.http import Failure
from monitor.state.kafka import owner
from monitor.state.kafka.log import KafkaLog, Topics
from monitor.state.kafka.logs import Place, Record
from monitor.state.kafka.owner import LedgerOwner
from monitor.state.log import Entry
from monitor.state.simulated import SimulatedCrash
from tests.simulation.fence import Fence
from tests.simulation.group import Membership
from tests.simulation.world import Process, Quiet, World, Wrong, batons, changed

TOPICS = Topics("state", "sketches", "progress", "ledger")
PARTITIONS = {"state": 3, "sketches": 3, "progress": 1, "ledger": 3}
"""So many that the models do not all share one, as they would with two."""
MODELS = ("m", "n", "o")
STEPS = 6
BACKOFF = Backoff(waits=(1.0,), jitter=0.5, attempts=1 << 60, total=float("inf"))


def story(model: str, step: int) -> list[Entry]:
    """What step `step`, from 1 on, of a model's story makes durable together."""
    incident, is_over = f"{model}-{(step + 1) // 2}", step % 2 == 0
    body = {
        "integration": "r", "action": "resolve" if is_over else "trigger", "incident": {"id": incident},
        "created": step, "sequence": step,
    }  # fmt: skip
    return [
        Entry("cursor", "w", {"end": step}),
        Entry("incident", incident, {"state": "resolved" if is_over else "firing", "text": "x" * 40 * step}),
        Entry("intent", f"{model}/{step}", body),
        *([Entry("verdict", f"{model}/{step - 3}", None)] if step > 3 else []),
        Entry("verdict", f"{model}/{step}", {"step": step}),
    ]


@dataclass
class Receiver:
    """Where everything is sent to: it notes what came, and checks that it was claimed."""

    world: World
    fences: list[Fence]
    sent: list[tuple[str, str]] = field(default_factory=list)
    """(intent, outcome that the sender was told) in order."""
    counts: Counter[str] = field(default_factory=Counter)

    def take(self, process: Process, intent: str) -> Attempt:
        chance = self.world.random
        self.world.schedule.pause()
        if process.logs.is_dead:
            raise SimulatedCrash(f"{process.name} is dead")
        self.counts[intent] += 1
        claims = sum(len(fence.now().claims.get(intent, ())) for fence in self.fences)
        if self.counts[intent] > claims:
            raise Wrong(f"sent more often than claimed - {intent} - {self.counts[intent]} times")
        is_sent = chance.random() < 0.7
        self.sent.append((intent, "sent" if is_sent else "retry"))
        self.world.schedule.pause()
        return SENT if is_sent else Attempt(Outcome.RETRY, Failure.OTHER)


@dataclass
class Recorder:
    """The integration of one process."""

    receiver: Receiver
    process: Process
    name: str = "r"
    address: str = "a"
    backoff: Backoff = BACKOFF
    deduplicates: bool = True

    def send(self, intent: str, body: Mapping[str, Any]) -> Attempt:
        return self.receiver.take(self.process, intent)

    def ready_in(self) -> float:
        return 0.0


def fences(world: World, meaning: Callable[[Record], Record] = lambda record: record) -> list[Fence]:
    """The partitions of the ledger, by the rules."""
    places = [Place(TOPICS.ledger, partition) for partition in range(PARTITIONS["ledger"])]
    return [Fence(world.broker.history.setdefault(place, []), meaning) for place in places]


def opened(process: Process, members: Membership) -> KafkaLog:
    """The state log of a process that has just started."""
    return KafkaLog(
        process.logs, topics=TOPICS, owned=lambda: dict(members.held), clock=process.clock,
        draw=lambda: process.world.random.getrandbits(64),
    )  # fmt: skip


def deliver(process: Process, state: KafkaLog, recorders: Sequence[Recorder], models: Sequence[str]) -> None:
    """The delivery threads, as one."""
    world = process.world
    watch = Watch(state, process.clock, lambda: tuple(state.terms(models)))
    loops = [Deliverer(one, watch, process.clock, draw=world.random) for one in recorders]
    while True:
        world.schedule.pause()
        if world.random.random() < 0.15:
            with suppress(DriftlineError):
                world.random.choice(loops).tick()


def attend(fences: Sequence[Fence], state: KafkaLog) -> None:
    """Take over what is ours, and look whether it is what the rules say."""
    before = dict(state._offices)
    state.attend()
    for partition, office in dict(state._offices).items():
        if before.get(partition) is not office:
            verify(fences[partition], office.owner)


def verify(fence: Fence, held: LedgerOwner) -> None:
    """Raise when an owner believes anything else than the rules say.

    One that was replaced may not know it yet, and then what it believes is nobody's concern: compaction
    has taken the record of its successor, who was replaced as well. It will meet the last one.
    """
    if held._is_fenced or held.term != fence.now().term:
        return
    truth = fence.at(held._next)
    for model in {name for name, *_ in truth.live} | set(MODELS):
        if held._view.entries(model, None) != truth.entries(model):
            raise Wrong(f"entries that the rules do not give - {model} - in term {held.term}")


def idle(_partition: Hashable) -> None:
    """Nothing is done when partitions come or go: the next look at them says so."""


@dataclass
class LedgerRun:
    """One schedule of level B. `kind` is the class under test; for `meaning` see `Fence`."""

    seed: int
    kind: type[LedgerOwner] = LedgerOwner
    meaning: Callable[[Record], Record] = lambda record: record
    is_hasty: bool = False
    acknowledged: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world = World(self.seed, PARTITIONS, self._boot)
        self.group = self.world.group(range(PARTITIONS["ledger"]))
        self.fences = fences(self.world, self.meaning)
        self.receiver = Receiver(self.world, self.fences)
        chance = random.Random(self.seed)
        self._limits = [
            (owner, "TIDY_FROM", chance.choice([1, 3, 32])),
            (owner, "SLACK", chance.choice([0, 2_000, 1 << 20])),
            (owner, "REWRITE", chance.choice([150, 256 << 10])),
            (monitor.state.kafka.log, "LedgerOwner", self.kind),
            (monitor.state.kafka.log, "log", Quiet()),
            (monitor.deliver.loop, "log", Quiet()),
        ]

    def run(self) -> None:
        """Raises `Wrong`, or whatever else came of it."""
        with ExitStack() as undo:
            undo.callback(self.world.schedule.close)
            undo.enter_context(changed(*self._limits))
            undo.enter_context(batons(self.world.schedule, owner, monitor.deliver.watch))
            self.world.is_hasty = self.is_hasty
            self.world.play(self._is_done)
            self._check_story()
            self._check_successor()

    def _boot(self, process: Process) -> None:
        members = Membership(self.group, process.name, taken=idle, revoked=idle, lost=idle)
        state = opened(process, members)
        recorder = Recorder(self.receiver, process)
        process.spawn(lambda: self._speak(process, state, members))
        process.spawn(lambda: deliver(process, state, [recorder], MODELS))

    def _speak(self, process: Process, state: KafkaLog, members: Membership) -> None:
        chance = self.world.random
        while True:
            self.world.schedule.pause()
            if not process.is_deaf and chance.random() < 0.5:
                members.poll()
            try:
                attend(self.fences, state)
                for model in state.terms(MODELS):
                    if chance.random() < 0.5:
                        self._tell(state, model)
            except StateDamaged as error:
                raise Wrong(str(error)) from error
            except StateError:
                continue

    def _tell(self, state: KafkaLog, model: str) -> None:
        step = int(state.ledger(model).of("cursor").get("w", {"end": 0})["end"]) + 1
        if step <= STEPS:
            state.append(model, story(model, step))
            self.acknowledged[model] = max(self.acknowledged.get(model, 0), step)

    def _is_done(self) -> bool:
        """All is told, and the ledger says that all is delivered."""
        live = {name for fence in self.fences for name in fence.now().live}
        return all(one in live for model in MODELS for one in self._last(model)) and not any(
            kind == "intent" for _, kind, _ in live
        )

    def _last(self, model: str) -> list[tuple[str, str, str]]:
        return [(model, "verdict", f"{model}/{STEPS}"), (model, "outcome", f"{model}/{STEPS}")]

    def _check_story(self) -> None:
        expected = {f"{model}/{step}" for model in MODELS for step in range(1, STEPS + 1)}
        if set(self.receiver.counts) != expected:
            raise Wrong(f"delivered {sorted(set(self.receiver.counts) ^ expected)} - too much or too little")
        for model in MODELS:
            told = [end for fence in self.fences for end in fence.now().cursors.get(model, ())]
            if sorted(told) != told or set(told) != set(range(1, STEPS + 1)):
                raise Wrong(f"told in the order {told} - {model}")
            for step in range(2, STEPS + 1, 2):
                first = self.receiver.sent.index((f"{model}/{step - 1}", "sent"))
                if f"{model}/{step}" in {intent for intent, _ in self.receiver.sent[:first]}:
                    raise Wrong(f"resolved before it was told - {model} - step {step}")

    def _check_successor(self) -> None:
        """Who comes after all that finds what the rules say."""
        last = Process(self.world, "last")
        for partition in range(PARTITIONS["ledger"]):
            place = Place(TOPICS.ledger, partition)
            held = self.kind.take(last.logs, place, self.world.new_id(), clock=last.clock)
            verify(self.fences[partition], held)
