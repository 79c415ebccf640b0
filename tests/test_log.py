from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from monitor import log
from monitor.clock import ManualClock
from monitor.secret import Secret


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def lines():
    """Configure JSON on a buffer; calling it gives the events written so far."""
    stream, clock = io.StringIO(), ManualClock()
    log.configure("json", "debug", stream=stream, clock=clock)

    def read() -> list[dict]:
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    read.clock = clock
    yield read
    structlog.reset_defaults()
    root = logging.getLogger()
    root.handlers = [one for one in root.handlers if type(one).__module__ != log.__name__]
    root.setLevel(logging.WARNING)


def test_an_event_is_one_json_line(lines):
    """ts in UTC, level, event and logger come first, then the key-values as they were given."""
    structlog.get_logger("monitor.ingest").info("batch_folded", topic="predictions", partition=3, rows=512)
    (event,) = lines()
    assert list(event) == ["ts", "level", "event", "logger", "topic", "partition", "rows"]
    assert event["ts"].endswith("Z")
    assert (event["level"], event["logger"], event["rows"]) == ("info", "monitor.ingest", 512)


def test_repeats_are_counted_not_written(lines):
    """An event with equal keys is written once in ten seconds; the next line says how many were left out."""
    logger = structlog.get_logger("monitor.deliver")
    for attempt in range(5):
        logger.warning("delivery_failed", integration="alertmanager", attempt=attempt)
    logger.warning("delivery_failed", integration="pagerduty", attempt=0)
    lines.clock.advance(9.9)
    logger.warning("delivery_failed", integration="alertmanager", attempt=5)
    lines.clock.advance(0.1)
    logger.warning("delivery_failed", integration="alertmanager", attempt=6)
    assert [(one["integration"], one["attempt"], one.get("suppressed")) for one in lines()] == [
        ("alertmanager", 0, None),
        ("pagerduty", 0, None),
        ("alertmanager", 6, 5),
    ]


def test_the_limiter_forgets_before_it_fills_memory(lines):
    """Many distinct events do not stay in memory."""
    limiter = log.RepeatLimiter(ManualClock())
    for index in range(3 * log.REPEATS_KEPT):
        limiter(None, "info", {"event": f"event_{index}"})
    assert len(limiter._seen) <= log.REPEATS_KEPT


def test_secrets_are_not_written(lines):
    """A secret that reaches a log line by mistake is written as <secret>."""
    structlog.get_logger().info("configured", token=Secret(value="hunter2"))
    assert lines()[0]["token"] == "<secret>"


def test_stacks_are_kept(lines):
    """An exception is one line too, with its stack in a field."""
    try:
        int("boom")
    except ValueError:
        structlog.get_logger().exception("boundary_contained")
    (event,) = lines()
    assert "ValueError: invalid literal" in event["exception"]


def test_libraries_end_in_the_same_stream(lines):
    """What a library says through logging becomes an event of the same shape, from warning upwards."""
    logging.getLogger("uvicorn.error").warning("port %d is odd", 7)
    logging.getLogger("urllib3").info("not this")
    (event,) = lines()
    assert (event["event"], event["logger"], event["text"]) == (
        "library_says",
        "uvicorn.error",
        "port 7 is odd",
    )


def test_the_level_can_be_changed_later(lines):
    """A logger made before `configure` follows it: a reload changes the level."""
    logger = structlog.get_logger("early")
    stream = io.StringIO()
    log.configure("json", "warning", stream=stream)
    logger.info("not_this")
    logger.warning("but_this")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["but_this"]
    assert sum(type(one).__module__ == log.__name__ for one in logging.getLogger().handlers) == 1


def test_a_terminal_gets_text(lines):
    """auto is aligned text on a terminal and JSON elsewhere."""
    stream = Terminal()
    log.configure("auto", stream=stream)
    structlog.get_logger("monitor.daemon").info("started", url="http://127.0.0.1:8710")
    assert not stream.getvalue().startswith("{")
    assert "started" in stream.getvalue()
    assert "http://127.0.0.1:8710" in stream.getvalue()


@pytest.mark.parametrize(("log_format", "level"), [("xml", "info"), ("json", "loud")])
def test_unknown_settings_are_refused(log_format, level):
    """The error says what would be right."""
    with pytest.raises(ValueError, match="one of"):
        log.configure(log_format, level)
