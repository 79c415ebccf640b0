"""The ingest loop: Kafka to sketches. Steps 1 to 6 of the data path, readable top to bottom.

One thread polls and checkpoints, and hands what it polled to another, which scans and folds it
(`pipeline.py`). There is no I/O besides Kafka, the dead letters and the state log.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

import structlog

from monitor import metrics
from monitor.clock import Clock
from monitor.columns import Batch, Reject
from monitor.errors import DriftlineError, StateError
from monitor.idle import Idleness
from monitor.intake.consumer import Consumer
from monitor.intake.dead_letter import Limit, flush_all
from monitor.intake.gap import GapKind
from monitor.measure import timed
from monitor.names import Source
from monitor.partition import Partition, renewed
from monitor.pipeline import Folding, Pipeline, Work
from monitor.recovery import FINAL, Recovery, refused_progress
from monitor.state.log import Checkpoint, Marker, Progress, StateLog
from monitor.steps import BATCH, FIRST, RAISED_IN_A_ROW, Cadence, Input, fitting, fold_batch, say_refused
from monitor.turns import Turns

log = structlog.get_logger(__name__)


class Ingest:
    """Owns the consumer and the fold state of every assigned partition. One thread calls `tick`.

    What it polls is folded by the pipeline's thread. Which partitions there are, and how far they
    are durable, is this thread's; a partition's counts are too, once the pipeline is drained.
    """

    def __init__(
        self,
        inputs: Mapping[str, Input],
        *,
        connect: Callable[[Ingest], Consumer],
        state: StateLog,
        clock: Clock,
        cadence: Cadence,
        accept_loss: bool = False,
        beside: bool = False,
        identify: Callable[[Collection[str]], Mapping[str, str]] = lambda _: {},
    ) -> None:
        """`inputs` by topic. `connect` opens the consumer that reports assignments to this object.

        Without `accept_loss` a partition that the group has read, and of which there is no state,
        is refused: to begin anew in silence would forget, or count twice.

        `beside`: recover on a thread of its own, because reading the state takes its time; a partition
        that is refused then is left alone and stands in `refused`, while the others go on. Otherwise
        what refuses it is raised out of `tick`. `identify` tells topics of one name apart, see `Incarnations`.
        """
        self.partitions: dict[Source, Partition] = {}
        self.refused: dict[Source, str] = {}  # why partitions cannot be read on, until somebody helps
        self.last_tick = clock.monotonic()
        self.checkpoint_last = -1
        self.checkpoint_bytes = 0
        self._inputs = inputs
        self._state = state
        self._clock = clock
        self._cadence = cadence
        self._folds: dict[Source, Callable[[Batch], Folding]] = {}
        self._paused: dict[Source, str] = {}
        self._markers: dict[Source, Marker] = {}
        self._idleness = Idleness(clock, every=cadence.poll)
        self._begun: set[Source] = set()
        """Partitions whose position is known; the others wait for the broker to say where they start."""
        self._pipeline = Pipeline(clock)
        self._raised, self._broken = 0, False
        self._fitting = FIRST
        self._turns = Turns(clock)
        self._identify = identify
        self._recovery = Recovery(state, clock=clock, beside=beside, accept_loss=accept_loss)
        self._next_checkpoint = clock.monotonic() + cadence.checkpoint
        self._stalled = ""
        self._is_leaving = False
        self.consumer = connect(self)

    def tick(self) -> int:
        """One turn of the loop: at most one poll and one checkpoint. Returns the records handed on.

        Raises what polling, folding or a checkpoint raised; then only `abandon` may follow.
        """
        self._live()
        batches = self._poll()  # step 1
        self._note_gaps()
        awake = self._note_folded()
        handed = sum(self._hand_on(batch) for batch in batches)  # steps 2 to 5, in `fold_batch`
        awake |= self._watch_idle(is_busy=bool(batches))
        if awake or self._clock.monotonic() >= self._next_checkpoint:
            self.checkpoint(list(self.partitions))  # step 6
            self._next_checkpoint = self._clock.monotonic() + self._cadence.checkpoint
        return handed

    def settle(self) -> None:
        """Wait until everything that was handed on is folded. Raises what folding raised."""
        self._pipeline.drain()
        self._idleness.stir(self._pipeline.rows())

    def _live(self) -> None:
        """Say that the loop lives: it does not while the pipeline is stuck in one batch."""
        now, began = self._clock.monotonic(), self._pipeline.began
        self.last_tick = now if began is None else max(self.last_tick, began)

    # Assignments: called by the consumer inside poll

    def positions(self, sources: Collection[Source]) -> dict[Source, int | None]:
        """Recover newly assigned partitions; where to read on in those that are ready, None without state."""
        metrics.REBALANCES_TOTAL.inc()
        self._recovery.begin(sources)
        return {} if self._recovery.is_beside else self.recovered()

    def recovered(self) -> dict[Source, int | None]:
        """Take up what was recovered, as `positions`."""
        opened: dict[Source, int | None] = {}
        self._broken = True  # until it is done: partitions that were not opened are never read
        for source, found, error in self._recovery.finished(self.consumer.committed):
            if error is None:
                opened[source] = self._open(source, found)
                continue
            if not self._recovery.is_beside or not isinstance(error, FINAL):
                raise error
            self.refused[source] = str(error)
            log.error("partition_refused", source=str(source), error=str(error))
        self._broken = False
        return opened

    @property
    def refusal(self) -> str:
        """Why nothing becomes durable, "" where it does; from any thread."""
        return self._stalled

    @property
    def recovering(self) -> int:
        """Partitions that are assigned and not ready yet."""
        return len(self._recovery.waiting)

    def began(self, source: Source, offset: int, *, since: int) -> None:
        """A partition without state starts at `offset`; `since` is -1 when nothing lies before it."""
        partition = self.partitions[source]
        partition.position = partition.start = offset
        partition.since = since
        if since < 0 and offset > 0:  # retention has taken what lay before it
            partition.skip_to(offset, since=self._clock.now_ms())
        self._begun.add(source)

    def revoked(self, sources: Collection[Source]) -> None:
        """Make durable what can be, and let go."""
        metrics.REBALANCES_TOTAL.inc()
        try:
            if not self._is_leaving:
                self.checkpoint([source for source in sources if source in self.partitions])
        finally:
            self.lost(sources)

    def lost(self, sources: Collection[Source]) -> None:
        """Drop at once: somebody else folds these partitions already, from the last checkpoint."""
        self._pipeline.discard(sources)
        for source in sources:
            for held in (self.partitions, self._folds, self._paused, self._markers, self.refused):
                held.pop(source, None)
            self._begun.discard(source)
        self._idleness.forget(sources)
        self._recovery.forget(sources)
        for source in sources:
            self._state.release(source)

    def resume(self) -> None:
        """Read on where partitions were paused for their rejects; called after a reload."""
        for source in list(self._paused):
            self._folds[source] = self._fold_of(self.partitions[source])
            del self._paused[source]
            self.consumer.resume(source)

    def checkpoint(self, sources: Collection[Source]) -> bool:
        """Step 6: dead letters first, then sketches and marker, then the advisory commit.

        Whatever is in the pipeline is folded before. Raises what folding raised.
        """
        self.settle()
        self._stop_renewed(sources)
        refused = ""
        with timed("checkpoint", self._clock):
            topics = {source.topic for source in sources}
            unflushed = flush_all({topic: self._inputs[topic].dead_letters for topic in topics}, self._live)
            for source in self._turns.of(sources):
                if refused and self._turns.is_late:
                    break
                self._live()
                refused = unflushed.get(source.topic) or self._checkpoint(source) or refused
        if refused or self.partitions.keys() <= set(sources):
            self._set_stalled(refused)
        for source in self._begun.intersection(sources):
            self._state.report(self.progress(source))
        for source, why in self.refused.items():  # each time: who was replaced may have spoken last
            self._state.report(refused_progress(source, why, now=self._clock.now_ms()))
        return not refused

    def renew(self, inputs: Mapping[str, Input]) -> None:
        """Apply a reloaded configuration between two batches; called on the ingest thread.

        Sketches whose meaning changed are left in the state log as they are, and new ones start
        at the current offset. Raises StateError, and keeps the old inputs, when the checkpoint
        that must come first is refused, or what it made durable cannot be read.
        """
        self.settle()
        self._note_folded()
        if not self.checkpoint(list(self.partitions)):
            raise StateError(self._stalled)
        found = {}
        for source in self.partitions:
            self._live()
            found[source] = self._state.recover(source)
        old, self._inputs = self._inputs, inputs
        for source, checkpoint in found.items():
            self._open(source, checkpoint)
        self.resume()
        for item in old.values():
            item.dead_letters.close()

    def close(self) -> None:
        """Last checkpoint, then leave the group: the state must be durable before the partitions go."""
        self.checkpoint(list(self.partitions))
        self._leave()

    def abandon(self) -> None:
        """Leave without a checkpoint: after an unexpected error the counts may hold half a batch."""
        self._pipeline.close()
        self.lost(list(self.partitions))
        self._leave()

    def _leave(self) -> None:
        """Partitions are let go as they are: what could be made durable is, and to try again takes as long again."""
        self._is_leaving = True
        self._pipeline.close()
        self.consumer.close()
        self._recovery.close()
        for item in self._inputs.values():
            item.dead_letters.close()

    def progress(self, source: Source) -> Progress:
        """How far a partition is, in terms of what is durable."""
        marker, partition = self._markers.get(source), self.partitions[source]
        end = self.consumer.end_offset(source)
        applied = marker.applied if marker else partition.start
        return Progress(
            source=source,
            applied=applied,
            end=end,
            watermark=marker.watermark if marker else -1,
            idle=source in self._idleness.idle and applied == partition.position and applied >= end >= 0,
            paused=self._paused.get(source) or self._stalled or self.consumer.held(source),
            observed=self._clock.now_ms(),
            since=partition.since,
            counted=dict(partition.counted),
        )

    def _open(self, source: Source, found: Checkpoint | None) -> int | None:
        item = self._inputs[source.topic]
        partition = Partition(source, item.plan, item.models, position=0)
        self._live()
        if found is not None:
            partition.restore(found)
            self._markers[source] = found.marker
            self._begun.add(source)
            log.info("partition_recovered", source=str(source), offset=partition.position)
        self.partitions[source] = partition
        self._folds[source] = self._fold_of(partition)
        return partition.position if found is not None else None

    def _poll(self) -> list[Batch]:
        """Whatever a callback raised, the consumer has gone back to our positions: nothing is skipped."""
        try:
            with timed("poll", self._clock):
                batches = self.consumer.poll(min(BATCH, self._fitting), self._cadence.poll)
        except DriftlineError:
            raise
        except Exception:
            self._raised += 1
            if self._broken or self._raised > RAISED_IN_A_ROW:
                raise
            metrics.INTERNAL_ERRORS_TOTAL.labels("ingest").inc()
            log.exception("poll_raised")
            return []
        self._raised = 0
        self._fitting = fitting(batches, self._fitting)
        return batches

    def _hand_on(self, batch: Batch) -> int:
        """How many records the pipeline takes; waits while that is full."""
        if batch.source not in self.partitions or batch.source in self._paused:
            return 0
        self._pipeline.put(Work(batch, self._folds[batch.source]))
        return len(batch)

    def _fold_of(self, partition: Partition) -> Callable[[Batch], Folding]:
        item = self._inputs[partition.source.topic]
        limit = Limit(item.plan.dead_letter.limit, item.plan.dead_letter.over)
        return partial(fold_batch, partition=partition, item=item, limit=limit, clock=self._clock)

    def _note_folded(self) -> bool:
        """Take up what the pipeline did; True when a partition that was idle is no longer."""
        for source, (batch, rejects) in self._pipeline.refused().items():
            self._pause(source, batch, rejects)
        return self._idleness.stir(self._pipeline.rows())

    def _pause(self, source: Source, batch: Batch, rejects: Collection[Reject]) -> None:
        """Stop a partition before a batch: a bad deploy would divert everything."""
        self._pipeline.discard([source])
        self._paused[source] = "too many rejects"
        self.consumer.seek(source, int(batch.offsets[0]))
        self.consumer.pause(source)
        say_refused(batch, rejects)

    def _stop_renewed(self, sources: Collection[Source]) -> None:
        """Forget what was counted of topics that were made anew since the last checkpoint, and read no more of them."""
        readable = [self.partitions[s] for s in self._begun.intersection(sources) - self._paused.keys()]
        for source in renewed(readable, self._identify({source.topic for source in sources})):
            self._paused[source] = "its topic was created anew: see driftline state reset"
            self.consumer.pause(source)
            if self._open(source, self._state.recover(source)) is None:
                self._begun.discard(source)

    def _checkpoint(self, source: Source) -> str:
        """Why it was refused, "" when the partition is durable through its position."""
        partition = self.partitions[source]
        marker = self._markers.get(source)
        is_stored = marker is not None and marker.applied == partition.position
        if source not in self._begun or (is_stored and not self._state.lacks(source)):
            return ""
        sketches, marker = partition.checkpoint()
        try:
            self._state.checkpoint(source, sketches, marker)
        except StateError as error:
            return str(error)
        partition.confirm(marker)
        self._markers[source] = marker
        self.checkpoint_last = self._clock.now_ms()
        self.checkpoint_bytes = sum(sketch.nbytes for sketch in sketches)
        self.consumer.commit(source, marker.applied)
        return ""

    def _set_stalled(self, why: str) -> None:
        """Stop fetching while nothing can be made durable, so that memory stays flat."""
        if why and not self._stalled:
            log.error("checkpoint_refused", error=why)
        if self._stalled and not why:
            log.info("checkpoint_accepted", error=self._stalled)
        if why or self._stalled:  # each time: partitions may have been assigned meanwhile
            change = self.consumer.pause if why else self.consumer.resume
            for source in self.partitions.keys() - self._paused.keys():
                change(source)
        self._stalled = why

    def _note_gaps(self) -> None:
        """Windows that a hole in the log touches are judged as partial, never as if nothing was lost."""
        for gap in self.consumer.gaps():
            if (partition := self.partitions.get(gap.source)) is None:
                continue
            if gap.kind is GapKind.TRUNCATED:
                self._paused[gap.source] = "the log ends before the applied offset: see driftline state reset"
            else:
                self.settle()
                passed = gap.resumed - gap.expected
                metrics.RECORDS_SKIPPED_TOTAL.labels(gap.source.topic, gap.kind).inc(passed)
                partition.skip_to(gap.resumed, since=self._clock.now_ms())

    def _watch_idle(self, *, is_busy: bool) -> bool:
        """Note which partitions have known zero lag; True when one became or ceased to be idle."""
        if not self._idleness.is_due(is_busy=is_busy):
            return False
        unsettled = self._pipeline.unsettled()
        idle = [source for source in self._begun if self._is_idle(source, is_settled=source not in unsettled)]
        return self._idleness.settle(idle)

    def _is_idle(self, source: Source, *, is_settled: bool) -> bool:
        self._live()  # a broker that does not answer takes a second for each
        partition = self.partitions[source]
        end = self.consumer.end_offset(source)
        is_held = source in self._paused or bool(self._stalled)
        position = max(partition.position, self.consumer.position(source))
        if not is_held and is_settled:
            # Transaction markers and compacted records are offsets without records.
            partition.position = position
        return self._idleness.is_quiet(
            source,
            caught_up=not is_held and 0 <= end <= position,
            idle=self._inputs[source.topic].plan.idle / 1000,
            ask=lambda: self.consumer.query(source)[1] == position,
        )
