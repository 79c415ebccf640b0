"""Sketches, markers and the two stores that the state tests run over."""

from __future__ import annotations

import contextlib
import random
import tempfile
from pathlib import Path

import numpy as np

from monitor import failpoint
from monitor.clock import ManualClock
from monitor.names import REASONS, SketchKey, Source
from monitor.sketch import Sketch
from monitor.state.codec import digest
from monitor.state.kafka.log import KafkaLog, Topics
from monitor.state.local import LocalLog
from monitor.state.log import AGREE, Marker, Progress
from monitor.state.simulated import SimulatedCrash, SimulatedLog
from tests.simulation.logs import SimulatedBroker

SOURCE = Source("predictions", 0)
OTHER = Source("predictions", 1)


def make_key(model="fraud", *, pane=0, source=SOURCE, version="1", segment=""):
    return SketchKey(model, "cafe", version, "champion", segment, pane, source)


def make_sketch(
    key=None, *, applied=10, seed=0, slots=40, numeric=2, rules=3, latency=60, novel=True, words=0
):
    """A sketch whose content depends on `seed` alone."""
    rng = np.random.default_rng(seed)
    counts = np.zeros(slots, np.int64)
    filled = rng.integers(0, slots, rng.integers(0, slots)) if slots else []
    counts[filled] = rng.integers(1, 10 ** rng.integers(1, 12), len(filled))
    return Sketch(
        key=key or make_key(),
        applied=applied,
        rows=int(rng.integers(0, 1000)),
        errors=int(rng.integers(0, 10)),
        counts=counts,
        sums=rng.integers(-(10**12), 10**12, (numeric, 3)),
        extremes=np.sort(rng.normal(size=(numeric, 2)), axis=1) if seed % 3 else np.tile([np.inf, -np.inf], (numeric, 1)),
        latency=(rng.random(latency) < 0.1) * rng.integers(1, 1 << 40, latency),
        violations=rng.integers(0, 3, rules),
        rejects=rng.integers(0, 3, len(REASONS)),
        first=int(rng.integers(0, 5)),
        last=int(rng.integers(5, 10)),
        novel={0: {f"cat{i}": i + 1 for i in range(1 + seed % 4)}} if novel else {},
        vectors=rng.integers(-(1 << 50), 1 << 50, words),
    )  # fmt: skip


def make_marker(source=SOURCE, *, applied=10, live=None, **changes):
    values = {
        "start": 0,
        "watermark": 5,
        "largest": (7,) + (-1,) * (AGREE - 1),
        "live": {} if live is None else live,
        "records": applied,
        "tallies": {"fraud|late": 2},
    }
    return Marker(source, applied, **{**values, **changes})


def make_progress(source=SOURCE, *, applied=10, watermark=5, counted=None):
    return Progress(source, applied, 20, watermark, False, "", 1000, counted=counted)


def contents(sketches):
    """Key → digest."""
    return {sketch.key: digest(sketch) for sketch in sketches}


class Died(BaseException):
    """Stands in for SIGKILL where the test must live on."""


class LocalStore:
    """A `LocalLog` whose process can be made to die at a point."""

    dies = Died
    is_shared = False

    def __init__(self, directory):
        self.directory = directory
        self.log = LocalLog(directory, clock=ManualClock(1000))

    def crash_at(self, point, *, nth=1):
        def die():
            raise Died(point)

        failpoint.arm(point, nth=nth, action=die)

    def restart(self):
        failpoint.disarm()
        self.log.close()
        self.log = LocalLog(self.directory, clock=ManualClock(1000))

    def close(self):
        failpoint.disarm()
        self.log.close()


class SimulatedStore:
    dies = SimulatedCrash
    is_shared = False

    def __init__(self):
        self.log = SimulatedLog(0, clock=ManualClock(1000))

    def crash_at(self, point, *, nth=1):
        self.log.crash_at(point, nth=nth)

    def restart(self):
        self.log.restart()

    def close(self):
        self.log.close()


class KafkaStore:
    """A `KafkaLog` over simulated topics; every life is a process of its own, which speaks for all models."""

    dies = Died
    is_shared = True
    """Its records are there before the process knows: those of an append that died inside, and sketches of a
    checkpoint that did. Positions belong to a process."""
    topics = Topics("state", "sketches", "progress", "ledger")

    def __init__(self):
        self.broker = SimulatedBroker(0, {"state": 3, "sketches": 4, "progress": 1, "ledger": 4})
        self.lives = 0
        self._begin()

    def _begin(self):
        self.lives += 1
        drawn = random.Random(self.lives)
        self.log = KafkaLog(
            self.broker.connect(f"life {self.lives}"),
            topics=self.topics,
            owned=lambda: dict.fromkeys(range(4), self.lives),
            clock=ManualClock(1000),
            draw=lambda: drawn.getrandbits(64),
        )
        self.log.attend()

    def crash_at(self, point, *, nth=1):
        def die():
            raise Died(point)

        failpoint.arm(point, nth=nth, action=die)

    def restart(self):
        failpoint.disarm()
        self._begin()

    def close(self):
        failpoint.disarm()
        self.log.close()


@contextlib.contextmanager
def opened(kind):
    """An empty store of this kind."""
    with contextlib.ExitStack() as stack:
        if kind == "local":
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            store = LocalStore(directory / "state")
        else:
            store = SimulatedStore() if kind == "simulated" else KafkaStore()
        stack.callback(store.close)
        yield store


KINDS = ("local", "simulated", "kafka")
