"""What ingest tells Prometheus of its work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import prometheus_client as prometheus

from monitor import metrics
from monitor.clock import Clock
from monitor.columns import Batch
from monitor.intake.decode import Scanned
from monitor.partition import Folded


@cache
def _stage(stage: str) -> prometheus.Histogram:
    return metrics.STAGE_DURATION_SECONDS.labels(stage)


@cache
def _topic(topic: str) -> tuple[prometheus.Counter, prometheus.Counter, prometheus.Gauge, prometheus.Counter]:
    """Records, bytes, when the last was processed, records of the future: looking them up takes longer
    than counting, and a batch is counted in a tenth of a millisecond."""
    return (
        metrics.RECORDS_CONSUMED_TOTAL.labels(topic),
        metrics.CONSUMED_BYTES_TOTAL.labels(topic),
        metrics.LAST_RECORD_PROCESSED_TIMESTAMP_SECONDS.labels(topic),
        metrics.RECORDS_FUTURE_TOTAL.labels(topic),
    )


def count(batch: Batch, scanned: Scanned, folded: Folded, *, now: int) -> None:
    """Count what became of a batch; `now` in milliseconds."""
    topic = batch.source.topic
    records, sizes, last, future = _topic(topic)
    records.inc(len(batch))
    sizes.inc(int(np.maximum(batch.sizes, 0).sum()))
    last.set(now / 1000)
    metrics.RECORDS_DECLINED_TOTAL.labels(topic).inc(scanned.declined)
    for reason, rejects in Counter(reject.reason for reject in scanned.rejects).items():
        metrics.RECORDS_REJECTED_TOTAL.labels(topic, str(reason)).inc(rejects)
    for model, late in folded.late.items():
        metrics.RECORDS_LATE_TOTAL.labels(model).inc(late)
    future.inc(sum(folded.future.values()))
    for model, breaches in folded.breaches.items():
        metrics.CONTRACT_VIOLATIONS_TOTAL.labels(model).inc(breaches)


@contextmanager
def timed(stage: str, clock: Clock) -> Iterator[None]:
    """Observe how long a stage of the data path takes."""
    begin = clock.monotonic()
    yield
    _stage(stage).observe(clock.monotonic() - begin)
