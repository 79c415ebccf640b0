"""Calls handed from one thread to the loop of another."""

from __future__ import annotations

import threading

import pytest

from monitor import errands
from monitor.errands import Errands
from monitor.errors import StateError


def serving(work: Errands, stop: threading.Event) -> threading.Thread:
    """A loop that comes round often."""

    def loop() -> None:
        while not stop.wait(0.001):
            work.serve()

    thread = threading.Thread(target=loop)
    thread.start()
    return thread


def test_an_errand_is_done_on_the_thread_that_serves() -> None:
    """The caller waits until it is done, and gets what it raised."""
    work, stop, where = Errands(), threading.Event(), []
    thread = serving(work, stop)
    try:
        work.call(lambda: where.append(threading.current_thread()))
        assert where == [thread]
        with pytest.raises(ZeroDivisionError):
            work.call(lambda: 1 // 0)
        work.call(lambda: where.append(threading.current_thread()))
        assert where == [thread, thread]
    finally:
        stop.set()
        thread.join()


def test_an_errand_nobody_took_is_never_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who has given up must not find later that it happened after all."""
    monkeypatch.setattr(errands, "PATIENCE", 0.01)
    work, done = Errands(), []
    with pytest.raises(StateError, match="busy"):
        work.call(lambda: done.append(1))
    work.serve()
    assert done == []
