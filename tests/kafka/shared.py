"""One broker for all the processes of a run of the tests."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from tests.kafka.broker import ExternalBroker, KafkaBroker

_STARTED: list[KafkaBroker] = []
"""Those of this process that others may go on using: their processes are theirs as much as ours."""


class Running(NamedTuple):
    """Where a broker answers, and what ends with it."""

    bootstrap: str
    pid: int


def start(folder: Path) -> Running:
    """A broker that goes on when this process ends. Raises KafkaUnavailable."""
    broker = KafkaBroker(folder)
    _STARTED.append(broker)
    return Running(broker.bootstrap, broker.pid)


@contextmanager
def shared_broker(folder: Path, *, begin: Callable[[Path], Running] = start) -> Iterator[ExternalBroker]:
    """The broker of all who name the same folder: who comes first starts it, who goes last ends it.

    Who has crashed has gone: locks end with the process that holds them. Nobody waits for another to go, which would
    count as the time of a test. The broker is killed, since nobody reads its data again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    address = folder / "running.json"
    with (folder / "lock").open("a") as lock, (folder / "users").open("a") as users:
        with _locked(lock):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not address.exists():
                address.write_text(json.dumps(begin(folder / "broker")))
            running = Running(*json.loads(address.read_text()))
        try:
            yield ExternalBroker(running.bootstrap)
        finally:
            with _locked(lock):
                if _is_last(users):
                    os.kill(running.pid, signal.SIGKILL)
                    address.unlink()


@contextmanager
def _locked(file: IO[str]) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _is_last(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
