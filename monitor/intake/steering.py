"""Where the client library fetches, whatever it has in mind itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable

import structlog
from confluent_kafka import Consumer as Client
from confluent_kafka import KafkaException, TopicPartition

from monitor.intake.client import describe
from monitor.intake.fetch import Queue
from monitor.names import Source

log = structlog.get_logger(__name__)


class Steering:
    """Belongs to the polling thread. Partitions that are not assigned are left as they are."""

    def __init__(
        self,
        client: Client,
        queue: Queue | None,
        *,
        place: Callable[[Source], int],
        paused: Container[Source],
    ) -> None:
        """`place` says where a partition is to be fetched from; those `paused` are paused again."""
        self._client = client
        self._queue = queue
        self._place = place
        self._paused = paused

    def rewind(self, sources: Iterable[Source]) -> None:
        """Let the client fetch from our own positions, whatever it handed out meanwhile."""
        for source in list(sources):
            place = TopicPartition(*source, self._place(source))
            self._forward([source])
            try:
                self._client.seek(place)
            except (KafkaException, RuntimeError):  # it was not fetching yet
                self.fetch_anew([source])
            if source in self._paused:
                self.attempt(self._client.pause, source)

    def fetch_anew(self, sources: Iterable[Source]) -> None:
        """Give partitions up and take them again, as the group would."""
        for source in sources:
            try:
                self._client.incremental_unassign([TopicPartition(*source)])
                self.assign([TopicPartition(*source, self._place(source))])
            except (KafkaException, RuntimeError) as error:
                log.warning("seek_refused", source=str(source), text=describe(error))

    def assign(self, places: list[TopicPartition]) -> None:
        """Begin to fetch. The queue is told before, so that no record comes past it, and again after:
        the end of an earlier fetch, which the client has seen by then, takes partitions off it."""
        sources = [Source(place.topic, place.partition) for place in places]
        self._forward(sources)
        self._client.incremental_assign(places)
        self._forward(sources)

    def attempt(self, change: Callable[[list[TopicPartition]], None], source: Source) -> None:
        """Pause or resume it."""
        try:
            change([TopicPartition(*source)])
        except (KafkaException, RuntimeError) as error:
            log.debug("partition_not_assigned", source=str(source), text=describe(error))

    def _forward(self, sources: Collection[Source]) -> None:
        if self._queue is not None:
            self._queue.forward(sources)
