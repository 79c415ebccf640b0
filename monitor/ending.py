"""The end of a process, inside the time that whoever ends it grants."""

from __future__ import annotations

import faulthandler
import os
import threading
from collections.abc import Collection

import structlog

from monitor.clock import Clock

log = structlog.get_logger(__name__)

GRACE = 50.0
"""Seconds from being told to end to the end, whatever happens: pods are given 60, and 55 at least."""
_ERRORS = 2
"""Standard error, by number: what stands for it in Python may be anything by then."""


def lingering(threads: Collection[threading.Thread], seconds: float, clock: Clock) -> list[str]:
    """Wait until all have ended, `seconds` at most in all; the names of those that have not."""
    end = clock.monotonic() + seconds
    for thread in threads:
        thread.join(max(end - clock.monotonic(), 0.0))
    return [thread.name for thread in threads if thread.is_alive()]


class Grace:
    """Sees to it that the process ends once it was asked to. One thread."""

    def __init__(self) -> None:
        self._begun = False

    def begin(self) -> None:
        """From here on it has GRACE seconds, then it is ended with status 1, and the stacks of its threads are told. A
        thread outside of the interpreter does it: nobody has to let go of its lock."""
        if not self._begun:
            self._begun = True
            faulthandler.dump_traceback_later(GRACE, exit=True, file=_ERRORS)

    @staticmethod
    def leave(threads: Collection[str], status: int) -> None:
        """End at once where threads do not: what they use is not to be closed under them, and nothing more becomes durable."""
        log.error("threads_linger", threads=sorted(threads))
        faulthandler.dump_traceback(file=_ERRORS)
        os._exit(status)
