"""Which partitions there are, and whether Kafka answers at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

import structlog

from monitor.clock import Clock
from monitor.names import Source

log = structlog.get_logger(__name__)

EVERY = 30.0
"""Seconds between looks at the partition count of the topics."""
AGAIN = 1.0
"""Seconds between looks while a topic is lacking, or the client library complains."""
LOOK = 2.0
"""Seconds after which a look leaves the other topics to the next: it holds up the ingest loop."""


class Asked(Protocol):
    """The consumer, as far as it is asked here."""

    @property
    def complaint(self) -> str: ...

    @property
    def complaints(self) -> int: ...

    def partition_count(self, topic: str) -> int: ...


class Expected:
    """The partitions of the topics, as of the last look. The ingest thread calls `tick`; the rest is for all.

    A look is taken now and then, and soon after any complaint of the client library, which says within a moment that
    a broker has gone but not whether another one answers.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sources: dict[str, tuple[Source, ...]] = {}
        self.lacking: Mapping[str, bool] = {}
        """Topic → whether Kafka did not describe it when it was last asked; replaced whole."""
        self._complaint = ""
        self._complaints = 0
        self._looked = -EVERY

    def tick(self, topics: Collection[str], kafka: Asked) -> None:
        """Look where it is time to; while nobody answers that takes some seconds."""
        is_wanted = any(self.lacking.values()) or kafka.complaints != self._complaints
        if self._clock.monotonic() - self._looked < (AGAIN if is_wanted else EVERY):
            return
        self._complaints = kafka.complaints
        self._look(topics, kafka)
        self._looked = self._clock.monotonic()

    def of(self, topic: str) -> tuple[Source, ...]:
        """All partitions of a topic, none before it was described; the same object until there are others."""
        return self._sources.get(topic, ())

    def why_not(self, topics: Collection[str]) -> str:
        """Why it is not known what is there to be read, "" where it is."""
        if lacking := [topic for topic in topics if self.lacking.get(topic)]:
            complaint = self._complaint and f" ({self._complaint})"
            return f"Kafka does not answer, or knows no topic {', '.join(lacking)}{complaint}"
        return "" if all(map(self.of, topics)) else "Kafka was not asked about all topics yet"

    def _look(self, topics: Collection[str], kafka: Asked) -> None:
        asked: dict[str, bool] = {}
        begin = self._clock.monotonic()
        for topic in topics:
            count = kafka.partition_count(topic)
            asked[topic] = count <= 0
            if count > 0 and len(self.of(topic)) != count:
                self._sources[topic] = tuple(Source(topic, number) for number in range(count))
            if self._clock.monotonic() - begin > LOOK:
                break
        self._complaint = kafka.complaint
        self._tell(asked)
        self.lacking = {topic: lacks for topic, lacks in {**self.lacking, **asked}.items() if topic in topics}

    def _tell(self, asked: Mapping[str, bool]) -> None:
        """Log what went missing since it was last asked about, and what is there again: once for each trouble."""
        answers = not all(asked.values())
        for topic, lacks in asked.items():
            if lacks == self.lacking.get(topic, False):
                continue
            if not lacks:
                log.info("input_topic_found", topic=topic, partitions=len(self.of(topic)))
                continue
            why = (
                "Kafka knows no topic of this name"
                if answers
                else "Kafka does not answer, or knows no topic of this name"
            )
            log.error(
                "input_topic_missing", topic=topic, error=f"{why}, or does not show it to us", complaint=self._complaint,
                note="what is judged or measured by its records waits; create it, or mend sources.<name>.topic or its ACL",
            )  # fmt: skip
