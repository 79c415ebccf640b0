"""A deterministic Kafka for the protocol: everything that can happen to a write, drawn from a seed.

One `SimulatedBroker` is shared by all simulated processes; each has a `SimulatedLogs` of its own
from `connect`. Where the real thing could be overtaken by another process, `SimulatedBroker.pause`
is called: a scheduler puts itself there. Without one everything runs straight through.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from monitor.clock import Clock, ManualClock
from monitor.errors import StateError, StateMissing, StateUnsettled
from monitor.state.kafka.logs import Place, Record, Write
from monitor.state.simulated import SimulatedCrash


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances that something happens: to a write, to a read, or at any pause."""

    crash: float = 0.0
    """The process dies before, between or after the records of a write."""
    unsettled: float = 0.0
    """A write is not acknowledged: some of it is there; the rest is lost, or comes later."""
    unread: float = 0.0
    """A read fails, at its beginning or in the middle."""
    dropped: float = 0.0
    """A record given to `send` is never written."""
    late: float = 0.0
    """What was given to `send` arrives later, also after what the same process writes next."""
    compact: float = 0.0
    """At a pause, some prefix of some partition is compacted."""
    is_hasty: bool = False
    """Tombstones go at once, also under a reader that began before them."""


@dataclass(slots=True)
class _Log:
    """One partition. `records` has holes where compaction was; `offsets` are theirs."""

    records: list[Record] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    end: int = 0
    cleaned: dict[int, int] = field(default_factory=dict)
    """Offset of a tombstone → how many reads had begun when compaction met it first."""


