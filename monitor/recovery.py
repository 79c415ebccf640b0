"""Recovering partitions, beside the polling where reading the state takes its time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import NamedTuple

import structlog

from monitor.clock import Clock
from monitor.errors import IntakeError, StateDamaged, StateError, StateMissing, StateTooNew
from monitor.names import Source
from monitor.state.log import Checkpoint, Progress, StateLog

log = structlog.get_logger(__name__)

FINAL = (StateDamaged, StateMissing, StateTooNew)
"""What another try cannot mend."""
AGAIN = 1.0
"""Seconds between tries while the state log does not answer."""


class Recovered(NamedTuple):
    """What became of the recovery of a partition."""

    source: Source
    checkpoint: Checkpoint | None
    error: Exception | None
    """Why it cannot be read on."""


class Recovery:
    """`begin`, `forget` and `finished` belong to the ingest thread.

    Each assignment of a partition has a generation: what was recovered for one that is over is dropped,
    also when the partition has come back meanwhile. Beside the polling, a partition whose state is not
    answered for is tried again until it is, or is taken away.
    """

    def __init__(self, state: StateLog, *, clock: Clock, beside: bool, accept_loss: bool) -> None:
        """`beside`: on a thread of its own; otherwise `begin` does it at once. Without `accept_loss` a
        partition that the group has read, and of which there is no state, ends in StateMissing."""
        self.is_beside = beside
        self._state = state
        self._clock = clock
        self._accept_loss = accept_loss
        self._generations: dict[Source, int] = {}
        self._count = 0
        self._todo: queue.SimpleQueue[Collection[tuple[Source, int]]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Recovered, int]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recover", daemon=True)
        if beside:
            self._thread.start()

    @property
    def waiting(self) -> Collection[Source]:
        """Partitions that are being recovered."""
        return self._generations.keys()

    def begin(self, sources: Collection[Source]) -> None:
        """Recover newly assigned partitions, one after the other."""
        for source in sources:
            self._count += 1
            self._generations[source] = self._count
        if self.is_beside:
            self._todo.put([(source, self._generations[source]) for source in sources])
            return
        for source, recover in self._state.recovering(sources):
            self._done.put((_try(source, recover), self._generations[source]))

    def forget(self, sources: Collection[Source]) -> None:
        """They were taken away. Called before the state log releases them: what is recovered of them after
        that call is released here."""
        for source in sources:
            self._generations.pop(source, None)

    def finished(self, committed: Callable[[Collection[Source]], Mapping[Source, int]]) -> list[Recovered]:
        """Those that became ready since the last call, and are still wanted.

        `committed` asks the broker for the offsets of the group. Raises what it raises where nothing is
        done beside; there, the partitions are recovered again instead.
        """
        ready = []
        while not self._done.empty():
            recovered, generation = self._done.get()
            if self._generations.get(recovered.source) == generation:
                del self._generations[recovered.source]
                ready.append(recovered)
        fresh = [one.source for one in ready if one.error is None and one.checkpoint is None]
        if not fresh or self._accept_loss:
            return ready
        try:
            consumed = {source for source, offset in committed(fresh).items() if offset > 0}
        except IntakeError:
            if not self.is_beside:
                raise
            self.begin(fresh)
            return [one for one in ready if one.source not in fresh]
        return [self._expected(one.source) if one.source in consumed else one for one in ready]

    def close(self) -> None:
        """End the thread; a read that does not come back is left to itself. Repeating it does nothing."""
        self._generations.clear()
        self._stop.set()
        self._todo.put(())
        if self.is_beside:
            self._thread.join(1.0)

    def _expected(self, source: Source) -> Recovered:
        """Look once more, as one who knows that there must be something."""
        self._state.expect(source)
        return _try(source, partial(self._state.recover, source))

    def _run(self) -> None:
        while not self._stop.is_set():
            todo = self._next()
            for source, recover in self._state.recovering(list(todo)):
                if self._stop.is_set():
                    return
                self._recover(source, todo[source], recover)

    def _next(self) -> dict[Source, int]:
        """All that are still wanted, with their generations: what the state log reads for one may serve the
        others. Waits until something comes, which need not be one of these."""
        found = [*self._todo.get()]
        while not self._todo.empty():
            found += self._todo.get()
        return {source: number for source, number in found if not self._is_over(source, number)}

    def _recover(self, source: Source, generation: int, recover: Callable[[], Checkpoint | None]) -> None:
        if self._is_over(source, generation):
            return
        found = _try(source, recover)
        if self._is_over(source, generation):
            # Taken away, and released, while it was read: what the state log holds of it since is
            # nobody's. One that came back waits for this thread.
            self._state.release(source)
        elif not isinstance(found.error, StateError) or isinstance(found.error, FINAL):
            self._done.put((found, generation))
        else:
            log.warning("recovery_waits", source=str(source), error=str(found.error))
            if not self._clock.wait(self._stop, AGAIN):
                self._todo.put([(source, generation)])  # behind the others, whose state may lie elsewhere

    def _is_over(self, source: Source, generation: int) -> bool:
        return self._generations.get(source) != generation


def _try(source: Source, recover: Callable[[], Checkpoint | None]) -> Recovered:
    try:
        return Recovered(source, recover(), None)
    except Exception as error:  # noqa: BLE001 boundary: handed to the ingest thread
        return Recovered(source, None, error)


def refused_progress(source: Source, why: str, *, now: int) -> Progress:
    """What is told of a partition that cannot be read on until somebody helps."""
    return Progress(source, applied=0, end=-1, watermark=-1, idle=False, paused=why, observed=now)
