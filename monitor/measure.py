"""What ingest tells Prometheus of its work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from monitor import metrics
from monitor.clock import Clock
from monitor.columns import Batch
from monitor.intake.decode import Scanned
from monitor.partition import Folded


def count(batch: Batch, scanned: Scanned, folded: Folded, *, now: int) -> None:
    """Count what became of a batch; `now` in milliseconds."""
    topic = batch.source.topic
    metrics.RECORDS_CONSUMED_TOTAL.labels(topic).inc(len(batch))
    metrics.CONSUMED_BYTES_TOTAL.labels(topic).inc(int(np.maximum(batch.sizes, 0).sum()))
    metrics.LAST_RECORD_PROCESSED_TIMESTAMP_SECONDS.labels(topic).set(now / 1000)
    for reason, rejects in Counter(reject.reason for reject in scanned.rejects).items():
        metrics.RECORDS_REJECTED_TOTAL.labels(topic, str(reason)).inc(rejects)
    for model, late in folded.late.items():
        metrics.RECORDS_LATE_TOTAL.labels(model).inc(late)
    metrics.RECORDS_FUTURE_TOTAL.labels(topic).inc(sum(folded.future.values()))
    for model, breaches in folded.breaches.items():
        metrics.CONTRACT_VIOLATIONS_TOTAL.labels(model).inc(breaches)


@contextmanager
def timed(stage: str, clock: Clock) -> Iterator[None]:
    """Observe how long a stage of the data path takes."""
    begin = clock.monotonic()
    yield
    metrics.STAGE_DURATION_SECONDS.labels(stage).observe(clock.monotonic() - begin)
