"""Where partitions end: as of the last fetch, or asked of the broker."""

from __future__ import annotations

from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaException, TopicPartition

from monitor.clock import Clock
from monitor.intake.questions import QUERY_SECONDS, query
from monitor.names import Source


class Ends:
    """Belongs to the polling thread, but for `high`. -1 means that it is not known."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._asked: dict[Source, tuple[float, int]] = {}

    def high(self, source: Source) -> int:
        """As of the last answer to a fetch, records of open transactions included."""
        try:
            _, high = self._client.get_watermark_offsets(TopicPartition(*source), cached=True)
        except (KafkaException, RuntimeError, TypeError):
            return -1
        return int(high)

    def asked(self, source: Source) -> int:
        """As of the last answer to a question, which is asked every QUERY_SECONDS at most."""
        now = self._clock.monotonic()
        at, end = self._asked.get(source, (-QUERY_SECONDS, -1))
        if now - at >= QUERY_SECONDS:
            end = self.now(source)
            self._asked[source] = (now, end)
        return end

    def now(self, source: Source) -> int:
        """How far it may be read, asked of the broker."""
        return query(self._client, source, 1.0)[1]

    def forget(self, source: Source) -> None:
        """It was taken away."""
        self._asked.pop(source, None)
