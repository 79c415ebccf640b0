"""What every Kafka client of ours shares: properties, and callbacks that never raise."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException

log = structlog.get_logger(__name__)

PARTITION_END = KafkaError._PARTITION_EOF  # noqa: SLF001 the library's public name
_OF_ANOTHER_KIND = re.compile(r"is a (consumer|producer) property and will be ignored by this \w+ instance")
"""`kafka.properties` are given to clients of every kind, so that each refuses what is wrong with any of them. That one
of them has no use for a property is nothing that an operator could mend."""
OUT_OF_RANGE = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001
        KafkaError._LOG_TRUNCATION,  # noqa: SLF001
        KafkaError.OFFSET_OUT_OF_RANGE,
    }
)
"""A position is not in the log: deleted by retention, cut off, or of a topic that is gone."""


def ignore(_event: str) -> None:
    """Counts nothing."""


class Listener:
    """The client library's callbacks. They may run inside `consume`, where an exception would drop
    the records in hand; so they keep it, and `failure` hands it out afterwards.

    `count(event)` is called with kafka_error, kafka_fatal, kafka_statistics, callback_raised.
    """

    def __init__(
        self,
        *,
        count: Callable[[str], None] = ignore,
        statistics: Callable[[str], None] | None = None,
    ) -> None:
        self.fatal: KafkaError | None = None
        self.errors = 0
        """How many the library has told."""
        self.client: Any = None
        self.login = ("", "")
        """The client that it listens to and how that one logs in, where it does: see `rotation`."""
        self._renewed = False
        self._last = ""
        self._count = count
        self._statistics = statistics
        self._failures: list[BaseException] = []

    def failure(self) -> BaseException | None:
        """The first exception of a callback since the last call."""
        failures, self._failures = self._failures, []
        return failures[0] if failures else None

    def heed(self) -> None:
        """Raise what `failure` would return."""
        if (failure := self.failure()) is not None:
            raise failure

    def guard(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call it; an exception is kept for `failure`, and None returned."""
        try:
            return function(*arguments)
        except BaseException as error:  # noqa: BLE001 boundary: the library drops records on any exception
            self._failures.append(error)
            try:
                self._count("callback_raised")
            except Exception as second:  # noqa: BLE001 the same boundary
                self._failures.append(second)
            return None

    def take_login(self, login: tuple[str, str]) -> None:
        """Another user and password for the client; from any thread."""
        self.login, self._renewed = login, True

    def renew(self) -> None:
        """Tell the client, for its next connection. On the client's own thread: from another one the call would
        wait until nobody polls."""
        if self._renewed:
            self._renewed = False
            self.client.set_sasl_credentials(*self.login)

    @property
    def last(self) -> str:
        """The last error that the library told, "" when there was none."""
        return self._last

    def reason(self, client: Any, error: BaseException) -> str:
        """Why a call failed: what the library noted of its connections, which says more than `error`."""
        client.poll(0)  # the library hands out what it noted only from here
        return self._last or describe(error)

    def on_error(self, error: KafkaError) -> None:
        self.guard(self._note_error, error)

    def on_statistics(self, text: str) -> None:
        self.guard(self._note_statistics, text)

    def log(self, level: int, text: str, *arguments: Any) -> None:
        """Take a line of the client library's own log, as `logging.Logger.log` would."""
        self.guard(self._note_line, level, text, *arguments)

    def _note_error(self, error: KafkaError) -> None:
        self.errors += 1
        self._count("kafka_fatal" if error.fatal() else "kafka_error")
        if error.fatal():
            self.fatal = error
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 what it says, `_last` says better
            self._last = error.str()
        log.warning("kafka_error", reason=error.name(), text=error.str(), fatal=error.fatal())

    def _note_statistics(self, text: str) -> None:
        self._count("kafka_statistics")
        if self._statistics is not None:
            self._statistics(text)

    def _note_line(self, level: int, text: str, *arguments: Any) -> None:
        line = text % arguments if arguments else text
        least = logging.DEBUG if _OF_ANOTHER_KIND.search(line) else level
        log.log(max(least, logging.DEBUG), "kafka_client", text=line)


def client_properties(properties: Mapping[str, Any], listener: Listener) -> dict[str, Any]:
    """Properties for a confluent_kafka client, with the callbacks in."""
    found = {**properties, "error_cb": listener.on_error, "logger": listener}
    if int(properties.get("statistics.interval.ms", 0)):
        found["stats_cb"] = listener.on_statistics
    return found


def refusal(error: BaseException) -> str:
    """Why a client could not be made."""
    return f"kafka - {describe(error)}"


def describe(error: BaseException) -> str:
    """What the client library says."""
    first = error.args[0] if error.args else error
    return str(first.str()) if isinstance(first, KafkaError) else str(first)


REFUSALS = (KafkaException, ValueError, TypeError, SystemError)
"""What the library raises when it does not like its properties."""
