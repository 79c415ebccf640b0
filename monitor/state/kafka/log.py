"""A state log that any number of processes share through compacted Kafka topics."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import structlog

from monitor import metrics
from monitor.clock import Clock
from monitor.errors import StateDamaged, StateError, StateFenced, StateForeign, StateMissing, StateTooNew
from monitor.names import Source
from monitor.sketch import Sketch
from monitor.state.codec import encode
from monitor.state.divergence import Divergences
from monitor.state.kafka import keys
from monitor.state.kafka.installation import Installation
from monitor.state.kafka.keys import WriterId, partition_of_model
from monitor.state.kafka.ledger import unpack
from monitor.state.kafka.logs import Logs, Place, Write
from monitor.state.kafka.offices import Loss, Office
from monitor.state.kafka.owner import LedgerOwner
from monitor.state.kafka.recover import Recovered, markers, recover
from monitor.state.kafka.shared import Shared, share
from monitor.state.kafka.sketches import ProgressReader, SketchReader
from monitor.state.kafka.writer import Writer
from monitor.state.log import Checkpoint, Entry, Ledger, Marker, Progress, Recovering

log = structlog.get_logger(__name__)

TAKE_AGAIN = 5.0
"""Seconds before a partition that another process took over is taken back, where the group still says that it
is ours: a process that slept does not know yet that it is not its any more, and finds out in less."""
LOOK_AGAIN = 300.0
"""Most seconds between looks at a partition that is damaged: each reads all of it, and somebody has to help."""
ASK_AGAIN = 30.0
"""Seconds before it is asked whether another installation, which took a partition over, still runs."""
ATTEND = 5.0
"""Seconds after which the rest of the partitions is left to the next turn, so that the loop is seen to live."""
MARKERS_SERVE = 60.0
"""Seconds that one reading of the state topic serves those who prune: each model does, one after the other."""
CHECK_EVERY = 1.0
"""Seconds between looks at who speaks for a partition; what is decided is checked in any case."""


class Topics(NamedTuple):
    """Names of our own topics."""

    state: str
    sketches: str
    progress: str
    ledger: str


class KafkaLog:
    """A `StateLog` over `Logs`. Partitions of models are ours as `owned` says, partition → generation.

    `recover` and `checkpoint` of one source are not called at the same time.
    """

    def __init__(
        self,
        logs: Logs,
        *,
        topics: Topics,
        owned: Callable[[], Mapping[int, int]],
        clock: Clock,
        stall: int = 120_000,
        draw: Callable[[], int] = lambda: secrets.randbits(64),
        accept_loss: bool = False,
        installation: Installation | None = None,
        joined: Callable[[], bool] = lambda: True,
        closing: Sequence[Callable[[], None]] = (),
    ) -> None:
        """`joined`: whether `owned` is known by now; `closing`: what `close` calls, in this order.

        `stall`: ms without news after which a process is not believed any more; `draw` gives ids of
        writers. Raises StateMissing where a topic does not exist."""
        self._logs = logs
        self._topics = topics
        self._owned = owned
        self._clock = clock
        self._accept_loss = accept_loss
        self._installation = installation
        self._joined = joined
        self._closing = closing
        self._draw = draw
        self._is_closed = False
        self._count = logs.partitions(topics.sketches)
        self._lock = threading.Lock()
        self._writers: dict[Source, Writer] = {}
        self._expected: set[Source] = set()
        self._offices: dict[int, Office] = {}
        self._losses: dict[int, Loss] = {}
        self._progress = ProgressReader(logs, Place(topics.progress, 0), clock=clock, stall=stall)
        self._divergences = Divergences()
        self._sketches = SketchReader(logs, topics.sketches, self._divergences)
        self._position = 0
        self._markers: tuple[float, Mapping[Source, Marker]] = (-MARKERS_SERVE - 1, {})
        """When the markers were read for pruning, and what they were: older ones prune less."""

    @property
    def divergences(self) -> int:
        return self._divergences.count

    # Ingest

    def expect(self, source: Source) -> None:
        with self._lock:
            self._expected.add(source)

    def recover(self, source: Source) -> Checkpoint | None:
        return self._recover(source, None)

    def recovering(self, sources: Collection[Source]) -> Iterator[Recovering]:
        for source, shared in share(self._logs, self._topics.state, sources):
            yield source, partial(self._recover, source, shared)

    def _recover(self, source: Source, shared: Shared | None) -> Checkpoint | None:
        self._refuse_closed()
        found = recover(self._logs, self._topics.state, source, accept_loss=self._accept_loss, shared=shared)
        self._tell(found)
        writer = Writer(
            self._logs, source, state=self._topics.state, sketches=self._topics.sketches,
            new_id=self._new_id, divergences=self._divergences, recovered=found.sealed, foreign=found.keys,
        )  # fmt: skip
        with self._lock:
            self._writers[source] = writer
            is_expected = source in self._expected
        if found.checkpoint is None and is_expected:
            raise StateMissing(
                f"input was consumed before, but its state is gone - {source} in {self._topics.state} - "
                "restore the topic, or accept the loss with --accept-data-loss"
            )
        return found.checkpoint

    def _tell(self, found: Recovered) -> None:
        """What an operator has to know of a recovery."""
        source = str(found.source)
        for key, applied in found.divergences:
            self._divergences.note(key, applied)
        if found.unreadable:
            log.error("state_damaged", source=source, records=found.unreadable)
        if found.is_damaged:
            log.error("state_given_up", source=source, records=len(found.keys))
        if found.checkpoint is not None and found.passed_over:
            metrics.STATE_FALLBACKS_TOTAL.inc()
            passed = {f"{one.writer:016x}": one.why for one in found.passed_over}
            applied = found.checkpoint.marker.applied
            log.error("state_fell_back", source=source, applied=applied, passed_over=passed)

    def checkpoint(self, source: Source, sketches: Sequence[Sketch], marker: Marker) -> None:
        with self._lock:
            writer = self._writers.get(source)
        if writer is None:
            self.recover(source)
            writer = self._writers[source]
        writer.checkpoint(sketches, marker)

    def release(self, source: Source) -> None:
        with self._lock:
            self._writers.pop(source, None)

    def store_anew(self, topics: Collection[str]) -> None:
        with self._lock:
            writers, offices = list(self._writers.values()), list(self._offices.values())
        if {self._topics.state, self._topics.sketches} & set(topics):
            for writer in writers:
                writer.forget()
        self._sketches.is_cut |= self._topics.sketches in topics
        self._progress.is_cut |= self._topics.progress in topics
        for office in offices if self._topics.ledger in topics else ():
            with contextlib.suppress(StateFenced):  # whoever speaks for them does the same
                office.owner.begin_anew(self._new_id())

    def lacks(self, source: Source) -> bool:
        writer = self._writers.get(source)
        return writer is not None and writer.is_void

    def report(self, progress: Progress) -> None:
        key = keys.encode(keys.ProgressKey(progress.source))
        self._logs.send([Write(Place(self._topics.progress, 0), key, encode(progress))])

    # Evaluate

    def announce(self, notice: Mapping[str, Any]) -> None:
        self._logs.send(self._progress.notices.records(notice))

    def announced(self) -> Collection[Mapping[str, Any]]:
        return self._progress.notices.newest.values()

    def attend(self) -> None:
        owned = dict(self._owned())
        with self._lock:
            held = dict(self._offices)
        for number, office in held.items():
            if owned.get(number) != office.generation:
                self._leave(number)
        begin = self._clock.monotonic()
        for number, generation in sorted(owned.items()):
            if self._clock.monotonic() - begin > ATTEND:
                return
            if number not in self._offices and self._may_take(number):
                self._take(number, generation)

    @property
    def is_settled(self) -> bool:
        with self._lock:
            held = {number: office.generation for number, office in self._offices.items()}
            damaged = {number for number, loss in self._losses.items() if loss.damage}
        owned = {number: one for number, one in self._owned().items() if number not in damaged}
        return self._joined() and held == owned

    def terms(self, models: Collection[str]) -> Mapping[str, int]:
        with self._lock:
            offices = dict(self._offices)
        found = {name: offices.get(self._partition(name)) for name in models}
        return {name: office.owner.term for name, office in found.items() if office is not None}

    def refused(self, models: Collection[str]) -> Mapping[str, str]:
        owned = self._owned()
        with self._lock:
            why = {
                number: loss.damage
                for number, loss in self._losses.items()
                if loss.damage and number in owned
            }
        found = {name: self._partition(name) for name in models}
        return {name: why[number] for name, number in found.items() if number in why}

    def models(self) -> set[str]:
        with self._lock:
            offices = list(self._offices.values())
        found: set[str] = set()
        for office in offices:
            with contextlib.suppress(StateFenced):  # whose models they are will be known by the next look
                found |= office.owner.models()
        return found

    def changes(
        self, models: Collection[str], after: int, anew: Collection[str] = ()
    ) -> tuple[int, Sequence[Sketch], Sequence[Progress]]:
        self._refuse_closed()
        if after == 0:
            self._sketches.restart()
        for model in anew:
            self._sketches.renew(self._partition(model), model)
        with self._lock:
            partitions = list(self._offices)
        progress = self._progress.read()  # before the sketches, which are older then than what it says
        sketches = self._sketches.read(partitions, models)
        self._position += bool(sketches)
        return self._position, tuple(sketches), progress

    def reached(self, topic: str) -> int:
        reports = self._progress.reports or {report.source: report for report in self._progress.read()}
        silent = [one for one in reports.values() if one.source.topic == topic and one.counted is None]
        return max((one.watermark for one in silent), default=-1)

    def ledger(self, model: str, *, kinds: Collection[str] | None = ()) -> Ledger:
        owner = self._owner(model)
        with self._fencing(model):
            owner.check(CHECK_EVERY)
            return Ledger(model, owner.term, owner.entries(model, kinds))

    def bodies(self, model: str, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        owner = self._owner(model)
        with self._fencing(model):
            owner.check(CHECK_EVERY)
            held = owner.packed(model, (kind,)).get(kind, {})
        for name, body in held.items():
            yield name, unpack(body)

    def append(self, model: str, entries: Sequence[Entry]) -> None:
        owner = self._owner(model)
        with self._fencing(model):
            owner.append(model, entries)

    def claim(self, model: str, intent: str, attempt: int) -> bool:
        owner = self._owner(model)
        with self._fencing(model):
            return owner.claim(model, intent, attempt, self._clock.now_ms())

    def prune(self, model: str, before: int) -> int:
        self._owner(model)
        if self._clock.monotonic() - self._markers[0] > MARKERS_SERVE:
            self._markers = self._clock.monotonic(), self.markers()
        live = {source: marker.live.get(model) for source, marker in self._markers[1].items()}
        place = Place(self._topics.sketches, self._partition(model))
        found = self._sketches.forget(place.partition, model, before, live)
        self._logs.send([Write(place, key, None) for keys_ in found.values() for key in sorted(keys_)])
        return len(found)

    def markers(self) -> dict[Source, Marker]:
        """The farthest marker of every source partition; reads all of the state topic."""
        return markers(self._logs, self._topics.state)

    def sources(self) -> Iterator[Source]:
        return iter(sorted(self.markers()))

    def close(self) -> None:
        """What was returned from is durable. Repeating it does nothing."""
        with self._lock:
            closing, self._closing, self._is_closed = self._closing, (), True
        for close in closing:
            close()

    def _refuse_closed(self) -> None:
        if self._is_closed:
            raise StateError("state log is closed - kafka - open it again")

    def _new_id(self) -> WriterId:
        return WriterId(self._draw())

    def _partition(self, model: str) -> int:
        return partition_of_model(model, self._count)

    def _owner(self, model: str) -> LedgerOwner:
        self._refuse_closed()
        with self._lock:
            office = self._offices.get(self._partition(model))
            loss = self._losses.get(self._partition(model))
        if office is None and loss is not None and loss.damage:
            raise StateDamaged(loss.damage)
        if office is None:
            raise StateFenced(f"another process speaks for this model - {model} - ask that one")
        return office.owner

    @contextlib.contextmanager
    def _fencing(self, model: str) -> Iterator[None]:
        """Let go of what another process has taken over, and of what is damaged."""
        try:
            yield
        except (StateFenced, StateDamaged) as error:
            self._lose(self._partition(model), error)
            raise

    def _take(self, number: int, generation: int) -> None:
        """Take a partition over. One that cannot be had must not silence the models of the others.

        One that was damaged is only looked at until it is not: to take it would fence nobody who judges, and
        add to the log each time."""
        place = Place(self._topics.ledger, number)
        loss = self._losses.get(number)
        try:
            if self._installation is not None and loss is not None and loss.is_foreign:
                self._installation.admit(number)
            if loss is not None and loss.damage:
                LedgerOwner.look(self._logs, place)
            owner = LedgerOwner.take(
                self._logs,
                place,
                self._new_id(),
                clock=self._clock,
                accept_loss=self._accept_loss,
                group=self._installation.group if self._installation else "",
            )
        except StateTooNew:
            raise
        except StateError as error:
            if not isinstance(error, StateForeign):
                log.error("models_not_taken_over", partition=number, error=str(error))
            self._lose(number, error)
            return
        log.info("models_taken_over", partition=number, term=owner.term)
        with self._lock:
            self._losses.pop(number, None)
            self._offices[number] = Office(owner, generation)

    def _lose(self, number: int, error: StateError) -> None:
        with self._lock:
            before = self._losses.get(number, Loss(0.0, 0.0, is_foreign=False, damage=""))
            is_foreign = before.is_foreign or isinstance(error, StateForeign)
            damage = str(error) if isinstance(error, StateDamaged) else before.damage
            wait = ASK_AGAIN if is_foreign else TAKE_AGAIN
            if before.damage:
                wait = min(2 * before.wait, LOOK_AGAIN)
            self._losses[number] = Loss(self._clock.monotonic() + wait, wait, is_foreign, damage)
        if isinstance(error, StateForeign):
            log.error("models_of_another_installation", partition=number, error=str(error))
        self._leave(number)

    def _leave(self, number: int) -> None:
        with self._lock:
            gone = self._offices.pop(number, None)
        if gone is not None:
            log.info("models_given_up", partition=number, term=gone.owner.term)

    def _may_take(self, number: int) -> bool:
        with self._lock:
            loss = self._losses.get(number)
        return loss is None or self._clock.monotonic() >= loss.until
