"""Which predictions wait for labels: as many as may, chosen by their id and by nothing but the log."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.intake.joined import hash64
from monitor.joinable import DEEPEST, is_kept, unpack
from monitor.names import Source
from monitor.window.kept_ids import KeptIds, panes_waiting
from tests.labels import test_outcomes as outcomes
from tests.labels.test_outcomes import MINUTE, PLAN, START, sketches_of

MOST = 640
BOUNDED = replace(PLAN, join=replace(PLAN.join, most=MOST))


def log_of(seed, panes=12):
    """Predictions of one partition, more in each minute than in the one before; some out of order, some without an id."""
    rng = np.random.default_rng(seed)
    found = []
    for pane in range(panes):
        for _ in range(5 * (pane + 1)):
            at = START + pane * MINUTE + int(rng.integers(-20_000, MINUTE))
            record = {"id": f"{rng.integers(0, 2**40)}", "score": 0.5, "v": str(rng.integers(1, 3)), "k": "a"}
            if rng.random() < 0.05:
                del record["id"]
            found.append((max(at, START), record))
    return found


def newest(parts):
    return {sketch.key: sketch.joinable for part in parts for sketch in part}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**20), st.data())
def test_what_is_kept_is_a_function_of_the_log(seed, data):
    """Batches, checkpoints and crashes anywhere: each sketch has the same rows, of the same level."""
    log, source = log_of(seed), Source("p", 0)
    cuts = sorted(set(data.draw(st.lists(st.integers(1, len(log)), max_size=6))) | {len(log)})
    patch = pytest.MonkeyPatch()
    patch.setattr(outcomes, "PLAN", BOUNDED)
    try:
        want = newest(sketches_of(source, log, [len(log)]))
        assert newest(sketches_of(source, log, cuts, crash=data.draw(st.booleans()))) == want
    finally:
        patch.undo()
    levels = {unpack(data).level for data in want.values() if data}
    assert len(levels) > 1
    assert 0 in levels


def test_those_that_wait_are_as_many_as_may(monkeypatch):
    """At a steady rate, but for what comes before it is known; and those are kept whose ids begin with as many 0 bits."""
    monkeypatch.setattr(outcomes, "PLAN", BOUNDED)
    panes = panes_waiting(BOUNDED)
    log = [
        (START + pane * MINUTE + row * MINUTE // 200, {"id": f"{pane}-{row}", "score": 0.5, "v": "1", "k": "a"})
        for pane in range(panes) for row in range(200)
    ]  # fmt: skip
    stored = newest(sketches_of(Source("p", 0), log, [len(log)]))
    found = {key.pane: unpack(data) for key, data in stored.items() if data}
    assert found[min(found)].level == 0
    later = [rows for pane, rows in found.items() if pane > min(found)]
    # 200 x 22 panes are 4400, an eighth of it 550; the rate is known from some tens of rows
    assert {3} <= {rows.level for rows in later} <= {3, 4}
    assert MOST / 3 < sum(len(rows.rows) for rows in later) <= MOST
    for pane, rows in found.items():
        ids = {hash64(f"{(pane - START) // MINUTE}-{row}") for row in range(200)}
        assert set(rows.rows["id"].tolist()) == {
            one for one in ids if one >> (64 - rows.level) == 0 or not rows.level
        }


def test_deeper_samples_are_parts_of_others():
    """So a prediction and its label, counted twice or on two partitions, are in the same ones."""
    ids = np.array([0, 1, 2**62, 2**63, 2**64 - 1], np.uint64)
    assert is_kept(ids, 0).tolist() == [False, True, True, True, True]
    assert is_kept(ids, 1).tolist() == [False, True, True, False, False]
    assert is_kept(ids, 2).tolist() == [False, True, False, False, False]
    assert is_kept(ids, DEEPEST).tolist() == [False, True, False, False, False]


def test_panes_that_are_final_say_nothing_of_the_rate():
    """A burst of an hour ago is over: where it is forgotten or not depends on when checkpoints were made."""
    ids, panes = np.arange(1, 101, dtype=np.uint64), np.full(100, START)
    for is_forgotten in (False, True):
        kept = KeptIds(BOUNDED)
        kept.take(ids, panes, panes)
        if is_forgotten:
            kept.forget(START + 30 * MINUTE)
        kept.take(ids, panes + 60 * MINUTE, panes + 59 * MINUTE)
        assert kept.level(START + 60 * MINUTE) == 0
