"""Moments at which the daemon's process can be held: in the middle of a recovery, of a read of the state, of a rebalance,
of its end."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
import time
from pathlib import Path

from monitor import daemon, ending
from monitor.ingest import Ingest
from monitor.state.kafka import broker
from monitor.state.kafka.log import KafkaLog
from monitor.state.kafka.reader import Reader
from monitor.state.local import LocalLog

HOLD = "DRIFTLINE_HOLD"
"""Names the file that holds, see `Hold`."""
MOMENT = "DRIFTLINE_HOLD_AT"
"""What it holds: one of `MOMENTS`."""


class Hold:
    """Holds while its file is there; the first passes are let through, as many as stand in it.

    `<file>.reached` has a line for each pass: the process, and what came by.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._passes = 0

    def wait(self, what: object) -> None:
        self._passes += 1
        with self._file.with_suffix(".reached").open("a") as reached:
            reached.write(f"{os.getpid()} {what}\n")
        while self._is_closed():
            time.sleep(0.02)

    def _is_closed(self) -> bool:
        try:
            return self._passes > int(self._file.read_text() or 0)
        except FileNotFoundError:
            return False


def hold_recoveries(hold: Hold) -> None:
    """Before each partition whose state is recovered."""
    recovering = KafkaLog.recovering

    def wait(source, recover):
        hold.wait(source)
        return recover()

    def held(state, sources):
        for source, recover in recovering(state, sources):
            yield source, functools.partial(wait, source, recover)

    KafkaLog.recovering = held


def hold_reads(hold: Hold) -> None:
    """Before each record of the state that a recovery reads, of which hardly any are fetched ahead."""
    read = Reader.read
    broker.READING = {**broker.READING, "queued.min.messages": 1, "fetch.message.max.bytes": 1000}

    def held(reader, place, start, end):
        with contextlib.closing(read(reader, place, start, end)) as records:
            for record in records:
                if threading.current_thread().name == "recover":
                    hold.wait(f"{place} {record.offset}")
                yield record

    Reader.read = held


def hold_callback(name: str, hold: Hold) -> None:
    """In a callback of a rebalance, before anything is done in it."""
    callback = getattr(Ingest, name)

    def held(ingest, sources):
        hold.wait(name)
        return callback(ingest, sources)

    setattr(Ingest, name, held)


def hold_last(hold: Hold) -> None:
    """In the last checkpoint, for longer than is waited for, which is long enough to come there on a busy machine."""
    daemon.JOIN = 10.0
    close = Ingest.close

    def held(ingest):
        hold.wait("last")
        return close(ingest)

    Ingest.close = held


def hold_close(_: Hold) -> None:
    """Where the state is closed, by what does not let go of the interpreter's lock, as a defect of a library would not."""
    ending.GRACE = 3.0
    LocalLog.close = lambda _: ctypes.PyDLL(None).sleep(600)


MOMENTS = {
    "recovery": hold_recoveries,
    "read": hold_reads,
    "assigned": functools.partial(hold_callback, "positions"),
    "last": hold_last,
    "close": hold_close,
    "revoked": functools.partial(hold_callback, "revoked"),
}
