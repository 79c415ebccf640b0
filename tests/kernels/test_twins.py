"""Every kernel against its naive twin. Run again without the compiler and with checked indices."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.fold import fold
from kernels.place import place
from tests import naive
from tests.kernels import cases


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.filterwarnings("ignore:overflow encountered")  # numpy warns where the compiler is off
def test_fold_equals_its_twin(seed: int) -> None:
    """A batch of ordinary and hostile rows gives the same bits as counting one by one."""
    layout = cases.layout(seed, numeric=seed, categorical=(3 * seed + 2) % 4, vectors=(1, 33, 5)[seed:])
    batch = cases.batch(seed, layout, rows=150, cells=3)
    rules = cases.rules(seed, layout)
    fast, slow = (cases.empty(layout, cells=3, rules=rules.count) for _ in range(2))
    fold(fast, layout, rules, **batch)
    naive.fold(slow, layout, rules, **batch)
    for name, mine, theirs in zip(fast._fields, fast, slow, strict=True):
        np.testing.assert_array_equal(mine, theirs, err_msg=name)
    assert cases.image(fast) == cases.image(slow)


@pytest.mark.parametrize("log_append", [0, 1])
def test_place_equals_its_twin(log_append: int) -> None:
    """Panes and watermarks are those of a placement that remembers every event time."""
    rng = np.random.default_rng(7)
    agree = 4
    seen: set[int] = set()
    for _ in range(20):
        n = 120
        events = rng.integers(0, 400, n) + np.arange(n) * 5 + rng.choice([0, 0, 0, 0, 3000], n)
        timestamps = np.where(rng.random(n) < 0.5, -1, events + rng.integers(-200, 400, n))
        lateness = rng.choice([0, 100], n)
        pane = rng.choice([10, 60], n)
        limits = {"bound": 50, "max_future": 80, "max_ahead": 700}
        largest = np.full(agree, -1)
        out, marks = np.empty(n, np.int64), np.empty(n, np.int64)
        place(
            events,
            timestamps,
            lateness,
            pane,
            largest,
            log_append,
            *limits.values(),
            out,
            marks,
        )
        rows = zip(events.tolist(), timestamps.tolist(), lateness.tolist(), pane.tolist(), strict=True)
        panes, watermarks = naive.place(rows, agree, log_append=bool(log_append), **limits)
        assert out.tolist() == panes
        assert marks.tolist() == watermarks
        seen.update(panes)
    assert {-1, -2} < seen
