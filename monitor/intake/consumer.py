"""Step 1, poll: Kafka to batches, without ever losing an offset on the way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import structlog
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Consumer as Client

from monitor.clock import Clock
from monitor.columns import Batch
from monitor.errors import IntakeError
from monitor.intake import questions
from monitor.intake.assignments import Assignments
from monitor.intake.batch import Fault, Taken, batches_of, taken_of
from monitor.intake.client import (
    OUT_OF_RANGE,
    PARTITION_END,
    REFUSALS,
    Listener,
    describe,
    ignore,
    refusal,
)
from monitor.intake.ends import Ends
from monitor.intake.fetch import open_queue
from monitor.intake.gap import Gap, GapKind
from monitor.intake.member import group_view, member_properties
from monitor.intake.rotation import connect
from monitor.intake.steering import Steering
from monitor.intake.trouble import Troubles, stopped
from monitor.intake.unreadable import Unreadable
from monitor.intake.waiting import Waiting
from monitor.intake.watchdog import HELD, Watchdog
from monitor.names import Source

log = structlog.get_logger(__name__)

MOST = 20_000
"""Records that a poll may ask for."""
STRAYS = 1_000
"""Records asked of the client library itself while records come from the queue: there should be none."""
FORWARD_SECONDS = 5.0
"""How often partitions are forwarded again, in case the library forgot one: the others would hide it."""


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
        count: Callable[[str], None] = ignore,
        statistics: Callable[[str], None] | None = None,
        skips: Callable[[str], bool] = lambda _topic: False,
        direct: bool = True,
    ) -> None:
        """`topics` maps each topic to where a partition without state starts: earliest | latest.
        `skips(topic)`: whether batches that cannot be read are passed; a partition waits before them otherwise.
        `direct`: take records from librdkafka itself where that is possible.

        `count(event)` is called with kafka_error, kafka_fatal, kafka_statistics, callback_raised,
        partition_error, commit_failed, gap. Any librdkafka property passes through, except those
        that decide on offsets.
        """
        self._start = dict(topics)
        self._assignments = assignments
        self._clock = clock
        self._count = count
        self._listener = Listener(count=count, statistics=statistics)
        self._next: dict[Source, int] = {}
        """The offset that `poll` hands out next, of every partition that is open."""
        self._waiting = Waiting(clock)
        self._let_go: set[Source] = set()
        self._paused: set[Source] = set()
        self._troubles = Troubles(count)
        self._next_forward = 0.0
        self._joined = False
        self._tells_nothing = properties.get("group.protocol") == "consumer"
        chosen = member_properties(properties, group=group, on_commit=self._on_commit)
        try:
            self._client = connect(Client, chosen, self._listener)
            self._ends = Ends(self._client, clock)
            self._watchdog = Watchdog(clock, lambda source: self._ends.now(source)[1], self._ends.high)
            self._unmet = group_view(self._client)
            self._queue = open_queue(self._client, str(chosen["client.id"]), MOST) if direct else None
            self._unreadable = Unreadable(clock, skips=skips, end=lambda source: self.query(source)[1])
            self._steering = Steering(
                self._client,
                self._queue,
                place=lambda s: self._unreadable.place(s, self._next[s]),
                paused=self._paused,
            )
            self._client.subscribe(
                list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
        except REFUSALS as error:
            raise IntakeError(f"no kafka client - {refusal(error)}") from error

    def poll(self, max_records: int, timeout: float) -> list[Batch]:
        """At most `max_records`, waiting at most `timeout` seconds for the first ones.

        One batch per partition, in offset order; two where the kind of its timestamps changes.
        Raises what a callback raised, and IntakeError on a fatal client error; no offset is
        skipped then, a later poll hands the records out.
        """
        self._open(self._assignments.recovered())
        self._waiting.ask()
        self._ask_again()
        self._let_go.clear()
        self._listener.renew()
        try:
            taken = self._take(max_records, timeout)
            if self._listener.fatal is not None:
                raise stopped(self._listener.fatal.str())
            drained = taken.size < max_records
            resting = self._paused.union(self._unreadable.held)
            self._steering.fetch_anew(self._watchdog.look(self._next, resting, drained=drained))
            return self._batches(taken)
        except BaseException:
            self._steering.rewind(self._next)
            raise

    @property
    def is_direct(self) -> bool:
        """Whether records come from librdkafka itself."""
        return self._queue is not None

    @property
    def complaint(self) -> str:
        """What the client library last complained of, "" when it never did."""
        return self._listener.last

    @property
    def complaints(self) -> int:
        """How often it has complained."""
        return self._listener.errors

    @property
    def joined(self) -> bool:
        """Whether the group has given us partitions, or has none for us, of which the new protocol tells nothing."""
        return self._joined or (self._tells_nothing and group_view(self._client) not in {None, self._unmet})

    def gaps(self) -> tuple[Gap, ...]:
        """Gaps met since the last call. They lie after the batches of the polls before."""
        return self._troubles.gaps()

    def pause(self, source: Source) -> None:
        """Hand out nothing of this partition until `resume`; group membership is kept by `poll`."""
        self._paused.add(source)
        self._steering.attempt(self._client.pause, source)

    def resume(self, source: Source) -> None:
        self._paused.discard(source)
        if source in self._next:
            self._steering.attempt(self._client.resume, source)

    def seek(self, source: Source, offset: int) -> None:
        """Hand out `offset` next. Without effect for a partition that is not assigned."""
        if source in self._next:
            self._next[source] = offset
            self._unreadable.forget(source)
            self._steering.rewind([source])

    def position(self, source: Source) -> int:
        """The offset that is handed out next; -1 for a partition that is not open.

        Equals the end offset at known zero lag, also where the log ends in records that are
        never handed out (transaction markers, compacted ones).
        """
        return self._next.get(source, -1)

    def end_offset(self, source: Source) -> int:
        """End offset as of the last answer to a fetch, at most half a second old while records are
        fetched; asked for where there is none yet, every QUERY_SECONDS at most. -1: unknown."""
        high = max(self._ends.high(source), self._watchdog.end(source))
        return high if high >= 0 and source not in self._paused else self._ends.asked(source)

    def held(self, source: Source) -> str:
        """Why nothing can be read though the log goes on, "" where that is not so."""
        return self._unreadable.why(source) or (HELD if source in self._watchdog.held else "")

    def query(self, source: Source) -> tuple[int, int]:
        """Low and end offset, asked of the broker now; (-1, -1) when it does not answer in time."""
        return self._ends.now(source)

    def partition_count(self, topic: str) -> int:
        """How many partitions a topic has, asked of the broker now; 0 when it does not answer in time,
        or does not know the topic."""
        return questions.partition_count(self._client, topic)

    def committed(self, sources: Collection[Source]) -> dict[Source, int]:
        """The offsets that the group has committed, -1 where it has none. Raises IntakeError when the
        broker does not say."""
        return questions.committed(self._client, sources)

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
        queue, self._queue = self._queue, None
        if queue is not None:
            queue.close()
        try:
            self._client.close()
        except (KafkaException, RuntimeError) as error:
            log.warning("consumer_close_failed", text=describe(error))
        if (failure := self._listener.failure()) is not None:
            log.warning("callback_raised", text=f"{type(failure).__name__} while closing")

    def _take(self, most: int, timeout: float) -> Taken:
        """What the client has. Raises what a callback raised."""
        if self._queue is None:
            records = self._client.consume(most, timeout)
            self._listener.heed()
            return taken_of(records, one_topic=len(self._start) == 1)
        is_open = bool(self._next)
        faults = self._serve(0.0 if is_open else timeout)
        # Taken away and given back during this very call: the client may go on where it was before.
        self._steering.rewind(self._let_go & self._next.keys())
        self._let_go.clear()
        taken = self._queue.take(most, timeout if is_open else 0.0)
        if self._clock.monotonic() >= self._next_forward:
            self._next_forward = self._clock.monotonic() + FORWARD_SECONDS
            self._queue.forward(self._next)
        return taken._replace(faults=[*faults, *taken.faults])

    def _serve(self, timeout: float) -> list[Fault]:
        """Let the client library call back, and see what came past the queue.

        A record that did is fetched again: behind the seek the client drops whatever it has fetched
        before, on either way, so nothing is lost, doubled or overtaken. What is left unseen of it here
        would be handed out of turn, so all is looked at.
        """
        found = records = self._client.consume(STRAYS, timeout)
        while len(found) == STRAYS:
            found = self._client.consume(STRAYS, 0)
            records += found
        self._listener.heed()
        taken = taken_of(records)
        strays = {run.source for run in taken.runs}
        strays.update(fault.source for fault in taken.faults if fault.code == PARTITION_END)
        self._steering.rewind(strays & self._next.keys())
        return [fault for fault in taken.faults if fault.code != PARTITION_END]

    def _batches(self, taken: Taken) -> list[Batch]:
        taken, anew = self._unreadable.clean(taken, self._next)
        ends: dict[Source, int] = {}
        for fault in taken.faults:
            if fault.code == PARTITION_END:
                ends[fault.source] = fault.offset
            else:
                self._note(fault)
        # Taken away and given back during this very call: records of both lives may be in hand.
        twice = self._let_go & self._next.keys()
        self._steering.rewind(twice)
        runs = {run.source: run for run in taken.runs}
        batches, passed = [], {}
        for source, start in self._next.items():
            if source in twice:
                continue
            run = runs.get(source)
            passed[source] = max(start, ends.get(source, 0))
            if run is not None:
                batches.extend(batches_of(run, start=start))
                passed[source] = max(passed[source], int(run.offsets[-1]) + 1)
        self._next.update(passed)  # at once: when this raises, all of it is fetched again
        self._pass_by(anew)
        return batches

    def _pass_by(self, sources: Collection[Source]) -> None:
        """Fetch once more what could not be read, wait before it, or go on behind it."""
        for source in sources:
            if (gap := self._unreadable.passed(source)) is not None:
                self._troubles.gap(gap)
                self._next[source] = gap.resumed
            self._steering.rewind([source])
            if self._unreadable.waits(source):
                self._steering.attempt(self._client.pause, source)

    def _ask_again(self) -> None:
        for source in self._unreadable.due():
            if source not in self._paused:
                self._steering.attempt(self._client.resume, source)

    def _note(self, fault: Fault) -> None:
        """An error in place of a record."""
        source = fault.source
        if fault.code in OUT_OF_RANGE and source in self._next:
            self._waiting.add(source, self._mend)
            return
        self._troubles.note(fault)

    def _mend(self, source: Source) -> bool:
        """Find out why a position is not in the log, and go on where it can be gone on."""
        low, end = self.query(source)
        if end < 0:
            return False
        expected = self._next[source]
        if expected > end:
            self.pause(source)
            self._troubles.gap(Gap(source, GapKind.TRUNCATED, expected, expected, end))
        elif expected < low:
            self._troubles.gap(Gap(source, GapKind.RETENTION, expected, low, end))
            self.seek(source, low)
        else:
            self._steering.rewind([source])
        return True

    def _begin(self, source: Source) -> bool:
        """Open a partition without state at a definite offset; False while the broker does not answer."""
        low, end = self.query(source)
        if end < 0:
            return False
        offset = end if self._start.get(source.topic) == "latest" else low
        self._assignments.began(source, offset, since=self._clock.now_ms() if offset > low else -1)
        self._next[source] = offset
        self._steering.rewind([source])
        self.resume(source)
        return True

    def _open(self, positions: Mapping[Source, int | None]) -> None:
        """Read on where the state of partitions ends, now that it is known."""
        for source, position in positions.items():
            if position is None:
                self._waiting.add(source, self._begin)
                continue
            self._next[source] = position
            self._steering.rewind([source])
            self.resume(source)

    def _on_assign(self, client: Client, partitions: list[TopicPartition]) -> None:
        sources = [Source(place.topic, place.partition) for place in partitions]
        positions = self._listener.guard(self._assignments.positions, sources) if sources else {}
        known = {source: at for source, at in (positions or {}).items() if at is not None}
        places = [TopicPartition(*source, known.get(source, OFFSET_BEGINNING)) for source in sources]
        for source in sources:
            # A pause outlives the assignment that it was made in.
            self._steering.attempt(client.resume, source)
        self._listener.guard(self._steering.assign, places)
        self._next.update(known)
        for source in sources:
            if source not in known:
                # No state, or it is not known yet where it ends: nothing of it is handed out meanwhile.
                self._steering.attempt(client.pause, source)
                if positions is not None and source in positions:
                    self._waiting.add(source, self._begin)
        self._joined = True
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
            self._waiting.drop(source)
            self._ends.forget(source)
            self._unreadable.forget(source)
            self._paused.discard(source)
            self._let_go.add(source)
        self._listener.guard(client.incremental_unassign, partitions)
        log.info("partitions_released", sources=[str(source) for source in sources])

    def _on_commit(self, error: KafkaError | None, _places: list[TopicPartition]) -> None:
        if error is not None:
            self._listener.guard(self._count, "commit_failed")
            self._listener.guard(lambda: log.debug("commit_failed", reason=error.name(), text=error.str()))
