"""Steps 2 to 5 of the data path, for one batch of one partition."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from monitor.clock import Clock
from monitor.columns import Batch, Columns, Reject
from monitor.intake.dead_letter import DeadLetters, Limit
from monitor.intake.decode import Decoder
from monitor.measure import count, timed
from monitor.partition import Model, Partition
from monitor.pipeline import Folding
from monitor.plan import SourcePlan
from monitor.salvage import cut, scan

log = structlog.get_logger(__name__)

RAISED_IN_A_ROW = 50
"""Polls that may raise one after the other: a callback that fails now and then is survived, a client
that cannot poll at all is not."""
BATCH = 10_000
"""Records per poll, mostly of two or three partitions: what a batch costs whatever it holds is then a twentieth
of its work. With 5,000 batches are joined for folding, 0.04 us a record; 20,000 change only memory."""

POLL_BYTES = 16 << 20
"""Of a poll's records, about, however wide they are: as much as may wait in the pipeline."""
FIRST = 1_000
"""Records of the first poll, before it is known how wide they are."""
FEWEST = 50
"""Records per poll at least: limits of the broker and of the source bound how wide they are."""


Offer = Callable[[Batch, Sequence[Columns]], None]
"""Shows what was counted to whoever looks at a sample of it; must neither wait nor raise."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """Seconds between checkpoints; idle time in seconds by topic comes from the source plan."""

    checkpoint: float = 10.0
    poll: float = 0.2


@dataclass(frozen=True, slots=True)
class Input:
    """One source as ingest needs it."""

    plan: SourcePlan
    decoder: Decoder
    models: Mapping[str, Model]
    dead_letters: DeadLetters
    offer: Offer | None = None


def fold_batch(batch: Batch, *, partition: Partition, item: Input, limit: Limit, clock: Clock) -> Folding:
    """Scan a batch and count its rows; refused, and nothing of it counted, when too many are rejects.

    Runs on the pipeline's thread. Records that were applied before are left out.
    """
    batch = _beyond(batch, partition.position)
    if not len(batch):
        return Folding(0)
    with timed("scan", clock):
        scanned = scan(item.decoder, batch)  # step 2
    if limit.exceeds(len(scanned.rejects), len(batch)):
        return Folding(0, scanned.rejects)
    if scanned.rejects:
        item.dead_letters.put(batch, scanned.rejects)
    with timed("fold", clock):
        folded = partition.fold(batch, scanned.columns, scanned.rejects)  # steps 3 to 5
    count(batch, scanned, folded, now=clock.now_ms())
    if item.offer is not None:
        item.offer(batch, scanned.columns)
    return Folding(folded.rows)


def fitting(batches: Sequence[Batch], before: int) -> int:
    """How many records as wide as these are POLL_BYTES; `before` when there are none."""
    count = sum(map(len, batches))
    size = sum(int(np.maximum(batch.sizes, 0).sum()) for batch in batches)
    return max(POLL_BYTES * count // max(size, 1), FEWEST) if count else before


def say_refused(batch: Batch, rejects: Collection[Reject]) -> None:
    """Log why a partition stopped before a batch, and what helps."""
    first = min(rejects, key=lambda reject: reject.index)
    log.error(
        "partition_paused",
        source=str(batch.source),
        offset=int(batch.offsets[first.index]),
        rejects=len(rejects),
        records=len(batch),
        reasons=sorted({str(reject.reason) for reject in rejects}),
        first=first.detail,
        remedy="fix the mapping, or raise dead_letter.limit, then reload",
    )


def _beyond(batch: Batch, position: int) -> Batch:
    """The records of `batch` that were not applied yet; after a seek a client may hand out older ones."""
    skip = int(np.searchsorted(batch.offsets, position))
    return cut(batch, skip, len(batch)) if skip else batch
