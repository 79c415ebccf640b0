"""Calls that one thread hands to the loop of another, and waits for."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future

from monitor.errors import StateError

PATIENCE = 20.0
"""Seconds a loop may take to come round; one batch or one judgement takes well under one."""


class Errands:
    """`call` from any thread; `serve` from the one that owns what the calls change."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[tuple[Callable[[], object], Future[object]]] = queue.SimpleQueue()

    def call(self, errand: Callable[[], object]) -> None:
        """Have `errand` done and wait for it; what it raises is raised here.

        Raises StateError when the loop does not come round; then it will not be done later either.
        """
        done: Future[object] = Future()
        self._waiting.put((errand, done))
        try:
            done.result(timeout=PATIENCE)
        except TimeoutError:
            if done.cancel():
                raise StateError(
                    f"the loop was busy for {PATIENCE:g} s - while taking a change - try again"
                ) from None
            done.result()  # it has begun

    def serve(self) -> None:
        """Do what waits."""
        while not self._waiting.empty():
            errand, done = self._waiting.get()
            if not done.set_running_or_notify_cancel():
                continue
            try:
                done.set_result(errand())
            except Exception as error:  # noqa: BLE001 boundary: handed to the caller
                done.set_exception(error)
