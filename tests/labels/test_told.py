"""Labels that cannot be what was meant are told in words or counted, and not taken in silence."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.join import BINS, width_of
from monitor.intake.decode import Decoder
from monitor.labels.join import KINDS
from monitor.labels.shares import MANY, measure
from monitor.measure import count
from monitor.metrics import REGISTRY
from monitor.names import Source
from monitor.partition import Folded
from tests.labels.test_outcomes import LABELS, MINUTE, OUTCOMES, PLAN, PREDICTIONS, START, batch_of


def sums_of(labels, positive):
    sums = np.zeros(width_of(KINDS["score"], 0), np.int64)
    sums[2 * 7], sums[2 * 7 + 1], sums[2 * BINS + 7] = labels - positive, positive, labels
    sums[-2:] = labels
    return sums


@pytest.mark.parametrize(
    ("labels", "positive", "is_told"),
    [(MANY, 0, True), (MANY, 1, False), (MANY - 1, 0, False), (0, 0, False)],
)
def test_no_positive_label_among_many_is_told(labels, positive, is_told):
    """With the values that are positive, and the setting that names them."""
    detail = measure({0: sums_of(labels, positive)}, PLAN).detail
    text = f" None of {labels:,} labels is positive, which are 1, true (labels.positive)."
    assert detail.endswith(text) is is_told
    assert ("positive" in detail) is is_told


@pytest.mark.parametrize(("plan", "intake"), [(PLAN, PREDICTIONS), (LABELS, OUTCOMES)])
def test_records_without_an_id_are_counted(plan, intake):
    """By topic and model, and 0 is there with the first batch."""
    ids = [{"id": 1}, {"id": None}, {"id": "a"}, {}]
    records = [{**own, "ref": own, "score": 0.5, "label": 1, "v": "1"} for own in ids]
    source = Source(f"told-{intake.name}", 0)
    log = [(START + n * MINUTE, record) for n, record in enumerate(records)]
    for high, want in ((1, 0.0), (4, 2.0)):
        batch = batch_of(source, log, high - 1 if high == 1 else 1, high)
        scanned = Decoder(intake, {"m": plan}, {}).scan(batch)
        assert not scanned.rejects
        count(batch, scanned, Folded(len(batch), len(batch), {}, {}, {}), now=START)
        labels = {"topic": source.topic, "model": "m"}
        assert REGISTRY.get_sample_value("driftline_records_without_id_total", labels) == want
