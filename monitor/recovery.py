"""Recovering partitions beside the polling, so that a long recovery costs no membership of the group."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection
from typing import NamedTuple

from monitor.clock import Clock
from monitor.errors import StateDamaged, StateError, StateMissing, StateTooNew
from monitor.names import Source
from monitor.state.log import Checkpoint, Progress

FINAL = (StateDamaged, StateMissing, StateTooNew)
"""What another try cannot mend."""
AGAIN = 1.0
"""Seconds between tries while the state log does not answer."""


class Recovered(NamedTuple):
    """What became of the recovery of a partition."""

    source: Source
    checkpoint: Checkpoint | None
    error: Exception | None
    """Why there is none, where another try would not help."""


class Recovery:
    """`begin`, `forget` and `finished` belong to the ingest thread; recovering has a thread of its own.

    Each assignment of a partition has a generation: what was recovered for one that is over is dropped,
    also when the partition has come back meanwhile.
    """

    def __init__(self, recover: Callable[[Source], Checkpoint | None], *, clock: Clock) -> None:
        self._recover = recover
        self._clock = clock
        self._generations: dict[Source, int] = {}
        self._count = 0
        self._todo: queue.SimpleQueue[tuple[Source, int] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Recovered, int]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recover", daemon=True)
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
            self._todo.put((source, self._count))

    def forget(self, sources: Collection[Source]) -> None:
        """They were taken away."""
        for source in sources:
            self._generations.pop(source, None)

    def finished(self) -> list[Recovered]:
        """Those that became ready since the last call, and are still wanted."""
        ready = []
        while not self._done.empty():
            recovered, generation = self._done.get()
            if self._generations.get(recovered.source) == generation:
                del self._generations[recovered.source]
                ready.append(recovered)
        return ready

    def close(self) -> None:
        """End the thread; a read that does not come back is left to itself."""
        self._generations.clear()
        self._stop.set()
        self._todo.put(None)
        self._thread.join(1.0)

    def _run(self) -> None:
        while (todo := self._todo.get()) is not None and not self._stop.is_set():
            source, generation = todo
            self._done.put((self._one(source, generation), generation))

    def _one(self, source: Source, generation: int) -> Recovered:
        """Tried until there is an answer, or nobody wants one."""
        while True:
            try:
                return Recovered(source, self._recover(source), None)
            except FINAL as error:
                return Recovered(source, None, error)
            except StateError as error:
                if self._generations.get(source) != generation or self._clock.wait(self._stop, AGAIN):
                    return Recovered(source, None, error)
            except Exception as error:  # noqa: BLE001 boundary: handed to the ingest thread
                return Recovered(source, None, error)


def refused_progress(source: Source, why: str, *, now: int) -> Progress:
    """What is told of a partition that cannot be read on until somebody helps."""
    return Progress(source, applied=0, end=-1, watermark=-1, idle=False, paused=why, observed=now)
