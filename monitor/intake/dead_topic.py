"""Dead letters in a Kafka topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from monitor import metrics
from monitor.columns import Batch, Reject
from monitor.errors import DeadLetterError, IntakeError
from monitor.intake.client import REFUSALS, Listener, refusal
from monitor.intake.dead_letter import PREFIX, TIMESTAMP, error_fields
from monitor.intake.rotation import connect

FLUSH_SECONDS = 5.0
"""How long a checkpoint waits for acknowledgements: well inside the 30 s of the liveness probe."""
HELD_BYTES = 256 << 20
"""Bytes of rejects held while the topic takes none; what comes beyond is let go, and then only a
restart, which reads it again, goes on."""

_OURS = {"acks": "all", "enable.idempotence": False, "message.max.bytes": 1_000_000_000}
"""Duplicates are allowed and told apart by their offset, so that idempotence, whose errors are
fatal to a producer, would buy nothing. How large a record may be is the broker's decision."""


class TopicDeadLetters:
    """Sends key, value and headers as they were, with the error headers after them.

    The timestamp of a letter is the time of the rejection, else retention would delete at once what came
    from an old record; the record's own stands in a header.

    Acknowledged by all replicas before `flush` returns. A record that is larger than the topic
    allows is sent without its value, and its size stands in a header.
    """

    def __init__(self, topic: str, properties: Mapping[str, Any]) -> None:
        self._topic = topic
        self._listener = Listener()
        try:
            self._client = connect(Producer, {**properties, **_OURS}, self._listener)
        except REFUSALS as error:
            raise IntakeError(f"no kafka client - {refusal(error)}") from error
        self._held: list[dict[str, Any]] = []
        """To be sent, or to be sent again."""
        self._bytes = 0
        self._let_go = 0
        self._error = ""

    def put(self, batch: Batch, rejects: Sequence[Reject]) -> None:
        for reject in rejects:
            at = reject.index
            record: dict[str, Any] = {
                "value": batch.values[at],
                "key": batch.keys[at],
                "headers": [
                    *(batch.headers[at] or ()),
                    *error_fields(batch, reject).items(),
                    (TIMESTAMP, str(max(int(batch.timestamps[at]), -1))),
                ],
            }
            size = len(record["value"] or b"") + len(record["key"] or b"") + 1024
            if self._bytes + size > HELD_BYTES:
                self._let_go += 1
                continue
            record["size"] = size
            self._bytes += size
            self._send(record)
        self._client.poll(0)
        metrics.DEAD_LETTERS_TOTAL.labels(batch.source.topic).inc(len(rejects))

    def flush(self) -> None:
        self._listener.renew()
        again, self._held = self._held, []
        for record in again:
            self._send(record)
        left = self._client.flush(FLUSH_SECONDS)
        if self._held and not left and all("without" in record for record in self._held):
            again, self._held = self._held, []  # only the sizes were refused
            for record in again:
                self._send(record)
            left = self._client.flush(FLUSH_SECONDS)
        if left or self._held:
            metrics.DEAD_LETTERS_FAILED_TOTAL.labels(self._topic).inc(left + len(self._held))
            reason = self._error or f"no answer in {FLUSH_SECONDS:g} s"
            raise DeadLetterError(
                f"{left + len(self._held)} rejects not acknowledged ({reason}) - topic {self._topic} - "
                "must be writable"
            )
        if self._let_go:
            raise DeadLetterError(
                f"{self._let_go} rejects could not be held - topic {self._topic} - restart to read them again"
            )

    def close(self) -> None:
        self._client.purge()
        self._client.flush(1.0)
        self._held.clear()

    def _send(self, record: dict[str, Any]) -> None:
        def delivered(error: KafkaError | None, _record: Message) -> None:
            self._settle(record, error)

        try:
            self._client.produce(
                self._topic,
                record["value"],
                record["key"],
                on_delivery=delivered,
                headers=record["headers"],
            )
        except BufferError:
            self._held.append(record)
            self._client.poll(0.1)
        except KafkaException as error:
            self._settle(record, error.args[0])

    def _settle(self, record: dict[str, Any], error: KafkaError | None) -> None:
        if error is None:
            self._bytes -= record["size"]
            self._error = ""
            return
        self._error = error.str()
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE and "without" not in record:
            record["headers"] = [
                *record["headers"],
                (f"{PREFIX}value.bytes", str(len(record["value"] or b""))),
            ]
            record["value"] = None
            record["without"] = True
        self._held.append(record)
