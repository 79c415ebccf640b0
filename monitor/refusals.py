"""What is refused again and again, told now and then."""

from __future__ import annotations

import math

import structlog

from monitor.clock import Clock

log = structlog.get_logger(__name__)

EVERY = 60.0
"""Seconds between two lines of what goes on: a loop tries again twice a second."""


class Refusals:
    """One thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next: dict[tuple[str, str], float] = {}

    def tell(self, event: str, error: Exception, *, model: str = "") -> None:
        """Log it, unless the same was refused to the same model less than a minute ago."""
        now, key = self._clock.monotonic(), (event, model)
        if now < self._next.get(key, -math.inf):
            return
        self._next[key] = now + EVERY
        log.error(event, error=str(error), **({"model": model} if model else {}))
