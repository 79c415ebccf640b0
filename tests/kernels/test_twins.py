"""Every kernel against its naive twin. Run again without the compiler and with checked indices."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.fold import fold
from kernels.layout import BELOW, NUMERIC
from kernels.place import place
from kernels.scores import KS, OUTPUTS, score
from tests import naive, naive_scores
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


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.filterwarnings("ignore:overflow encountered")  # of unsigned words, where the compiler is off
def test_score_equals_its_twin(seed: int) -> None:
    """Each score of each feature, of windows full and empty, apart from the reference or in it."""
    rng = np.random.default_rng(seed)
    layout = cases.layout(seed, numeric=3, categorical=seed % 3)
    group, first, special = cases.coarse(layout)
    size, left = 10 ** rng.integers(1, 5), seed % 2
    shares = rng.dirichlet(np.full(layout.slots, 0.3))
    counts = rng.multinomial(size, shares, size=3)
    counts[2, layout.start[0] : layout.start[1]] = 0
    reference = rng.multinomial(5 * size, shares) + left * counts.sum(axis=0)
    whole = np.bincount(group, reference, minlength=first[-1])
    ends = np.tile([-1e3, 1e3], (3, layout.numeric, 1))
    sums = rng.integers(0, 2**40, (3, layout.numeric, 3))
    design = 1.0 + rng.random(layout.features)
    limits = {
        "cap": float(rng.choice([0.25, np.inf])),
        "wide": 20.0,
        "seen": float(rng.choice([20.0, np.inf])),
    }
    out, coarse = np.empty((3, layout.features, OUTPUTS)), np.empty((3, first[-1]), np.int64)
    score(
        out, coarse, counts, sums, ends, reference, whole, group, first, special, design, layout.kind, layout.column,
        layout.start, layout.edges, layout.edge_start, layout.center, layout.scale, left, *limits.values(),
    )  # fmt: skip
    for window, feature in np.ndindex(3, layout.features):
        own, slots = (
            slice(first[feature], first[feature + 1]),
            slice(layout.start[feature] + BELOW, layout.start[feature + 1]),
        )
        assert coarse[window].tolist() == np.bincount(group, counts[window], minlength=first[-1]).tolist()
        want = naive_scores.divergence(
            coarse[window, own], whole[own], special=special[feature], kind=layout.kind[feature],
            design=design[feature], left=left, **limits,
        )  # fmt: skip
        np.testing.assert_allclose(out[window, feature, :KS], want, rtol=1e-9, atol=1e-9)
        if layout.kind[feature] != NUMERIC:
            assert np.isnan(out[window, feature, KS:]).all()
            continue
        column = layout.column[feature]
        edges = layout.edges[layout.edge_start[column] : layout.edge_start[column + 1]]
        want = naive_scores.numeric(
            counts[window, slots], reference[slots], edges, ends[window, column], sums[window, column],
            center=layout.center[column], scale=layout.scale[column], left=left,
        )  # fmt: skip
        np.testing.assert_allclose(out[window, feature, KS:], want, rtol=1e-12)
