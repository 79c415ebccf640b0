"""Step 1, poll: Kafka to batches, without ever losing an offset on the way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import structlog
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka import Consumer as Client

from monitor.clock import Clock
from monitor.columns import Batch
from monitor.errors import IntakeError
from monitor.intake.batch import batches_of, by_source
from monitor.intake.client import (
    OUT_OF_RANGE,
    PARTITION_END,
    REFUSALS,
    Listener,
    OAuth,
    client_properties,
    describe,
    ignore,
    refusal,
)
from monitor.intake.gap import Gap, GapKind
from monitor.names import Source

log = structlog.get_logger(__name__)

QUERY_SECONDS = 5.0
"""How long a question to the broker may take; the poll interval is 300 s, the liveness limit 30 s."""

TUNED = {
    "queued.max.messages.kbytes": 32_768,
    "fetch.queue.backoff.ms": 2,
}
"""32 MiB of records fetched ahead are 0.1 s of work. When as much lies there the client stops fetching,
for a whole second unless it is told otherwise: ten times as long as what it holds lasts."""
_DEFAULTS = {**TUNED, "client.id": "driftline"}
_OURS = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
}


class Assignments(Protocol):
    """Who keeps the state of partitions. Called inside `poll`, on the polling thread."""

    def positions(self, sources: Collection[Source]) -> Mapping[Source, int | None]:
        """Next offset of each newly assigned partition; None where there is no state."""
        ...

    def began(self, source: Source, offset: int, *, since: int) -> None:
        """A partition without state starts at `offset`. `since` is the smallest event time that is
        covered, ms, when reading begins in the middle of the log; -1 when it begins at its start."""
        ...

    def revoked(self, sources: Collection[Source]) -> None:
        """These partitions are about to be given up: the last moment to make state durable."""
        ...

    def lost(self, sources: Collection[Source]) -> None:
        """These partitions belong to somebody else already."""
        ...


class Consumer:
    """A member of a consumer group whose positions are the caller's own, never the group's.

    Belongs to one thread, except `end_offset` and `position`. Commits are advisory. The next
    offset of a partition is what `poll` has handed out, so an exception on the way (a callback
    that raises makes the client drop the records in hand) is followed by a seek back to it.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        *,
        group: str,
        topics: Mapping[str, str],
        assignments: Assignments,
        clock: Clock,
        oauth: OAuth | None = None,
        count: Callable[[str], None] = ignore,
        statistics: Callable[[str], None] | None = None,
    ) -> None:
        """`topics` maps each topic to where a partition without state starts: earliest | latest.

        `count(event)` is called with kafka_error, kafka_fatal, kafka_statistics, callback_raised,
        partition_error, commit_failed, gap. Any librdkafka property passes through, except those
        that decide on offsets.
        """
        self._start = dict(topics)
        self._assignments = assignments
        self._clock = clock
        self._count = count
        self._listener = Listener(count=count, oauth=oauth, statistics=statistics)
        self._next: dict[Source, int] = {}
        """The offset that `poll` hands out next, of every partition that is open."""
        self._waiting: dict[Source, Callable[[Source], bool]] = {}
        """What is to be done for a partition as soon as the broker answers."""
        self._let_go: set[Source] = set()
        self._paused: set[Source] = set()
        self._ends: dict[Source, tuple[float, int]] = {}
        self._gaps: list[Gap] = []
        try:
            self._client = Client(client_properties(self._chosen(properties, group), self._listener))
            self._client.subscribe(
                list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
        except REFUSALS as error:
            raise IntakeError(f"no kafka client - {refusal(error, self._listener)}") from error

    def poll(self, max_records: int, timeout: float) -> list[Batch]:
        """At most `max_records`, waiting at most `timeout` seconds for the first ones.

        One batch per partition, in offset order; two where the kind of its timestamps changes.
        Raises what a callback raised, and IntakeError on a fatal client error; no offset is
        skipped then, a later poll hands the records out.
        """
        self._ask()
        self._let_go.clear()
        try:
            records = self._client.consume(max_records, timeout)
        except BaseException:
            self._rewind(self._next)
            raise
        failure = self._listener.failure()
        if failure is not None:
            self._rewind(self._next)
            raise failure
        if self._listener.fatal is not None:
            raise IntakeError(f"kafka client stopped - {self._listener.fatal.str()} - restart driftline")
        return self._batches(records)

    def gaps(self) -> tuple[Gap, ...]:
        """Gaps met since the last call. They lie after the batches of the polls before."""
        gaps, self._gaps = self._gaps, []
        return tuple(gaps)

    def pause(self, source: Source) -> None:
        """Hand out nothing of this partition until `resume`; group membership is kept by `poll`."""
        self._paused.add(source)
        self._attempt(self._client.pause, source)

    def resume(self, source: Source) -> None:
        self._paused.discard(source)
        if source in self._next:
            self._attempt(self._client.resume, source)

    def seek(self, source: Source, offset: int) -> None:
        """Hand out `offset` next. Without effect for a partition that is not assigned."""
        if source in self._next:
            self._next[source] = offset
            self._rewind([source])

    def position(self, source: Source) -> int:
        """The offset that is handed out next; -1 for a partition that is not open.

        Equals the end offset at known zero lag, also where the log ends in records that are
        never handed out (transaction markers, compacted ones).
        """
        return self._next.get(source, -1)

    def end_offset(self, source: Source) -> int:
        """End offset as of the last answer to a fetch, at most half a second old while records are
        fetched; asked for where there is none yet, every QUERY_SECONDS at most. -1: unknown."""
        try:
            _, high = self._client.get_watermark_offsets(TopicPartition(*source), cached=True)
        except (KafkaException, RuntimeError, TypeError):
            return -1
        if high >= 0 and source not in self._paused:
            return int(high)
        now = self._clock.monotonic()
        asked, end = self._ends.get(source, (-QUERY_SECONDS, -1))
        if now - asked >= QUERY_SECONDS:
            end = self.query(source)[1]
            self._ends[source] = (now, end)
        return end

    def query(self, source: Source, timeout: float = 1.0) -> tuple[int, int]:
        """Low and end offset, asked of the broker now; (-1, -1) when it does not answer in time."""
        try:
            found = self._client.get_watermark_offsets(TopicPartition(*source), timeout=timeout)
        except (KafkaException, RuntimeError):
            return -1, -1
        return (int(found[0]), int(found[1])) if found else (-1, -1)

    def partition_count(self, topic: str) -> int:
        """How many partitions a topic has, asked of the broker now; 0 when it does not answer in time,
        or does not know the topic."""
        try:
            found = self._client.list_topics(topic, timeout=1.0).topics.get(topic)
        except (KafkaException, RuntimeError):
            return 0
        return len(found.partitions) if found is not None and found.error is None else 0

    def committed(self, sources: Collection[Source]) -> dict[Source, int]:
        """The offsets that the group has committed, -1 where it has none. Raises IntakeError when the
        broker does not say."""
        try:
            places = self._client.committed([TopicPartition(*source) for source in sources], QUERY_SECONDS)
        except (KafkaException, RuntimeError) as error:
            raise IntakeError(f"no answer - committed offsets of the group - {describe(error)}") from error
        failed = next((place.error for place in places if place.error is not None), None)
        if failed is not None:
            raise IntakeError(f"no answer - committed offsets of the group - {failed.str()}")
        return {Source(place.topic, place.partition): max(int(place.offset), -1) for place in places}

    def assigned(self) -> tuple[Source, ...]:
        """Partitions that are open."""
        return tuple(self._next)

    def commit(self, source: Source, offset: int) -> None:
        """Tell the group how far we are, for lag monitors. Advisory: returns at once, never raises."""
        try:
            self._client.commit(offsets=[TopicPartition(*source, offset)], asynchronous=True)
        except (KafkaException, RuntimeError):
            self._count("commit_failed")

    def close(self) -> None:
        """Leave the group at once; partitions still open are revoked. Make state durable before."""
        try:
            self._client.close()
        except (KafkaException, RuntimeError) as error:
            log.warning("consumer_close_failed", text=describe(error))
        failure = self._listener.failure()
        if failure is not None:
            log.warning("callback_raised", text=f"{type(failure).__name__} while closing")

    def _chosen(self, properties: Mapping[str, Any], group: str) -> dict[str, Any]:
        chosen = {**_DEFAULTS, **properties, **_OURS, "group.id": group, "on_commit": self._on_commit}
        if properties.get("group.protocol") != "consumer":
            chosen["partition.assignment.strategy"] = "cooperative-sticky"
        return chosen

    def _batches(self, records: Sequence[Message]) -> list[Batch]:
        ends: dict[Source, int] = {}
        if any(map(Message.error, records)):
            ends = self._note_all(records)
            records = [record for record in records if record.error() is None]
        taken = by_source(records, one_topic=len(self._start) == 1)
        # Taken away and given back during this very call: records of both lives may be in hand.
        twice = self._let_go & self._next.keys()
        self._rewind(twice)
        batches = []
        for source, start in self._next.items():
            if source not in twice:
                mine = taken.get(source)
                if mine:
                    batches.extend(batches_of(source, mine, start=start))
                    self._next[source] = max(start, (mine[-1].offset() or 0) + 1)
                self._next[source] = max(self._next[source], ends.get(source, 0))
        return batches

    def _note_all(self, records: Sequence[Message]) -> dict[Source, int]:
        """What came in place of records; where partitions end, by partition."""
        ends: dict[Source, int] = {}
        for record in records:
            error = record.error()
            if error is None:
                continue
            if error.code() == PARTITION_END:
                ends[_source(record)] = record.offset() or 0
            else:
                self._note(record, error)
        return ends

    def _note(self, record: Message, error: KafkaError) -> None:
        """An error in place of a record."""
        source = _source(record)
        if error.code() in OUT_OF_RANGE and source in self._next:
            self._waiting[source] = self._mend
            return
        self._count("partition_error")
        log.warning("partition_error", topic=source.topic, partition=source.partition, text=error.str())

    def _mend(self, source: Source) -> bool:
        """Find out why a position is not in the log, and go on where it can be gone on."""
        low, end = self.query(source)
        if end < 0:
            return False
        expected = self._next[source]
        if expected > end:
            self.pause(source)
            self._report(Gap(source, GapKind.TRUNCATED, expected, expected, end))
        else:
            if expected < low:
                self._report(Gap(source, GapKind.RETENTION, expected, low, end))
            self.seek(source, max(expected, low))
        return True

    def _report(self, gap: Gap) -> None:
        self._gaps.append(gap)
        self._count("gap")
        log.error("coverage_gap", source=str(gap.source), reason=gap.kind, expected=gap.expected, end=gap.end)

    def _begin(self, source: Source) -> bool:
        """Open a partition without state at a definite offset; False while the broker does not answer."""
        low, end = self.query(source)
        if end < 0:
            return False
        offset = end if self._start.get(source.topic) == "latest" else low
        self._assignments.began(source, offset, since=self._clock.now_ms() if offset > low else -1)
        self._next[source] = offset
        self._rewind([source])
        self.resume(source)
        return True

    def _ask(self) -> None:
        """Do what waits for the broker, for QUERY_SECONDS at most; who got no answer comes last."""
        begin = self._clock.monotonic()
        for source in list(self._waiting):
            done = self._waiting[source](source)
            todo = self._waiting.pop(source)
            if not done:
                self._waiting[source] = todo
            if self._clock.monotonic() - begin > QUERY_SECONDS:
                return

    def _rewind(self, sources: Iterable[Source]) -> None:
        """Let the client fetch from our own positions, whatever it handed out meanwhile."""
        for source in list(sources):
            place = TopicPartition(*source, self._next[source])
            try:
                self._client.seek(place)
            except (KafkaException, RuntimeError):  # it was not fetching yet
                try:
                    self._client.incremental_unassign([TopicPartition(*source)])
                    self._client.incremental_assign([place])
                except (KafkaException, RuntimeError) as error:
                    log.warning("seek_refused", source=str(source), text=describe(error))
            if source in self._paused:
                self._attempt(self._client.pause, source)

    def _attempt(self, change: Callable[[list[TopicPartition]], None], source: Source) -> None:
        try:
            change([TopicPartition(*source)])
        except (KafkaException, RuntimeError) as error:
            log.debug("partition_not_assigned", source=str(source), text=describe(error))

    def _on_assign(self, client: Client, partitions: list[TopicPartition]) -> None:
        sources = [Source(place.topic, place.partition) for place in partitions]
        positions = self._listener.guard(self._assignments.positions, sources) if sources else {}
        known = {source: at for source, at in (positions or {}).items() if at is not None}
        places = [TopicPartition(*source, known.get(source, OFFSET_BEGINNING)) for source in sources]
        self._listener.guard(client.incremental_assign, places)
        self._next.update(known)
        for source in sources:
            if source not in known:
                # No state, or no answer to where it ends: nothing of it is handed out meanwhile.
                self._attempt(client.pause, source)
                if positions is not None:
                    self._waiting[source] = self._begin
        log.info("partitions_assigned", sources=[str(source) for source in sources])

    def _on_revoke(self, client: Client, partitions: list[TopicPartition]) -> None:
        self._release(client, partitions, self._assignments.revoked)

    def _on_lost(self, client: Client, partitions: list[TopicPartition]) -> None:
        self._release(client, partitions, self._assignments.lost)

    def _release(
        self,
        client: Client,
        partitions: list[TopicPartition],
        tell: Callable[[Collection[Source]], None],
    ) -> None:
        sources = [Source(place.topic, place.partition) for place in partitions]
        self._listener.guard(tell, sources)
        for source in sources:
            self._next.pop(source, None)
            self._waiting.pop(source, None)
            self._ends.pop(source, None)
            self._paused.discard(source)
            self._let_go.add(source)
        self._listener.guard(client.incremental_unassign, partitions)
        log.info("partitions_released", sources=[str(source) for source in sources])

    def _on_commit(self, error: KafkaError | None, _places: list[TopicPartition]) -> None:
        if error is not None:
            self._listener.guard(self._count, "commit_failed")
            self._listener.guard(lambda: log.debug("commit_failed", reason=error.name(), text=error.str()))


def _source(record: Message) -> Source:
    return Source(record.topic() or "", -1 if record.partition() is None else int(record.partition() or 0))
