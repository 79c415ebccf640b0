"""Progress of long work, on stderr: a bar on a terminal, else a line per tenth."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

QUIET_SECONDS = 1.0
"""Shorter work says nothing when stderr is no terminal: logs of scripts stay short."""


@contextmanager
def progress(what: str) -> Iterator[Callable[[float], None]]:
    """A function that is told the share done, 0 to 1, as often as one likes."""
    if sys.stderr.isatty():
        with _bar(what) as tell:
            yield tell
    else:
        yield _lines(what)


def passes(tell: Callable[[float], None], *, rows: int, times: int) -> Callable[[int], None]:
    """Turns the row counts of several passes over the same rows into one share."""
    seen, number = 0, 0

    def rows_read(count: int) -> None:
        nonlocal seen, number
        if count < seen:
            number += 1
        seen = count
        tell(min(1.0, (number + min(count / max(rows, 1), 1.0)) / times))

    return rows_read


@contextmanager
def _bar(what: str) -> Iterator[Callable[[float], None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda share: bar.update(task, completed=share)


def _lines(what: str) -> Callable[[float], None]:
    from monitor.clock import SystemClock

    clock, shown = SystemClock(), 0
    began = clock.monotonic()

    def tell(share: float) -> None:
        nonlocal shown
        tenth = int(share * 10)
        if tenth > shown and clock.monotonic() - began >= QUIET_SECONDS:
            click.echo(f"{what}: {tenth * 10} %", err=True)
        shown = max(tenth, shown)

    return tell
