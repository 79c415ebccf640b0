"""How `driftline state reset` removes a checkpoint, from a directory or from topics."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.errors import StateConflict

if TYPE_CHECKING:
    from monitor.cli.inspectors import Where
    from monitor.names import Source
    from monitor.state.inventory import SourceHolding
    from monitor.state.log import Progress

Confirm = Callable[[str], None]
"""Shows what would be removed; raises where it is not to be."""


def reset_directory(directory: Path, source: Source, *, confirm: Confirm) -> None:
    """Raises StateConflict while a daemon owns the directory, and StateError."""
    from monitor.cli.state import nothing_held
    from monitor.clock import SystemClock
    from monitor.state.inspector import LocalInspector
    from monitor.state.local import LocalLog

    with contextlib.closing(LocalInspector(directory)) as state:
        found = state.inventory(source).sources
    if not found:
        raise nothing_held(source)
    with contextlib.closing(LocalLog(directory, clock=SystemClock())) as log:
        confirm(f"{describe(found[0])} in {directory}, and all sketches of it that are kept for windows")
        log.forget(source)


def reset_topics(place: Where, source: Source, *, confirm: Confirm, force: bool) -> None:
    """Raises StateConflict while a replica seems to write the partition, unless `force`; and StateError."""
    from monitor.cli.state import nothing_held
    from monitor.clock import SystemClock
    from monitor.state.kafka.broker import Broker
    from monitor.state.kafka.inspector import KafkaInspector, last_written
    from monitor.state.kafka.reset import reset

    clock = SystemClock()
    with contextlib.closing(Broker(place.properties(), clock=clock)) as logs:
        state = KafkaInspector(logs, place.topics, place=place.plan.kafka.prefix, close=logs.close)
        found = state.recovered(source)
        if not found.keys:
            raise nothing_held(source)
        if not force:
            _refuse_written(
                last_written(logs, place.topics, source), now=clock.now_ms(), stall=place.plan.stall
            )
        (holding,) = state.inventory(source).sources
        confirm(f"{describe(holding)}, {len(found.keys)} records in {place.topics.state}")
        reset(logs, place.topics, source, state.recovered(source).keys)


def describe(found: SourceHolding) -> str:
    """What is removed, in a line."""
    far = f"applied through {found.marker.applied}" if found.marker else found.why
    writers = f" of {len(found.writers)} writers" if found.writers else ""
    return f"the checkpoint of {found.source}{writers}: {far}, {found.sketches} live sketches"


def _refuse_written(report: Progress | None, *, now: int, stall: int) -> None:
    if report is None or now - report.observed > stall:
        return
    ago = max(now - report.observed, 0)
    raise StateConflict(
        f"a replica reads it: it told of offset {report.applied} {ago / 1000:.0f} s ago - {report.source} - "
        f"stop all replicas, then wait {(stall - ago) / 1000:.0f} s or use --force"
    )
