"""Two contents of one sketch: the fold was no function of the log prefix."""

from __future__ import annotations

import threading

import structlog

from monitor import metrics
from monitor.names import SketchKey

_log = structlog.get_logger(__name__)


class Divergences:
    """Counts them for one state log and says where they are. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    @property
    def count(self) -> int:
        return self._count

    def note(self, key: SketchKey, applied: int) -> None:
        """A sketch was met that had the `applied` of another one and other content."""
        topic, partition = key.source
        _log.error(
            "state_divergence",
            model=key.model,
            topic=topic,
            partition=partition,
            pane=key.pane,
            applied=applied,
        )
        metrics.STATE_DIVERGENCE_TOTAL.inc()
        with self._lock:
            self._count += 1
