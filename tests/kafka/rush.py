"""The records of `traffic`, many times as fast, and their recount by code that shares nothing with the fold.

What stands behind the time of a record is drawn from a pool, so that each is one formatting to write, and one
look-up to count.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from monitor.reference.profile import Reference
from tests.kafka.traffic import PANE, START, WINDOW, Recount, is_drifting, rows_of, slots_of

POOL = 100_000
"""Records of each kind: so many that a window of them is not told from one of new draws."""
KNOWN = 20
"""Rare countries, all of which the reference knows: windows are larger than its own, and a percent of unknown values
would be a drift that never ends."""
EVERY = 83
"""Of so many records one cannot be read."""
_HEAD = b'{"ts": %d, '
_TIME = slice(7, 20)
_REST = 22
_BROKEN = b'"score": '


class Pool:
    """The ends of records, of ordinary and of drifting windows, each in two versions."""

    def __init__(self) -> None:
        self._ends = {
            (drifting, version): [
                json.dumps(
                    {
                        "id": "r",
                        "version": version,
                        "features": {"amount": amount, "country": country},
                        "score": score,
                    }
                ).encode()[1:]
                for _, amount, country, score in rows_of(4 * drifting, 99, POOL, KNOWN)
            ]
            for drifting in (False, True)
            for version in ("1", "2")
        }

    def records_of(
        self, window: int, partition: int, rows: int, *, drifting: bool | None = None
    ) -> Iterator[tuple[bytes, int]]:
        """(value, timestamp) of the records of one window and partition, in log order; `drifting` None: some windows are."""
        drifting = is_drifting(window) if drifting is None else drifting
        ends = self._ends[drifting, "1" if window < 20 else "2"]
        rng = np.random.default_rng((window, partition, rows))
        picks = rng.integers(0, POOL, rows).tolist()
        jitter = rng.integers(0, 15_000, rows)
        events = (START + window * WINDOW + np.arange(rows) * WINDOW // rows + jitter).tolist()
        for row, (event, pick) in enumerate(zip(events, picks, strict=True)):
            if row % EVERY == 41:
                yield _HEAD % event + _BROKEN, event
            yield _HEAD % event + ends[pick], event

    def recount(self, bootstrap: str, topic: str, reference: Reference, *, partitions: int) -> Recount:
        """Read the whole topic and count it."""
        consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "recount",
                "enable.auto.commit": False,
                "queued.max.messages.kbytes": 65_536,
                "log_level": 0,
            }
        )
        found = Recount()
        for partition in range(partitions):
            place = TopicPartition(topic, partition)
            found.ends[partition] = consumer.get_watermark_offsets(place, timeout=30)[1]
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
        number, slots = self._numbered(reference)
        left = sum(found.ends.values())
        while left:
            records = consumer.consume(10_000, 10.0)
            left -= len(records)
            _count(found, [record.value() for record in records], number, slots)
        consumer.close()
        return found

    def _numbered(self, reference: Reference) -> tuple[dict[bytes, int], np.ndarray]:
        """A number for each end, and int64[numbers, features]: the slots of its values."""
        number, slots = {}, []
        for ends in self._ends.values():
            for end in ends:
                if end not in number:
                    number[end] = len(number)
                    slots.append(slots_of(json.loads(b"{" + end), reference))
        return number, np.array(slots)


def _count(found: Recount, values: list[bytes], number: dict[bytes, int], slots: np.ndarray) -> None:
    kept = [value for value in values if value[_REST:] != _BROKEN]
    found.rejects += len(values) - len(kept)
    panes = np.array([int(value[_TIME]) for value in kept]) // PANE * PANE
    numbers = np.array([number[value[_REST:]] for value in kept])
    for pane in np.unique(panes).tolist():
        own = slots[numbers[panes == pane]]
        found.rows[pane] += len(own)
        which, counts = np.unique(own, return_counts=True)
        held = found.slots.setdefault(pane, Counter())
        held.update(dict(zip(which.tolist(), counts.tolist(), strict=True)))


def write(bootstrap: str, topic: str, pool: Pool, window: int, *, partitions: int, rows: int) -> int:
    """Write one window to the topic; how many records."""
    settings = {
        "bootstrap.servers": bootstrap,
        "linger.ms": 20,
        "compression.type": "lz4",
        "queue.buffering.max.messages": 1_000_000,
        "log_level": 0,
    }
    producer = Producer(settings)
    sent = 0
    for partition in range(partitions):
        for value, timestamp in pool.records_of(window, partition, rows):
            while True:
                try:
                    producer.produce(topic, value, partition=partition, timestamp=timestamp)
                    break
                except BufferError:
                    producer.poll(0.1)
            sent += 1
        producer.poll(0)
    if producer.flush(60):
        raise RuntimeError("the broker did not take all records within 60 s")
    return sent
