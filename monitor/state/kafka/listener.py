"""Callbacks of the clients of the state log, whose calls say themselves why they failed."""

from __future__ import annotations

from typing import Any

import structlog
from confluent_kafka import KafkaError

from monitor.intake.client import Listener

log = structlog.get_logger(__name__)


class StateListener(Listener):
    """Logs each reason once, until `answered`: while a broker is away every client of ours tells of every
    try to reach it, several times a second. The library's own lines, which say the same, are for debugging.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: set[str] = set()

    def answered(self) -> None:
        """Kafka did what it was asked."""
        if self._told:
            self._told = set()

    def _note_error(self, error: KafkaError) -> None:
        if error.fatal() or error.name() not in self._told:
            self._told.add(error.name())
            super()._note_error(error)
        elif error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 the library's public name
            self._last = error.str()

    def _note_line(self, level: int, text: str, *arguments: Any) -> None:
        log.debug("kafka_client", text=text % arguments if arguments else text)
