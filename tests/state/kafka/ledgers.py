"""Processes that take a ledger from each other, on a broker that does its worst, and what must come of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from monitor.clock import ManualClock
from monitor.errors import StateError, StateFenced
from monitor.state.kafka import keys
from monitor.state.kafka.batch import decode_batch, encode_batch, items_of
from monitor.state.kafka.keys import BatchKey, OwnerKey, WriterId
from monitor.state.kafka.logs import Logs, Place, Record, Write
from monitor.state.kafka.owner import LedgerOwner
from monitor.state.log import Entry
from tests.simulation.logs import Faults, SimulatedBroker
from tests.simulation.schedule import Baton, Schedule

PLACE = Place("ledger", 0)
MODELS = ("fraud", "churn")

Standing = dict[tuple[str, str, str], Any]
"""(model, kind, id) → body."""


class Broker(SimulatedBroker):
    """Of a write that failed any part arrives, in any order; and compaction may be broken off: it has read
    on further than it has cleaned."""

    def __init__(self, seed: int = 0, faults: Faults | None = None) -> None:
        super().__init__(seed, {PLACE.topic: 1}, faults=faults)

    @property
    def written(self) -> list[Record]:
        """Everything that was ever appended."""
        return self.history.get(PLACE, [])

    def fly(self, writes: Iterable[Write]) -> None:
        for write in writes:
            super().fly([write])

    def compact(self, place: Place, upto: int | None = None) -> None:
        log = self._log(place)
        if not log.records:
            return
        before = list(zip(log.records, log.offsets, log.times, strict=True))
        super().compact(place, upto)
        end = log.end if upto is not None else self.random.randint(0, log.end)
        after = zip(log.records, log.offsets, log.times, strict=True)
        left = [row for row in after if row[1] < end] + [row for row in before if row[1] >= end]
        log.records, log.offsets, log.times = (list(column) for column in zip(*left, strict=True))

    def clean(self) -> None:
        """Compact everything, tombstones too, but for a new last record, which counts for nothing."""
        self.append(batch(BatchKey("", 1 << 40, 0)))
        for _ in range(2):
            self.compact(PLACE, self.end(PLACE))


def take(broker: SimulatedBroker, writer: int = 1, **rest: Any) -> LedgerOwner:
    return LedgerOwner.take(
        broker.connect(f"p{writer}"), PLACE, WriterId(writer), clock=ManualClock(), **rest
    )


def batch(key: BatchKey, *entries: Entry) -> Write:
    return Write(PLACE, keys.encode(key), encode_batch(items_of(entries)))


def standing(records: Iterable[Record]) -> Standing:
    """What stands if no tombstone is heeded: the rule by which batches count, and nothing else."""
    term = seq = -1
    live: Standing = {}
    for record in records:
        key = keys.decode_ledger(record.key)
        if record.value is None:
            continue
        if isinstance(key, OwnerKey):
            term, seq = record.offset, -1
        elif key.term == term and key.seq > seq:
            seq = key.seq
            for kind, name, text in decode_batch(record.value):
                live.pop((key.model, kind, name), None)
                if text is not None:
                    live[key.model, kind, name] = json.loads(text)
    return live


def found(owner: LedgerOwner) -> Standing:
    return {
        (model, kind, name): body
        for model in MODELS
        for kind, bodies in owner.entries(model, None).items()
        for name, body in bodies.items()
    }


class Life:
    """One process that takes the partition again and again, and remembers what it was promised."""

    def __init__(self, name: str, logs: Logs, schedule: Schedule, owner: type[LedgerOwner]) -> None:
        self.name = name
        self.claims: list[tuple[str, int]] = []
        self._logs = logs
        self._schedule = schedule
        self._owner = owner

    def live(self) -> None:
        owner: LedgerOwner | None = None
        while True:
            try:
                if owner is None:
                    writer = WriterId(self._schedule.random.getrandbits(64))
                    owner = self._owner.take(self._logs, PLACE, writer, clock=ManualClock())
                    owner._lock = Baton(self._schedule)
                self._act(owner)
            except StateFenced:
                owner = None
            except StateError:
                self._schedule.pause(self.name)

    def _act(self, owner: LedgerOwner) -> None:
        draw = self._schedule.random
        model = draw.choice(MODELS)
        if draw.random() < 0.3:
            intent, attempt = f"{model}-{draw.randint(0, 5)}", draw.randint(0, 3)
            if owner.claim(model, intent, attempt, 0):
                self.claims.append((intent, attempt))
            return
        kinds, bodies = ("cursor", "verdict"), (None, {"n": draw.random()})
        owner.append(model, [
            Entry(draw.choice(kinds), str(draw.randint(0, 3)), draw.choice(bodies))
            for _ in range(draw.randint(1, 3))
        ])  # fmt: skip


ROUGH = Faults(crash=0.01, unsettled=0.12, compact=0.08)


def _same(records: Iterable[Record]) -> Iterator[Record]:
    return iter(records)


def live(
    seed: int,
    *,
    faults: Faults = ROUGH,
    owner: type[LedgerOwner] = LedgerOwner,
    wrap: Callable[[Logs], Logs] = lambda logs: logs,
    seen: Callable[[Iterable[Record]], Iterator[Record]] = _same,
) -> None:
    """Five processes that die, sleep, wake up and write on. AssertionError where a promise was broken:
    the next owner finds what the rule makes of all that was ever written, no claim was made twice, and
    all that were made are there. `wrap` and `seen`: what other logs write, and what is meant by it."""
    broker, schedule = Broker(seed, faults), Schedule(seed)
    broker.pause = schedule.pause
    lives = []
    try:
        for number in range(5):
            name = f"p{number}"
            lives.append(Life(name, wrap(broker.connect(name)), schedule, owner))
            task = schedule.start(name, lives[-1].live)
            schedule.run(120)
            draw = schedule.random.random()
            if draw < 0.3:
                schedule.kill(task)
            elif draw < 0.6:
                schedule.stop(task)
            for each in schedule.tasks:
                if schedule.random.random() < 0.3:
                    schedule.go_on(each)
        schedule.run(200)
    finally:
        schedule.close()
    broker.pause, broker.faults = (lambda _: None), Faults()
    broker.settle()
    _judge(lives, standing(seen(broker.written)), lambda n: _taken(owner, wrap(broker.connect("last")), n))


def _taken(owner: type[LedgerOwner], logs: Logs, writer: int) -> Standing:
    return found(owner.take(logs, PLACE, WriterId(writer), clock=ManualClock()))


def _judge(lives: list[Life], expected: Standing, taken: Callable[[int], Standing]) -> None:
    assert taken(1) == expected
    assert taken(2) == expected
    claims = [claim for each in lives for claim in each.claims]
    assert len(set(claims)) == len(claims)
    assert {f"{intent}/{attempt}" for intent, attempt in claims} <= {
        name for _, kind, name in expected if kind == "claim"
    }
