"""Judging a finished log again: the live fold and the live judge, without any effects."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from monitor.columns import Batch
from monitor.intake.decode import Decoder
from monitor.judgement import Context, Judged, Judgement
from monitor.names import Source
from monitor.partition import Model, Partition
from monitor.plan import SourcePlan
from monitor.state.log import Progress
from monitor.window.completeness import Patience

CHUNK = 5_000
END_OF_TIME = 1 << 60
"""Wall time of a replay: everything that will come has come."""


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


class Replay:
    """Folds batches and judges their windows, in the order a daemon would have.

    Verdicts are those of the daemon to the last digit, given the same partitions and offsets:
    both call `Partition.fold` and `Judgement.due`.
    """

    def __init__(self, feed: Feed, contexts: Mapping[str, Context], *, sources: Collection[Source]) -> None:
        """`sources` are all partitions that will be fed; none may be missing."""
        self.tally = Tally()
        self._feed = feed
        self._expected = tuple(sources)
        self._partitions = {
            source: Partition(source, feed.plan, feed.models, position=0) for source in sources
        }
        self._judgements = {
            name: Judgement(context, patience=Patience(settle=0)) for name, context in contexts.items()
        }
        self._progress: dict[Source, Progress] = {}

    def run(self, batches: Iterable[Batch], seen: Callable[[Batch], None] | None = None) -> Iterator[Judged]:
        """Verdicts in the order of their windows' completion; `seen` is called after each batch."""
        for batch in batches:
            self._fold(batch)
            if seen is not None:
                seen(batch)
            yield from self._due(now=0)
        for source in self._expected:
            self._observe(source, idle=True)
        yield from self._due(now=END_OF_TIME)

    def _fold(self, batch: Batch) -> None:
        if not len(batch):
            return
        partition = self._partitions[batch.source]
        if partition.records == 0:
            partition.start = int(batch.offsets[0])
        scanned = self._feed.decoder.scan(batch)
        folded = partition.fold(batch, scanned.columns, scanned.rejects)
        tally = self.tally
        tally.records += folded.records
        tally.rows += folded.rows
        tally.late += sum(folded.late.values())
        tally.future += sum(folded.future.values())
        for reject in scanned.rejects:
            tally.rejects[str(reject.reason)] = tally.rejects.get(str(reject.reason), 0) + 1
        self._observe(batch.source, idle=False)

    def _observe(self, source: Source, *, idle: bool) -> None:
        partition = self._partitions[source]
        sketches, marker = partition.checkpoint()
        partition.confirm(marker)
        for name, judgement in self._judgements.items():
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

    def _due(self, *, now: int) -> Iterator[Judged]:
        for judgement in self._judgements.values():
            for judged in judgement.due(expected=self._expected, progress=self._progress, now=now):
                judgement.accept(judged)
                yield judged


def read_lines(lines: Iterable[bytes], source: Source) -> Iterator[Batch]:
    """Batches of a JSON lines file: one record per line, its offset the line number from 0.

    There is no record timestamp, so `max_future` cannot apply. Empty lines are skipped.
    """
    values: list[bytes] = []
    offsets: list[int] = []
    for number, line in enumerate(lines):
        record = line.strip()
        if record:
            values.append(record)
            offsets.append(number)
        if len(values) == CHUNK:
            yield _batch(source, values, offsets)
            values, offsets = [], []
    if values:
        yield _batch(source, values, offsets)


def _batch(source: Source, values: list[bytes], offsets: list[int]) -> Batch:
    return Batch(
        source=source,
        values=values,
        keys=[None] * len(values),
        headers=[None] * len(values),
        offsets=np.array(offsets, np.int64),
        timestamps=np.full(len(values), -1, np.int64),
    )
