"""Someone who keeps the state of partitions, for the tests of the consumer."""

from __future__ import annotations

import time

from monitor.clock import SystemClock
from monitor.intake.consumer import Consumer
from monitor.intake.produce import Producer

PATIENCE = 20.0
"""Seconds a test waits for what must happen; far above what it takes."""


class Keeper:
    """Remembers what it was told and which offsets came, and fails on a doubled or skipped one."""

    def __init__(self, positions=()):
        self.next = dict(positions)
        self.owned = set()
        self.events = []
        self.taken = {}

    def positions(self, sources):
        self.events.append(("assigned", sorted(sources)))
        self.owned |= set(sources)
        return {source: self.next.get(source) for source in sources}

    def recovered(self):
        return {}

    def began(self, source, offset, *, since):
        self.events.append(("began", source, offset, since))
        self.next[source] = offset

    def revoked(self, sources):
        self.events.append(("revoked", sorted(sources)))
        self.owned -= set(sources)

    def lost(self, sources):
        self.events.append(("lost", sorted(sources)))
        self.owned -= set(sources)

    def take(self, batches):
        for batch in batches:
            assert batch.source in self.owned
            offsets = batch.offsets.tolist()
            start = self.next[batch.source]
            is_whole = offsets == list(range(start, start + len(offsets)))
            assert is_whole, f"{batch.source}: {offsets[:3]}…{offsets[-3:]} after {start}"
            self.next[batch.source] = start + len(offsets)
            self.taken.setdefault(batch.source, []).extend(batch.values)

    @property
    def records(self):
        return sum(map(len, self.taken.values()))


QUICK = {
    "session.timeout.ms": 2000,
    "heartbeat.interval.ms": 100,
    "fetch.wait.max.ms": 50,
    "reconnect.backoff.max.ms": 200,
}


def connect(broker, topic, keeper, *, start="earliest", properties=(), **rest):
    """A consumer in a group of the topic's own."""
    return Consumer(
        {"bootstrap.servers": broker.bootstrap, **QUICK, **dict(properties)},
        group=topic,
        topics={topic: start},
        assignments=keeper,
        clock=SystemClock(),
        **rest,
    )


def until(condition, *turns):
    """Turn every loop until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        for turn in turns:
            turn()


def drain(consumer, keeper, count):
    until(lambda: keeper.records >= count, lambda: keeper.take(consumer.poll(1000, 0.1)))
    assert keeper.records == count


def fill(broker, topic, values, *, partition=None, **rest):
    with Producer({"bootstrap.servers": broker.bootstrap}) as producer:
        for number, value in enumerate(values):
            producer.send(topic, value, partition=number % 3 if partition is None else partition, **rest)
        assert producer.flush() == len(values)
