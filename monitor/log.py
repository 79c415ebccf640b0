"""How driftline says what it does: one event per line, on standard error.

Events have constant snake_case names and key-values; record and feature values never appear.
JSON for machines, aligned text on a terminal. Modules call `structlog.get_logger(__name__)` at import;
`configure` decides later how it looks.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from monitor.clock import Clock, SystemClock

REPEAT_SECONDS = 10.0
"""An event that repeats within this time is counted instead of written.

A dead Alertmanager at one retry a second would otherwise write 86 400 equal lines a day.
"""
REPEAT_KEYS = (
    *("model", "window", "state", "transitions"),
    *(
        "topic",
        "partition",
        "partitions",
        "source",
        "sources",
        "integration",
        "target",
        "reason",
        "boundary",
        "text",
    ),
)
"""What tells two occurrences of an event apart; other values (offsets, counts) may differ.

Of a model's windows that close together each keeps its line, and a drift is not left out for an ok.
"""
REPEATS_KEPT = 4096
"""Distinct events remembered; at 200 bytes each under 1 MB. Beyond it the memory starts anew."""

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
FORMATS = ("auto", "json", "text")


class RepeatLimiter:
    """A structlog processor that writes each (event, keys) at most once in REPEAT_SECONDS.

    The next line that is written says in `suppressed` how many were left out. Errors and debug lines
    are treated alike. Shared by all threads.
    """

    def __init__(self, clock: Clock, seconds: float = REPEAT_SECONDS) -> None:
        self._clock = clock
        self._seconds = seconds
        self._lock = threading.Lock()
        self._seen: dict[tuple[object, ...], tuple[float, int]] = {}

    def __call__(self, _logger: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
        key = (event_dict.get("event"), method, *(str(event_dict.get(name, "")) for name in REPEAT_KEYS))
        now = self._clock.monotonic()
        with self._lock:
            written, left_out = self._seen.get(key, (-self._seconds, 0))
            if now - written < self._seconds:
                self._seen[key] = (written, left_out + 1)
                raise structlog.DropEvent
            if len(self._seen) >= REPEATS_KEPT:
                self._seen.clear()
            self._seen[key] = (now, 0)
        if left_out:
            event_dict["suppressed"] = left_out
        return event_dict


class _Writer(structlog.WriteLogger):
    """Writes to one stream and remembers the name that `structlog.get_logger` was called with."""

    def __init__(self, stream: TextIO, name: str) -> None:
        super().__init__(stream)
        self.name = name


class _FromStdlib(logging.Handler):
    """Passes records of libraries that use `logging` (uvicorn, urllib3) on to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        stack = {"exc_info": record.exc_info} if record.exc_info else {}
        logger = structlog.get_logger(record.name)
        logger.log(record.levelno, "library_says", text=record.getMessage(), **stack)


def configure(
    log_format: str = "auto",
    level: str = "info",
    *,
    stream: TextIO | None = None,
    clock: Clock | None = None,
) -> None:
    """Set how and how much is logged; may be called again (a reload changes the level).

    `auto` is text on a terminal and JSON otherwise. Raises ValueError for an unknown format or level.
    """
    if log_format not in FORMATS:
        raise ValueError(f"{log_format!r} is not a log format - log format - one of {', '.join(FORMATS)}")
    if level not in LEVELS:
        raise ValueError(f"{level!r} is not a log level - log level - one of {', '.join(LEVELS)}")
    out = stream or sys.stderr
    if log_format == "auto":
        log_format = "text" if out.isatty() else "json"
    structlog.configure(
        processors=_processors(log_format, clock or SystemClock(), colors=out.isatty()),
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *names: _Writer(out, names[0] if names else "driftline"),
        cache_logger_on_first_use=False,
    )
    _adopt_stdlib(max(LEVELS[level], logging.WARNING))


def _processors(log_format: str, clock: Clock, *, colors: bool) -> list[Processor]:
    """The pipeline; policy is this list."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        RepeatLimiter(clock),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
    ]
    if log_format == "text":
        return [
            *shared,
            _name,
            structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="ts", sort_keys=False),
        ]
    return [
        *shared,
        _name,
        structlog.processors.format_exc_info,
        _order,
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
    ]


def _name(logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    event_dict["logger"] = getattr(logger, "name", "driftline")
    return event_dict


def _order(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """ts, level, event, logger first, then the rest in the order it was said."""
    first: dict[str, Any] = {
        key: event_dict.pop(key) for key in ("ts", "level", "event", "logger") if key in event_dict
    }
    first.update(event_dict)
    return first


def _adopt_stdlib(level: int) -> None:
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, _FromStdlib)]:
        root.removeHandler(old)
    root.addHandler(_FromStdlib())
    root.setLevel(level)
