"""How the interpreter runs a daemon that makes and drops a million short-lived objects a second."""

from __future__ import annotations

import gc
import sys

YOUNG = 50_000
"""Objects that are made and not yet dropped before cycles are looked for. The client's records count
among them, and 700, the interpreter's own choice, is reached several times in every poll: looking
took a fifth of the polling thread's time, more beside all that stays, and found nothing."""
SWITCH = 0.0005
"""Seconds that a thread keeps the interpreter to itself while another waits for it. The fold thread
asks for it after every kernel; 5 ms, the interpreter's own choice, are longer than ten batches take."""


def begin() -> None:
    """Call before anything is imported: what a start makes, a million objects, stays; looking through it again and again
    was a tenth of the time."""
    gc.set_threshold(YOUNG)


def tune() -> None:
    """Call once, when everything that stays has been built: it is never looked at again for garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
    sys.setswitchinterval(SWITCH)
