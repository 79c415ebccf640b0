"""A few of the newest records of a topic, for a look at what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.clock import Clock, SystemClock
from monitor.intake.span import SpanReader


def sample(
    topic: str,
    properties: Mapping[str, Any],
    *,
    count: int,
    timeout: float,
    clock: Clock | None = None,
) -> list[tuple[bytes, int]]:
    """Values and record timestamps (ms, -1 when absent) of about the newest `count` records.

    Oldest first; null values are left out. All partitions give alike, as far as they hold so many.
    Raises IntakeError when the topic cannot be read, or nothing comes for `timeout` seconds.
    """
    reader = SpanReader(properties, clock=clock or SystemClock())
    found: list[tuple[bytes, int]] = []
    try:
        bounds = {source: reader.bounds(source) for source in reader.sources(topic)}
        spans = {
            source: (end - share, end)
            for (source, (_, end)), share in zip(
                bounds.items(), _shares([end - low for low, end in bounds.values()], count), strict=True
            )
        }
        for batches in reader.read(spans, stall=timeout):
            for batch in batches:
                pairs = zip(batch.values, batch.timestamps.tolist(), strict=True)
                found.extend((value, time) for value, time in pairs if value is not None)
    finally:
        reader.close()
    found.sort(key=lambda pair: pair[1])
    return found[-count:]


def _shares(held: list[int], count: int) -> list[int]:
    """How many records to take of each partition: equal parts, what one lacks the others give."""
    shares = [0] * len(held)
    order = sorted(range(len(held)), key=held.__getitem__)
    left = count
    for place, at in enumerate(order):
        shares[at] = min(held[at], -(-left // (len(held) - place)))
        left -= shares[at]
    return shares
