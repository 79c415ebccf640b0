"""Judging a finished log again: the live fold and the live judge, without any effects."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from monitor.columns import Batch, Columns
from monitor.context import Context
from monitor.intake.decode import Decoder, Scanned
from monitor.judgement import Judged, Judgement
from monitor.names import Source
from monitor.partition import Model, Partition
from monitor.plan import SourcePlan
from monitor.reigns import CONTENT
from monitor.state.log import Ledger, Progress
from monitor.window.completeness import Patience
from monitor.window.grid import floor_pane

END_OF_TIME = 1 << 60
"""Wall time of a replay: everything that will come has come."""
Change = Callable[[Columns], Columns]
"""What is done to rows between scan and fold."""


@dataclass(slots=True)
class Tally:
    """What a replay read; filled while it runs."""

    records: int = 0
    rows: int = 0
    late: int = 0
    future: int = 0
    rejects: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Feed:
    """One source to replay, with the models that read it."""

    plan: SourcePlan
    decoder: Decoder
    models: Mapping[str, Model]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to judge what a feed counts."""

    name: str
    contexts: Mapping[str, Context]
    change: Change | None = None
    """Candidates with the same change share counts."""
    reigns: Mapping[str, Ledger] = field(default_factory=dict)
    """Model → which versions are judged by which references, as `monitor.reigns` notes it."""

    def judgement(self, model: str) -> Judgement:
        """A new one, of a model of `contexts`."""
        made = Judgement(self.contexts[model], patience=Patience(settle=0))
        if model in self.reigns:
            made.reigns.restore(self.reigns[model], {})
            made.reigns.load(self.reigns[model].of(CONTENT), model)
        return made


class Replay:
    """Scans batches once, folds them once for each change, and judges their windows for every candidate, in the
    order a daemon would have.

    Verdicts are those of the daemon to the last digit, given the same partitions and offsets:
    both call `Partition.fold` and `Judgement.due`.
    """

    def __init__(self, feed: Feed, candidates: Sequence[Candidate], *, sources: Collection[Source]) -> None:
        """`sources` are all partitions that will be fed; none may be missing."""
        self.feed = feed
        self.tally = Tally()
        changes = list(dict.fromkeys(candidate.change for candidate in candidates))
        self._lanes = [
            _Lane(feed, [one for one in candidates if one.change is change], change, tuple(sources))
            for change in changes
        ]

    def take(self, batch: Batch) -> Iterator[tuple[Candidate, Judged]]:
        """What one batch brings about."""
        if not len(batch):
            return
        scanned = self.feed.decoder.scan(batch)
        self.tally.records += len(batch)
        for reject in scanned.rejects:
            reason = str(reject.reason)
            self.tally.rejects[reason] = self.tally.rejects.get(reason, 0) + 1
        for lane in self._lanes:
            lane.fold(batch, scanned, self.tally if lane is self._lanes[0] else None)
            yield from lane.due(batch.source)

    def finish(self) -> Iterator[tuple[Candidate, Judged]]:
        """What follows when nothing more will come."""
        for lane in self._lanes:
            yield from lane.finish()


def run(
    replays: Sequence[Replay], batches: Iterable[Batch], seen: Callable[[Batch], None] | None = None
) -> Iterator[tuple[Candidate, Judged]]:
    """Verdicts in the order of their windows' completion; `seen` is called after each batch."""
    for batch in batches:
        for replay in replays:
            yield from replay.take(batch)
        if seen is not None:
            seen(batch)
    for replay in replays:
        yield from replay.finish()


class _Lane:
    """Counts of one feed, and the judgements that are made of them."""

    def __init__(
        self, feed: Feed, candidates: Sequence[Candidate], change: Change | None, expected: tuple[Source, ...]
    ) -> None:
        self._feed = feed
        self._change = change
        self._expected = expected
        self._partitions = {
            source: Partition(source, feed.plan, feed.models, position=0) for source in expected
        }
        self._judgements = [
            (candidate, name, candidate.judgement(name))
            for candidate in candidates
            for name in candidate.contexts
        ]
        self._progress: dict[Source, Progress] = {}
        self._reached: dict[Source, tuple[int, ...]] = {}
        """Pane that each model's counts are final before, when the partition was last looked at."""

    def fold(self, batch: Batch, scanned: Scanned, tally: Tally | None) -> None:
        partition = self._partitions[batch.source]
        if partition.records == 0:
            partition.start = int(batch.offsets[0])
        columns = scanned.columns
        if self._change is not None:
            columns = tuple(map(self._change, columns))
        folded = partition.fold(batch, columns, scanned.rejects)
        if tally is not None:
            tally.rows += folded.rows
            tally.late += sum(folded.late.values())
            tally.future += sum(folded.future.values())

    def due(self, source: Source) -> Iterator[tuple[Candidate, Judged]]:
        """Verdicts that the counts of `source` complete. They are looked at when a pane becomes final or may be
        looked into, not after every batch: no verdict depends on when they are."""
        mark = self._partitions[source].watermark
        plans = [model.plan for model in self._feed.models.values()]
        reached = tuple(floor_pane(mark - delay, plan.pane) for plan in plans for delay in (0, plan.lateness))
        if self._reached.get(source) != reached:
            self._reached[source] = reached
            self._observe(source, idle=False)
            yield from self._due(now=0)

    def finish(self) -> Iterator[tuple[Candidate, Judged]]:
        for source in self._expected:
            self._observe(source, idle=True)
        yield from self._due(now=END_OF_TIME)

    def _observe(self, source: Source, *, idle: bool) -> None:
        partition = self._partitions[source]
        sketches, marker = partition.checkpoint()
        partition.confirm(marker)
        for _, name, judgement in self._judgements:
            judgement.observe([sketch for sketch in sketches if sketch.key.model == name])
        self._progress[source] = Progress(
            source=source,
            applied=marker.applied,
            end=marker.applied if idle else -1,
            watermark=marker.watermark,
            idle=idle,
            paused="",
            observed=END_OF_TIME if idle else 0,
        )

    def _due(self, *, now: int) -> Iterator[tuple[Candidate, Judged]]:
        for candidate, _, judgement in self._judgements:
            for judged in judgement.due(expected=self._expected, progress=self._progress, now=now):
                judgement.accept(judged)
                yield candidate, judged
