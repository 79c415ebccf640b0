"""Merging sketches into a window: sums that do not depend on order or grouping."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.layout import LATENCY_BINS, Layout
from monitor.names import REASONS, SketchKey, Source
from monitor.plan import Budget, FeaturePlan, Kind, ModelPlan, Rule, RuleKind, WindowSpec
from monitor.sketch import NOVEL_KEPT, Sketch
from monitor.window.merge import merge

HOUR = 3_600_000
SPEC = WindowSpec("1h", HOUR, HOUR)
LAYOUT = Layout(
    kind=np.array([0, 1], np.int8),
    column=np.array([0, 0], np.int32),
    start=np.array([0, 6, 11], np.int32),
    edges=np.array([0.0, 1.0, 2.0]),
    edge_start=np.array([0, 3], np.int32),
    center=np.array([1.0]),
    scale=np.array([1.0]),
)
PLAN = ModelPlan(
    name="fraud",
    source="predictions",
    features=(
        FeaturePlan("amount", ("amount",), Kind.NUMERIC),
        FeaturePlan("country", ("country",), Kind.CATEGORICAL),
    ),
    rules=(Rule("amount", RuleKind.NULL), Rule("amount", RuleKind.RANGE)),
    windows=(SPEC,),
    pane=60_000,
    budget=Budget(1, 30 * 24 * HOUR),
    config="cafe",
)
ARRAYS = ("counts", "sums", "extremes", "latency", "violations", "rejects")


def sketch_of(seed, **changes):
    """A plausible sketch of the layout above that depends on `seed`; `changes` replace parts of the key."""
    rng = np.random.default_rng(seed)
    first = int(rng.integers(0, 1000))
    has_rows = bool(rng.integers(0, 5))
    parts = {
        "model": "fraud",
        "config": "cafe",
        "version": f"v{seed % 3}",
        "variant": "champion",
        "segment": "",
        "pane": int(rng.integers(0, 60)) * 60_000,
        "source": Source("predictions", seed % 4),
    }
    return Sketch(
        key=SketchKey(**{**parts, **changes}),
        applied=2000,
        rows=int(rng.integers(1, 100)) if has_rows else 0,
        errors=int(rng.integers(0, 5)),
        counts=rng.integers(0, 1 << 40, LAYOUT.slots),
        sums=rng.integers(-(1 << 40), 1 << 40, (1, 3)),
        extremes=np.sort(rng.normal(size=(1, 2))) if has_rows else np.array([[np.inf, -np.inf]]),
        latency=rng.integers(0, 9, LATENCY_BINS),
        violations=rng.integers(0, 9, 2),
        rejects=rng.integers(0, 9, len(REASONS)),
        first=first if has_rows else -1,
        last=first + int(rng.integers(0, 50)) if has_rows else -1,
        novel={0: {f"n{i}": int(rng.integers(1, 9)) for i in rng.integers(0, 300, 50)}},
    )


def window_of(sketches, *, plan=PLAN, start=0, end=HOUR, **options):
    return merge(SPEC, start=start, end=end, parts=sketches, plan=plan, layout=LAYOUT, **options)


def same(a, b):
    scalars = ("rows", "errors", "offsets", "versions", "novel", "coverage", "missing_partitions")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ARRAYS) and all(
        getattr(a, name) == getattr(b, name) and repr(getattr(a, name)) == repr(getattr(b, name))
        for name in scalars
    )


def as_sketch(window, like):
    """The window's counts as one sketch, to merge on."""
    fields = {name: getattr(window, name) for name in (*ARRAYS, "rows", "errors", "novel")}
    first, last = window.offsets.get(like.key.source, (-1, -1))
    return replace(like, first=first, last=last, **fields)


def test_no_sketches_give_a_window_of_zeros():
    """An empty window has every array in the layout's shape, and no rows."""
    window = window_of([], coverage=0.5, missing=(Source("b", 1), Source("a", 0)), revision=2)
    assert (window.rows, window.errors, window.offsets, window.versions, window.novel) == (0, 0, {}, {}, {})
    assert window.counts.tolist() == [0] * LAYOUT.slots
    assert window.sums.tolist() == [[0, 0, 0]]
    assert window.extremes.tolist() == [[np.inf, -np.inf]]
    assert window.latency.shape == (LATENCY_BINS,)
    assert window.violations.tolist() == [0, 0]
    assert window.rejects.tolist() == [0] * len(REASONS)
    assert (window.coverage, window.revision, window.name) == (0.5, 2, "1h")
    assert (window.start, window.end, window.model) == (0, HOUR, "fraud")
    assert window.missing_partitions == (Source("a", 0), Source("b", 1))


