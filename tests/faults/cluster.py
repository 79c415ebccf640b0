"""A simulated cluster: replicas over topics in memory, one thread at a time, in an order drawn from a seed.

Every replica runs the real state log. It counts with the fold of `tests.state.kafka.oracle`, judges a pane when
all sources are past it, and tells an outside world of it under an id.
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter

from monitor.clock import ManualClock
from monitor.errors import StateError, StateFenced
from monitor.names import Source
from monitor.state.kafka.log import KafkaLog, Topics
from monitor.state.log import Entry, Progress
from monitor.state.simulated import SimulatedCrash
from tests.simulation.logs import SimulatedBroker
from tests.simulation.schedule import Schedule
from tests.state.kafka.oracle import Fold, cell_of, check, folded

TOPICS = Topics("state", "sketches", "progress", "ledger")
COUNTS = {"state": 2, "sketches": 2, "progress": 1, "ledger": 2}
MODEL = "m"
SOURCES = tuple(Source("in", partition) for partition in range(4))


class Replica:
    """One process. `sources` and `owned` are what the groups have given it, as far as it knows."""

    def __init__(self, broker, name, *, clock=None, accept_loss=False, owned=None, sources=(), seed=0):
        self.name = name
        self.clock = clock or ManualClock(1000)
        self.sources = dict.fromkeys(sources, 0)
        """Source → in which assignment it came."""
        self.owned = dict.fromkeys(range(COUNTS["ledger"]), 1) if owned is None else owned
        self.folds = {}
        self.logs = broker.connect(name)
        chance = random.Random(f"{name} {seed}")
        self.log = KafkaLog(
            self.logs,
            topics=TOPICS,
            owned=lambda: dict(self.owned),
            clock=self.clock,
            draw=lambda: chance.getrandbits(64),
            accept_loss=accept_loss,
        )

    def open(self, source):
        """Recover; what was recovered is what the log gives up to there."""
        found = self.log.recover(source)
        fold = self.folds[source] = Fold(source)
        if found is not None:
            check(found, source)
            fold.restore(found)
        return fold

    def work(self, source, count=7):
        """Read on, checkpoint, and say how far it is. Raises StateError; then the next call does both."""
        fold = self.folds.get(source) or self.open(source)
        fold.apply(count)
        sketches, marker = fold.checkpoint()
        self.log.checkpoint(source, sketches, marker)
        fold.confirm(marker)
        self.log.report(
            Progress(source, marker.applied, 99, marker.watermark, False, "", self.clock.now_ms())
        )
        return marker


class Cluster:
    """Replicas, the groups that share the work out, and the receiver of what they send."""

    def __init__(self, seed, faults, *, upto=200):
        self.schedule = Schedule(seed)
        self.chance = random.Random(seed)
        self.clock = ManualClock(1000)
        self.broker = SimulatedBroker(seed, COUNTS, faults=faults, clock=self.clock)
        self.broker.pause = self.schedule.pause
        self.upto = upto
        self.seed = seed
        self.sent = []
        """(intent, attempt) in order."""
        self.replicas = {}
        self.former = []
        self.tasks = {}
        self.generation = 0
        self.born = 0

    def start(self):
        self.born += 1
        name = f"replica {self.born}"
        self.replicas[name] = Replica(self.broker, name, clock=self.clock, owned={}, seed=self.seed)
        self.tasks[name] = self.schedule.start(name, lambda: self._live(self.replicas[name]))
        self.share()

    def share(self, *, without=()):
        """The groups give everything to the replicas that they believe alive; others are not told."""
        self.generation += 1
        names = sorted(self.replicas.keys() - set(without))
        for at, source in enumerate(SOURCES):
            for name in names:
                mine = names[(at + self.generation) % len(names)] == name
                if not mine:
                    self.replicas[name].sources.pop(source, None)
                else:
                    self.replicas[name].sources.setdefault(source, self.generation)
        for number in range(COUNTS["ledger"]):
            for name in names:
                mine = names[(number + self.generation) % len(names)] == name
                if not mine:
                    self.replicas[name].owned.pop(number, None)
                else:
                    self.replicas[name].owned.setdefault(number, self.generation)

    def kill(self, name):
        self.schedule.kill(self.tasks.pop(name))
        self.former.append(self.replicas.pop(name))
        self.former[-1].logs.kill()
        if self.replicas:
            self.share()

    def due(self, upto):
        """Panes that all sources are past at this offset, and their rows."""
        rows, live = Counter(), []
        for source in SOURCES:
            marker, cells = folded(source, upto)
            live.append(marker.live[MODEL])
            for key, (slots, _, _) in cells.items():
                if key.model == MODEL:
                    rows[key.pane] += sum(slots)
        return {str(pane): count for pane, count in rows.items() if pane < min(live)}

    def _live(self, replica):
        """What a process does until it is killed."""
        known, opened, terms, after = {}, {}, None, 0
        try:
            while not replica.logs.is_dead:
                for source, assignment in list(replica.sources.items()):
                    if opened.get(source) != assignment:
                        replica.folds.pop(source, None)
                        opened[source] = assignment
                    with contextlib.suppress(StateError):
                        if source not in replica.folds:
                            replica.open(source)
                        left = self.upto - replica.folds[source].applied
                        replica.work(source, min(7, left))
                with contextlib.suppress(StateError):
                    replica.log.attend()
                    now = replica.log.terms([MODEL])
                    if now != terms:
                        known, terms, after = {}, now, 0
                    after, sketches, reports = replica.log.changes([MODEL], after)
                    known.update((sketch.key, sketch) for sketch in sketches)
                    if now:
                        self._judge(replica, known, reports)
                        self._send(replica)
                self.clock.advance(1.0)
                replica.logs.step()
        except SimulatedCrash:
            replica.logs.kill()
            raise

    def _judge(self, replica, known, reports):
        """One append of the verdict and of what has to be sent because of it."""
        ledger = replica.log.ledger(MODEL, kinds=None)
        marks = {report.source: report.watermark for report in reports}
        if marks.keys() < set(SOURCES):
            return
        rows = Counter()
        for key, sketch in known.items():
            rows[key.pane] += sum(cell_of(sketch)[0])
        for pane in sorted(rows):
            if pane < min(marks.values()) - 100 and str(pane) not in ledger.of("verdict"):
                intent = Entry("intent", f"page-{pane}", {})
                replica.log.append(MODEL, [Entry("verdict", str(pane), {"rows": rows[pane]}), intent])

    def _send(self, replica):
        ledger = replica.log.ledger(MODEL)
        for intent in ledger.of("intent"):
            attempt = sum(claim["intent"] == intent for claim in ledger.of("claim").values())
            if replica.log.claim(MODEL, intent, attempt):
                self.sent.append((intent, attempt))
                replica.logs.step()
                outcome = Entry("outcome", intent, {"state": "sent"})
                with contextlib.suppress(StateFenced):
                    replica.log.append(MODEL, [outcome, Entry("intent", intent, None)])
