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
        self._silent_until = 0.0

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
            end = self.now(source)[1]
            self._asked[source] = (now, end)
        return end

    def now(self, source: Source) -> tuple[int, int]:
        """Where it begins and how far it may be read, asked of the broker; (-1, -1) without an answer.

        Where none came no question is asked for a while: each holds up the polling, and there are many
        partitions.
        """
        if self._clock.monotonic() < self._silent_until:
            return -1, -1
        found = query(self._client, source, QUERY_SECONDS)
        if found[1] < 0:
            self._silent_until = self._clock.monotonic() + QUERY_SECONDS
        return found

    def forget(self, source: Source) -> None:
        """It was taken away."""
        self._asked.pop(source, None)
