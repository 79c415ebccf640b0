"""A process that folds a source and checkpoints it, and what one who reads the sketches topic has."""

from __future__ import annotations

import itertools

from monitor.state.divergence import Divergences
from monitor.state.kafka.chunks import Joints, Sealed, read_part
from monitor.state.kafka.keys import WriterId, decode_published
from monitor.state.kafka.logs import Place
from monitor.state.kafka.recover import recover
from monitor.state.kafka.writer import Writer
from tests.state.kafka.memory import Broker, Logs
from tests.state.kafka.oracle import A, Fold

STATE = Place("state", 0)


def make_broker():
    return Broker({"state": 1, "sketches": 2})


class Process:
    """One assignment of a source to one process."""

    def __init__(self, broker, source, new_id, divergences, **limits):
        self.source = source
        self.logs = Logs(broker)
        self.fold = Fold(source)
        found = recover(self.logs, "state", source)
        assert not found.divergences
        self.recovered = found.checkpoint
        if found.checkpoint is not None:
            self.fold.restore(found.checkpoint)
        self.writer = Writer(
            self.logs, source, state="state", sketches="sketches", new_id=new_id, divergences=divergences,
            recovered=found.sealed, foreign=found.keys, **limits,
        )  # fmt: skip

    def checkpoint(self):
        sketches, marker = self.fold.checkpoint()
        self.writer.checkpoint(sketches, marker)
        self.fold.confirm(marker)
        return marker


class World:
    """A broker, and processes that come and go."""

    def __init__(self, **limits):
        self.broker = make_broker()
        self.divergences = Divergences()
        self.limits = limits
        self._ids = itertools.count(1)

    def start(self, source=A):
        new_id = lambda: WriterId(next(self._ids))  # noqa: E731
        return Process(self.broker, source, new_id, self.divergences, **self.limits)

    def recover(self, source=A):
        return recover(Logs(self.broker), "state", source)

    def compact(self):
        """Twice: tombstones stay the first time."""
        for _ in range(2):
            for place, records in self.broker.records.items():
                self.broker.compact(place, len(records))

    def land(self):
        while self.broker.flights:
            self.broker.land(0)

    def held(self):
        """Keys that hold a value in the state topic."""
        held = {record.key: record.value for record in self.broker.records.get(STATE, [])}
        return {key for key, value in held.items() if value is not None}


def published(broker):
    """The newest sketches of the sketches topic, by key."""
    newest, joints = {}, Joints()
    for partition in range(broker.topics["sketches"]):
        for record in Logs(broker).read(Place("sketches", partition), 0):
            name = decode_published(record.key)
            part = read_part(record.key, record.value)
            body = joints.take(name._replace(chunk=0), name.chunk, part)
            held = newest.get(name.sketch)
            if body is not None and (held is None or held.applied < part.head.applied):
                newest[name.sketch] = Sealed(name.sketch, part.head.applied, part.head.digest, body)
    return newest
