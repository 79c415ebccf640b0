"""Topics in memory, compacted where a test says so, and processes whose writes fail where it says so."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from monitor.errors import StateUnsettled
from monitor.state.kafka.logs import Place, Record, Write


class Died(BaseException):
    """The process was killed in the middle of a write."""


@dataclass
class Broker:
    """Every partition of `topics`, and records that are on their way to them."""

    topics: dict[str, int]
    records: dict[Place, list[Record]] = field(default_factory=dict)
    ends: dict[Place, int] = field(default_factory=dict)
    flights: list[list[Write]] = field(default_factory=list)
    met: set[tuple[Place, int]] = field(default_factory=set)
    """Tombstones that compaction has seen: it takes them the next time, if nobody reads."""
    readers: int = 0

    def append(self, write: Write) -> int:
        offset = self.ends.get(write.place, 0)
        self.records.setdefault(write.place, []).append(Record(offset, write.key, write.value))
        self.ends[write.place] = offset + 1
        return offset

    def land(self, at: int) -> None:
        """The next record of a flight arrives."""
        flight = self.flights[at]
        self.append(flight.pop(0))
        if not flight:
            del self.flights[at]

    def compact(self, place: Place, cut: int) -> None:
        """Keep the newest of each key among the first `cut` records; the last record is never touched."""
        log = self.records.get(place, [])
        cut = min(cut, len(log) - 1)
        newest = {record.key: record.offset for record in log[: max(cut, 0)]}
        kept = []
        for record in log[: max(cut, 0)]:
            if newest[record.key] != record.offset:
                continue
            if record.value is None:
                if (place, record.offset) in self.met and not self.readers:
                    continue
                self.met.add((place, record.offset))
            kept.append(record)
        log[: max(cut, 0)] = kept


@dataclass
class Fault:
    """What happens to a process after `after` more records."""

    after: int
    dies: bool = False
    is_late: bool = False
    """The rest of the write is on its way, and not lost."""


class Logs:
    """What a process knows of Kafka. `between` is called before each record that is read."""

    def __init__(self, broker):
        self.broker = broker
        self.fault = None
        self.sending = "now"
        self.between = lambda: None
        self.written = []
        self.acked = []

    def partitions(self, topic):
        return self.broker.topics[topic]

    def write(self, records):
        offsets = []
        for at, write in enumerate(records):
            self._fail(records[at:])
            offsets.append(self.broker.append(write))
            self.written.append(write)
            if self.fault:
                self.fault.after -= 1
        self._fail([])
        self.acked += records
        return offsets

    def send(self, records):
        if self.fault and self.fault.dies and self.fault.after < len(records):
            for write in records[: self.fault.after]:
                self.broker.append(write)
            raise Died
        if self.sending == "now":
            for write in records:
                self.broker.append(write)
        elif self.sending == "late" and records:
            self.broker.flights.append(list(records))

    def end(self, place):
        return self.broker.ends.get(place, 0)

    def read(self, place, start):
        return self._read(place, start, self.end(place))

    def _read(self, place, start, end):
        self.broker.readers += 1
        try:
            while True:
                self.between()
                log = self.broker.records.get(place, [])
                at = bisect_left(log, start, key=lambda record: record.offset)
                if at == len(log) or log[at].offset >= end:
                    return
                yield log[at]
                start = log[at].offset + 1
        finally:
            self.broker.readers -= 1

    def _fail(self, rest):
        if self.fault is None or self.fault.after > 0:
            return
        fault, self.fault = self.fault, None
        if rest and fault.is_late:
            self.broker.flights.append(list(rest))
        if fault.dies:
            raise Died
        raise StateUnsettled("not acknowledged - memory - try again")