def test_counts_equal_the_obvious_sum():
    """Every count is the plain sum over the sketches, extremes are the outermost."""
    sketches = [sketch_of(seed) for seed in range(20)]
    window = window_of(iter(sketches))
    for name in ("counts", "sums", "latency", "violations", "rejects"):
        assert np.array_equal(getattr(window, name), sum(getattr(sketch, name) for sketch in sketches))
    assert window.rows == sum(sketch.rows for sketch in sketches)
    assert window.errors == sum(sketch.errors for sketch in sketches)
    assert window.extremes[0, 0] == min(sketch.extremes[0, 0] for sketch in sketches)
    assert window.extremes[0, 1] == max(sketch.extremes[0, 1] for sketch in sketches)
    for source, (first, last) in window.offsets.items():
        counted = [s for s in sketches if s.key.source == source and s.first >= 0]
        assert (first, last) == (min(s.first for s in counted), max(s.last for s in counted))
    assert sum(window.versions.values()) == window.rows
    assert list(window.versions.values()) == sorted(window.versions.values(), reverse=True)


@given(st.lists(st.integers(0, 60), max_size=12, unique=True), st.randoms(use_true_random=False))
def test_order_does_not_matter(seeds, rng):
    """Any order of arrival gives the same window, down to the order of its mappings."""
    sketches = [sketch_of(seed) for seed in seeds]
    shuffled = rng.sample(sketches, len(sketches))
    assert same(window_of(sketches), window_of(shuffled))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=12, unique=True), st.integers(0, 12))
def test_grouping_does_not_matter(seeds, cut):
    """Merging parts first and then their sums gives the same window: merge is associative."""
    sketches = [replace(sketch_of(seed), key=sketch_of(0).key) for seed in seeds]
    parts = [part for part in (sketches[:cut], sketches[cut:]) if part]
    nested = window_of([as_sketch(window_of(part), part[0]) for part in parts])
    assert same(nested, window_of(sketches))


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"model": ""},
        {"config": "beef"},
        {"variant": "challenger"},
        {"pane": HOUR},
        {"pane": -60_000},
    ],
)
def test_what_does_not_belong_is_left_out(change):
    """Other models, configurations, variants and panes are not counted."""
    mine = sketch_of(1)
    assert same(window_of([mine, sketch_of(2, **change)]), window_of([mine]))


def test_panes_are_right_open():
    """The pane that starts at the window's start belongs to it, the one at its end to the next."""
    panes = [sketch_of(1, pane=pane) for pane in (0, HOUR - 60_000, HOUR)]
    assert same(window_of(panes), window_of(panes[:2]))
    assert same(
        window_of(panes, start=HOUR, end=2 * HOUR),
        window_of([sketch_of(1, pane=HOUR)], start=HOUR, end=2 * HOUR),
    )


def test_rows_without_a_variant_are_judged_beside_a_named_champion():
    """With `champion: blue` rows of blue and rows that name no variant count, the challenger's do not."""
    plan = replace(PLAN, champion="blue")
    blue, unnamed, green = (
        sketch_of(seed, variant=v) for seed, v in enumerate(("blue", "champion", "green"))
    )
    assert window_of([blue, unnamed, green], plan=plan).rows == blue.rows + unnamed.rows


def test_all_versions_count_and_no_row_twice():
    """A window is over all versions of the model; segments hold the same rows once more."""
    sketches = [
        sketch_of(1, segment=segment, version=version)
        for segment in ("", "country=DE")
        for version in ("1", "2")
    ]
    window = window_of(sketches)
    assert window.rows == 2 * sketches[0].rows
    assert window.versions == {"1": sketches[0].rows, "2": sketches[0].rows}


def test_novel_categories_are_the_smallest_hashes_with_exact_counts():
    """However the rows are spread over partitions, the kept categories and counts are the same."""
    rng = random.Random(3)
    rows = [f"cat{rng.randrange(400)}" for _ in range(3000)]
    parts = [rows[n::4] for n in range(4)]

    def counted(part):
        return {text: part.count(text) for text in set(part)}

    spread = [replace(sketch_of(n), novel={0: counted(part)}) for n, part in enumerate(parts)]
    whole = window_of([replace(sketch_of(9), novel={0: counted(rows)})])
    assert window_of(spread).novel == whole.novel
    assert len(whole.novel[0]) == NOVEL_KEPT


def test_sketches_are_not_written_to():
    """Merging leaves the sketches as they were, and two windows share no arrays."""
    sketch = sketch_of(1)
    before = {name: getattr(sketch, name).copy() for name in ARRAYS}
    first, second = window_of([sketch]), window_of([sketch])
    first.counts[:] = 0
    assert all(np.array_equal(getattr(sketch, name), before[name]) for name in ARRAYS)
    assert np.array_equal(second.counts, before["counts"])
