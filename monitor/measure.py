"""What ingest tells Prometheus of its work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import numpy as np
import prometheus_client as prometheus

from monitor import metrics
from monitor.clock import Clock
from monitor.columns import Batch
from monitor.intake.decode import Scanned
from monitor.partition import Folded


class _Topic(NamedTuple):
    records: prometheus.Counter
    sizes: prometheus.Counter
    last: prometheus.Gauge
    future: prometheus.Counter
    declined: prometheus.Counter


@cache
def _stage(stage: str) -> prometheus.Histogram:
    return metrics.STAGE_DURATION_SECONDS.labels(stage)


@cache
def _topic(topic: str) -> _Topic:
    """Looking them up takes longer than counting, and a batch is counted in half a millisecond."""
    return _Topic(
        metrics.RECORDS_CONSUMED_TOTAL.labels(topic),
        metrics.CONSUMED_BYTES_TOTAL.labels(topic),
        metrics.LAST_RECORD_PROCESSED_TIMESTAMP_SECONDS.labels(topic),
        metrics.RECORDS_FUTURE_TOTAL.labels(topic),
        metrics.RECORDS_DECLINED_TOTAL.labels(topic),
    )


@cache
def _violations(model: str) -> prometheus.Counter:
    return metrics.CONTRACT_VIOLATIONS_TOTAL.labels(model)


@cache
def _without_id(topic: str, model: str) -> prometheus.Counter:
    return metrics.RECORDS_WITHOUT_ID_TOTAL.labels(topic, model)


def count(batch: Batch, scanned: Scanned, folded: Folded, *, now: int) -> None:
    """Count what became of a batch; `now` in milliseconds."""
    topic = batch.source.topic
    known = _topic(topic)
    known.records.inc(len(batch))
    known.sizes.inc(int(np.maximum(batch.sizes, 0).sum()))
    known.last.set(now / 1000)
    if scanned.declined:
        known.declined.inc(scanned.declined)
    for reason, rejects in Counter(reject.reason for reject in scanned.rejects).items():
        metrics.RECORDS_REJECTED_TOTAL.labels(topic, str(reason)).inc(rejects)
    for block in scanned.columns:
        if block.ids is not None:  # that is there from the first batch on, and 0
            _without_id(topic, block.model).inc(int(np.count_nonzero(block.ids == 0)))
    for model, late in folded.late.items():
        metrics.RECORDS_LATE_TOTAL.labels(model).inc(late)
    if folded.future:
        known.future.inc(sum(folded.future.values()))
    for model, breaches in folded.breaches.items():
        violations = _violations(model)
        if breaches:
            violations.inc(breaches)


@contextmanager
def timed(stage: str, clock: Clock) -> Iterator[None]:
    """Observe how long a stage of the data path takes."""
    begin = clock.monotonic()
    yield
    _stage(stage).observe(clock.monotonic() - begin)
