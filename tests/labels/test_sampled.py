"""Figures of sampled predictions: of those that were kept, as exact as they can be, and with bounds that say so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kernels.join import CLASS, width_of
from monitor.joinable import unpack
from monitor.labelled import Labelled
from monitor.labels.sampled import pooled, stands_for
from monitor.labels.shares import measure
from monitor.names import Source
from monitor.novel import hash64
from monitor.window.completeness import Patience
from tests.labels import test_outcomes as outcomes
from tests.labels.hourly import heard_until
from tests.labels.test_outcomes import MINUTE, PLAN, START, WAIT, sketches_of

WIDTH = width_of(CLASS, 2)
CLASSES = replace(PLAN, join=replace(PLAN.join, kind="class", classes=("a", "b")))


def sums_of(right, wrong, missing=0):
    """Sums of predictions of two classes."""
    sums = np.zeros(WIDTH, np.int64)
    sums[0], sums[1] = right, wrong
    sums[9] = right + wrong + missing
    sums[-2:] = right + wrong + missing, right + wrong
    return sums


def test_one_level_is_as_it_is():
    """Bounds are those of as many labels as there are, and predictions as many as they stand for."""
    whole, sampled = (measure({level: sums_of(90, 10, 100)}, CLASSES) for level in (0, 3))
    assert {name: value for name, value in sampled.scores.items() if name != "sampled"} == whole.scores
    assert (sampled.predictions, sampled.labelled, sampled.scores["sampled"]) == (1600, 100, 1 / 8)
    assert "A sample of 0.12 of about 1,600 predictions." in sampled.detail
    assert "sampled" not in whole.scores


def test_each_prediction_stands_for_those_that_are_left_out():
    """1000 with 90 % right, and 250 of 1000 with 60 %: 75 % of all, as if of (2000)^2 / (1000 + 4000) labels."""
    parts = {0: sums_of(900, 100), 2: sums_of(150, 100)}
    found = measure(parts, CLASSES)
    assert found.scores["accuracy"] == pytest.approx(0.75)
    assert found.predictions == stands_for(parts) == 2000
    assert pooled(parts, WIDTH)[-1] == 800
    even = measure({0: sums_of(600, 200)}, CLASSES)
    for name in ("accuracy_low", "accuracy_high"):
        assert found.scores[name] == pytest.approx(even.scores[name])


def test_bounds_hold_as_often_as_they_say():
    """400 windows, of each half of the predictions and then an eighth of the others: the truth is within the bounds of all
    but a few."""
    rng, inside = np.random.default_rng(8), 0
    for _ in range(400):
        first, second = rng.binomial(2000, 0.9), rng.binomial(250, 0.7)
        found = measure({0: sums_of(first, 2000 - first), 3: sums_of(second, 250 - second)}, CLASSES)
        inside += found.scores["accuracy_low"] <= 0.8 <= found.scores["accuracy_high"]
    assert inside >= 380


def test_a_window_of_two_levels_is_that_of_a_recount(monkeypatch):
    """Predictions of two partitions of which one is sampled, labels of both: pairs are those of the ids that were kept."""
    busy = replace(PLAN, join=replace(PLAN.join, most=1_000), segments=(), min_records=5)
    monkeypatch.setattr(outcomes, "PLAN", busy)
    predictions = {0: [], 1: []}
    labels = []
    for pane in range(10):
        for row in range(230):
            at, own = START + pane * MINUTE + row * 250, f"{pane}-{row}"
            partition = int(row < 30)
            predictions[partition].append((at, {"id": own, "score": 0.9, "v": "1"}))
            labels.append((at + MINUTE, {"ref": {"id": own}, "label": int(row % (5 - partition) > 0)}))
    stored = [
        sketch
        for source, log in ((Source("p", 0), predictions[0]), (Source("p", 1), predictions[1]), (Source("l", 0), labels))
        for sketch in sketches_of(source, log, [len(log)])[0]
    ]  # fmt: skip
    labelled = Labelled(busy, patience=Patience())
    labelled.observe(stored)
    end = START + 10 * MINUTE
    *_, one = _due(labelled, end)
    whole = one.verdict.scores[""]
    levels = {
        sketch.key.pane: unpack(sketch.joinable).level
        for sketch in stored if sketch.joinable and sketch.key.source == Source("p", 0)
    }  # fmt: skip
    right = labels = stands = 0
    for pane in range(5, 10):
        for row in range(230):
            level = levels[START + pane * MINUTE] if row >= 30 else 0
            if level == 0 or hash64(f"{pane}-{row}") >> (64 - level) == 0:
                right += (row % (5 - (row < 30)) > 0) << level
                labels += 1
                stands += 1 << level
    assert set(levels.values()) > {0}
    assert whole["labels"] == labels < 5 * 230
    assert whole["accuracy"] == pytest.approx(right / stands, abs=0.01)  # counts are whole numbers
    assert one.verdict.rows == stands
    assert whole["sampled"] == pytest.approx(labels / stands)


def _due(labelled, end):
    for one in labelled.due(dict, judged={"5m": end}, heard=heard_until(end + WAIT), now=end + WAIT):
        labelled.accept(one)
        yield one