class SimulatedBroker:
    """All partitions of `topics` (name → number of partitions), and what is on its way to them.

    The same seed and the same order of calls give the same records. `pause` is called with the name
    of the process before every step that others can see; it may raise SimulatedCrash, which kills
    the process in the middle of what it does.
    """

    def __init__(
        self,
        seed: int,
        topics: Mapping[str, int],
        *,
        faults: Faults | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.random = random.Random(seed)
        self.faults = faults or Faults()
        self.pause: Callable[[str], None] = lambda name: None
        self.topics = dict(topics)
        self.fetch = self.random.choice([2, 40])
        """At most this many records come with one fetch: what is removed after it is seen all the same."""
        self.appended = self.compacted = 0
        self.history: dict[Place, list[Record]] = {}
        """Everything that was ever appended."""
        self._clock = clock or ManualClock()
        self._logs = {Place(t, p): _Log() for t, count in topics.items() for p in range(count)}
        self._flights: list[deque[Write]] = []
        self._readers: dict[int, SimulatedLogs] = {}
        self._reads = 0

    def connect(self, name: str) -> SimulatedLogs:
        """What a process that just started knows of Kafka."""
        return SimulatedLogs(self, name)

    def records(self, place: Place) -> list[Record]:
        """What is left of a partition."""
        return list(self._log(place).records)

    def step(self, name: str) -> None:
        """What happens beside the processes, then `pause`."""
        if self._flights and self.random.random() < 0.05:
            self.land()
        if self.faults.compact and self.random.random() < self.faults.compact:
            places = [place for place, log in self._logs.items() if len(log.records) > 1]
            if places:
                self.compact(self.random.choice(places))
        self.pause(name)

    def land(self) -> None:
        """One record that was on its way arrives, or a whole partition's worth of them is lost."""
        flight = self.random.choice(self._flights)
        if self.random.random() < 0.1:
            flight.clear()
        else:
            self.append(flight.popleft())
        if not flight:
            self._flights.remove(flight)

    def settle(self) -> None:
        """Everything that is on its way arrives or is lost."""
        while self._flights:
            self.land()

    def fly(self, writes: Sequence[Write]) -> None:
        """Let records arrive at some time, or never; in order within a place."""
        flights: dict[Place, deque[Write]] = {}
        for write in writes:
            flights.setdefault(write.place, deque()).append(write)
        self._flights += flights.values()

    def append(self, write: Write) -> int:
        log = self._log(write.place)
        offset = log.end
        record = Record(offset, write.key, write.value)
        log.records.append(record)
        self.history.setdefault(write.place, []).append(record)
        log.offsets.append(offset)
        log.times.append(self._clock.now_ms())
        log.end += 1
        self.appended += 1
        return offset

    def compact(self, place: Place, upto: int | None = None) -> None:
        """Keep the newest record of each key among those below `upto`, drawn when it is not given.

        The last record lies in the active segment, which is never compacted. A tombstone goes once
        no reader is left that had begun before compaction first met it: until then
        `delete.retention.ms` keeps it.
        """
        log = self._log(place)
        if len(log.records) < 2:
            return
        cut = self.random.choice([self.random.randint(1, len(log.records) - 1), len(log.records) - 1])
        if upto is not None:
            cut = min(bisect_left(log.offsets, upto), len(log.records) - 1)
        newest = {record.key: record.offset for record in log.records[:cut]}
        oldest = min(self._readers, default=self._reads)
        kept: list[int] = []
        for at, record in enumerate(log.records[:cut]):
            if newest[record.key] != record.offset:
                continue
            if record.value is None:
                met = log.cleaned.setdefault(record.offset, self._reads)
                if self.faults.is_hasty or met <= oldest:
                    del log.cleaned[record.offset]
                    continue
            kept.append(at)
        self.compacted += cut - len(kept)
        self._keep(log, [*kept, *range(cut, len(log.records))])

    def expire(self, place: Place, before: int) -> None:
        """Retention: forget the records that were appended before the time `before`."""
        log = self._log(place)
        self._keep(log, [at for at, time in enumerate(log.times) if time >= before])

    def renew(self, place: Place) -> None:
        """The topic was deleted and made anew."""
        self._logs[place] = _Log()

    def forget(self, logs: SimulatedLogs) -> None:
        """The process is dead: it reads no more."""
        for reader in [reader for reader, owner in self._readers.items() if owner is logs]:
            del self._readers[reader]

    def read(self, logs: SimulatedLogs, place: Place, start: int) -> Iterator[Record]:
        """As `Logs.read`; the reader counts as one from here until it is through, closed or dead."""
        end = self.end(place)
        reader = self._reads
        self._reads += 1
        self._readers[reader] = logs
        return self._fetches(reader, place, start, end)

    def _fetches(self, reader: int, place: Place, start: int, end: int) -> Iterator[Record]:
        log, logs = self._log(place), self._readers[reader]
        try:
            while True:
                logs.step()
                if self.faults.unread and self.random.random() < self.faults.unread:
                    raise StateError(f"cannot be read - {place} - see that the broker is up")
                low = bisect_left(log.offsets, start)
                high = bisect_left(log.offsets, end)
                fetched = log.records[low : min(high, low + self.random.randint(1, self.fetch))]
                if not fetched:
                    return
                yield from fetched
                start = fetched[-1].offset + 1
        finally:
            self._readers.pop(reader, None)

    def end(self, place: Place) -> int:
        return self._log(place).end

    def _log(self, place: Place) -> _Log:
        log = self._logs.get(place)
        if log is None:
            raise StateMissing(f"no such partition - {place} - create the topic")
        return log

    def _keep(self, log: _Log, kept: Sequence[int]) -> None:
        log.records[:] = [log.records[at] for at in kept]
        log.offsets[:] = [log.offsets[at] for at in kept]
        log.times[:] = [log.times[at] for at in kept]


class SimulatedLogs:
    """`Logs` of one process, until `kill`; after that every call raises SimulatedCrash."""

    def __init__(self, broker: SimulatedBroker, name: str) -> None:
        self._broker = broker
        self.name = name
        self.is_dead = False

    def kill(self) -> None:
        """The process dies; what it had given away already may still arrive."""
        self.is_dead = True
        self._broker.forget(self)

    def partitions(self, topic: str) -> int:
        self.step()
        count = self._broker.topics.get(topic)
        if count is None:
            raise StateMissing(f"no such topic - {topic} - create it")
        return count

    def write(self, records: Sequence[Write]) -> list[int]:
        broker, chance = self._broker, self._broker.random
        draw, faults = chance.random(), broker.faults
        is_fatal = draw < faults.crash
        is_unsettled = not is_fatal and draw < faults.crash + faults.unsettled
        order = _shuffled(records, chance)
        # Whole records more often than not: an answer that got lost is the ordinary case.
        whole = len(order) if chance.random() < 0.4 else chance.randint(0, len(order))
        upto = whole if is_fatal or is_unsettled else len(order)
        offsets = [-1] * len(records)
        done = 0
        try:
            for at in order[:upto]:
                self.step()
                offsets[at] = broker.append(records[at])
                done += 1
            self.step()
            if is_fatal:
                self.kill()
                raise SimulatedCrash(f"{self.name} died in a write")
        except SimulatedCrash:
            self._leave([records[at] for at in order[done:]])
            raise
        if is_unsettled:
            self._leave([records[at] for at in order[upto:]])
            raise StateUnsettled(f"not acknowledged - {self.name} - try again")
        return offsets

    def send(self, records: Sequence[Write]) -> None:
        chance, faults = self._broker.random, self._broker.faults
        self.step()
        kept = [write for write in records if chance.random() >= faults.dropped]
        if faults.late and chance.random() < faults.late:
            self._broker.fly(kept)
            return
        for write in kept:
            self._broker.append(write)

    def end(self, place: Place) -> int:
        self.step()
        return self._broker.end(place)

    def read(self, place: Place, start: int) -> Iterator[Record]:
        self.step()
        return self._broker.read(self, place, start)

    def step(self) -> None:
        """Where another process may go on, or this one die."""
        if not self.is_dead:
            self._broker.step(self.name)
        if self.is_dead:
            raise SimulatedCrash(f"{self.name} is dead")

    def _leave(self, rest: list[Write]) -> None:
        """What was not appended yet is on its way, or was never sent."""
        if rest and self._broker.random.random() < 0.6:
            self._broker.fly(rest)


def _shuffled(records: Sequence[Write], chance: random.Random) -> list[int]:
    """Positions in an order that keeps that of each place: partitions do not wait for each other."""
    places: dict[Place, deque[int]] = {}
    for at, write in enumerate(records):
        places.setdefault(write.place, deque()).append(at)
    if len(places) == 1:
        return list(range(len(records)))
    turns = [write.place for write in records]
    chance.shuffle(turns)
    return [places[place].popleft() for place in turns]
