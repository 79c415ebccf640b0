"""A small producer, for the demo and for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as Client

from monitor.errors import IntakeError
from monitor.intake.client import REFUSALS, Listener, client_properties, describe, refusal

Headers = Sequence[tuple[str, bytes | None]]


class Producer:
    """Sends records in order, each acknowledged by all replicas. Belongs to one thread."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        """`properties` are librdkafka's; `bootstrap.servers` at least."""
        self.acknowledged = 0
        self._failures: list[str] = []
        ours = {"enable.idempotence": True, "linger.ms": properties.get("linger.ms", 5)}
        listener = Listener()
        try:
            self._client = Client(client_properties({**properties, **ours}, listener))
        except REFUSALS as error:
            raise IntakeError(f"no kafka client - {refusal(error)}") from error

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        timestamp: int | None = None,
        partition: int = -1,
        headers: Headers | None = None,
    ) -> None:
        """Queue one record; `timestamp` in milliseconds, now when None. Waits while the queue is full.

        Raises IntakeError for a record that can never be sent.
        """
        arguments: dict[str, Any] = {"key": key, "partition": partition, "on_delivery": self._delivered}
        if timestamp is not None:
            arguments["timestamp"] = timestamp
        if headers:
            arguments["headers"] = list(headers)
        while True:
            try:
                self._client.produce(topic, value, **arguments)
            except BufferError:
                self._client.poll(0.1)
            except KafkaException as error:
                raise IntakeError(f"record refused - topic {topic} - {describe(error)}") from error
            else:
                self._client.poll(0)
                return

    def flush(self, timeout: float = 30.0) -> int:
        """Wait until every record sent so far is acknowledged; how many were, since the start.

        Raises IntakeError when some were not: refused, or not in time.
        """
        left = self._client.flush(timeout)
        if self._failures:
            failures, self._failures = self._failures, []
            raise IntakeError(f"{len(failures)} records refused - {failures[0]} - must be acknowledged")
        if left:
            raise IntakeError(f"{left} records not acknowledged - in {timeout} s - must be acknowledged")
        return self.acknowledged

    def close(self) -> None:
        """Drop what is still queued and disconnect; call `flush` first."""
        self._client.purge()
        self._client.flush(1.0)
        self._failures.clear()

    def _delivered(self, error: KafkaError | None, record: Message) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self._failures.append(f"{record.topic()}/{record.partition()}: {error.str()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
