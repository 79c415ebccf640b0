"""Open cells: dense or at rest, what they count is the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.layout import NOVEL, OTHER
from kernels.select import CPU
from monitor.columns import Columns, Novel
from monitor.memory import FEWEST_DENSE
from monitor.names import SketchKey
from monitor.novel import keep
from monitor.pack import Packed
from monitor.plan import Rule, RuleKind, SegmentPlan
from monitor.sketch import NOVEL_KEPT
from monitor.state.codec import decode_sketch, digest, encode
from monitor.window.cells import GROUPS_PER_PANE, OpenCells
from tests.test_partition import LAYOUT, MINUTE, PLAN, SOURCE, START

CONTRACT = replace(
    PLAN,
    features=(PLAN.features[0], replace(PLAN.features[1], allowed=("a", "n1", "n2"))),
    rules=(Rule("x", RuleKind.NULL), Rule("c", RuleKind.CATEGORY)),
)
CATEGORIES = (("a", "b"),)


def columns_of(seed: int, count: int, *, names: int = 200) -> tuple[Columns, np.ndarray]:
    """Rows of 12 groups in 5 panes, of some none, with novel and rare categories; and their panes."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 5, (1, count)).astype(np.int32)
    named = np.flatnonzero((codes[0] == NOVEL) | (codes[0] == OTHER)).astype(np.int32)
    columns = Columns(
        model="m",
        index=np.arange(count),
        offsets=np.arange(count) + 1000 * seed,
        timestamps=np.full(count, START),
        events=np.full(count, START),
        values=np.where(rng.random((1, count)) < 0.1, np.nan, rng.normal(1.5, 1.5, (1, count))),
        codes=codes,
        latency=rng.exponential(20, count),
        errors=(rng.random(count) < 0.1).astype(np.uint8),
        group=rng.integers(0, 12, count).astype(np.int32),
        groups=tuple((f"v{i}", "champion") for i in range(12)),
        novel=Novel(
            row=named,
            column=np.zeros(len(named), np.int32),
            name=rng.integers(0, names, len(named)).astype(np.int32),
            names=tuple(f"n{i}" for i in range(names)),
        ),
        segments=rng.integers(0, 5, (1, count)).astype(np.int32),
    )
    panes = START + rng.integers(0, 5, count) * MINUTE
    return columns, np.where(rng.random(count) < 0.1, -1, panes)


def opened(*, room: int = 1 << 26) -> OpenCells:
    return OpenCells(CONTRACT, LAYOUT, SOURCE, CATEGORIES, room=room)


def digests(cells: OpenCells, stored: dict[SketchKey, bytes], *, live: int = 0) -> None:
    """Checkpoint: the stored digests are renewed, and cells may come to rest."""
    stored |= {sketch.key: digest(sketch) for sketch in cells.changed(7)}
    cells.confirm(live)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 120), st.booleans()), min_size=1, max_size=6))
def test_coming_to_rest_changes_no_count(batches: list[tuple[int, int, bool]]) -> None:
    """Few dense cells or many, checkpoints anywhere: the digests are those of cells that never rest."""
    busy, small = opened(), opened(room=0)
    wide: dict[SketchKey, bytes] = {}
    narrow: dict[SketchKey, bytes] = {}
    for seed, count, is_checkpoint in batches:
        columns, panes = columns_of(seed, count)
        assert busy.add(columns, panes) == small.add(columns, panes)
        for cells in (busy, small):
            cells.reject(START + seed % 5 * MINUTE, seed % 3, count=seed)
        if is_checkpoint:
            digests(small, narrow)
    digests(busy, wide)
    digests(small, narrow)
    assert narrow == wide


@pytest.mark.parametrize("segment", [-1, 0])
def test_every_backend_counts_the_same(backend, segment) -> None:
    """Taken, given back, grown, packed and gone on with: the digests are those of the CPU."""
    plan = replace(CONTRACT, segments=(SegmentPlan("k", ("k",), values=("a", "b")),))
    stored: list[dict[SketchKey, bytes]] = []
    for each, room in ((CPU, 1 << 26), (backend, 0), (backend, 1 << 26)):
        cells = OpenCells(plan, LAYOUT, SOURCE, CATEGORIES, room=room, backend=each, segment=segment)
        found: dict[SketchKey, bytes] = {}
        broken = [cells.add(*columns_of(seed, 150)) for seed in range(4)]
        digests(cells, found)
        stored.append({**found, "broken": broken})
    assert stored[0] == stored[1] == stored[2]


def test_a_burst_makes_no_more_dense_cells_than_there_is_room_for() -> None:
    """One batch that touches more cells than can be dense is counted in parts."""
    cells = opened(room=0)
    columns, panes = columns_of(1, 2_000)
    cells.add(columns, panes)
    assert len(cells) == 60
    assert len(cells._awake) == cells._dense.limit == FEWEST_DENSE
    assert sum(sketch.rows for sketch in cells.changed(1)) == np.count_nonzero(panes >= 0)


def test_a_flood_of_versions_is_counted_in_one_part() -> None:
    """Rows that share a cell are of one cell, however many versions they name."""
    cells = opened(room=0)
    columns, _ = columns_of(1, 300)
    columns.group = np.arange(300, dtype=np.int32)
    columns.groups = tuple((f"request-{i}", "champion") for i in range(300))
    cells.add(columns, np.full(300, START))
    assert len(cells) == GROUPS_PER_PANE + 1
    columns.group[:] = np.arange(300) % 200 + 100
    assert len(cells._numbered(columns, np.full(300, START))[1]) == 1
    assert sum(sketch.rows for sketch in cells.changed(1)) == 300


def test_a_cell_without_rows_comes_to_rest_at_the_checkpoint() -> None:
    """What was not touched since the last one is packed, and goes on from there with the next row."""
    cells = opened()
    columns, panes = columns_of(2, 50)
    cells.add(columns, panes)
    cells.confirm(0)
    assert len(cells._awake) == len(cells)
    cells.confirm(0)
    assert not cells._awake
    assert cells.changed(1) == []
    cells.add(columns.take(np.arange(1)), panes[:1])
    assert len(cells._awake) == 1
    cells.confirm(START + 10 * MINUTE)
    assert (len(cells), cells._awake) == (0, {})


def test_restored_cells_go_on_from_what_was_stored() -> None:
    """Stored half-way and restored, cells end with the digests of an undisturbed count."""
    parts = [columns_of(seed, 200) for seed in (3, 4)]
    whole = opened()
    for columns, panes in parts:
        whole.add(columns, panes)
    first, second = opened(), opened()
    first.add(*parts[0])
    stored = {sketch.key: encode(sketch) for sketch in first.changed(7)}
    second.restore(decode_sketch(body) for body in stored.values())
    second.add(*parts[1])
    ended = {sketch.key: digest(sketch) for sketch in second.changed(7)}
    for sketch in whole.changed(7):
        assert ended.get(sketch.key, digest(decode_sketch(stored.get(sketch.key, encode(sketch))))) == digest(
            sketch
        )


def test_counts_beyond_32_bits_survive_rest() -> None:
    """A cell that counted five billion rows packs and unpacks to the digit."""
    cells = opened()
    columns, panes = columns_of(5, 40)
    cells.add(columns, panes)
    (sketch, *_) = cells.changed(1)
    huge = sketch.compact(counts=sketch.counts + 5_000_000_000, rows=5_000_000_000)
    again = opened()
    again.restore([huge])
    key = huge.key
    row = columns.take(np.arange(1))
    row.groups = ((key.version, key.variant),)
    row.group[:] = 0
    again.add(row, np.array([key.pane]))
    again.confirm(0)
    again.confirm(0)
    again.reject(key.pane, 0)
    again.add(row, np.array([key.pane]))
    (found,) = (s for s in again.changed(2) if s.key == key)
    assert isinstance(found.packed("counts"), Packed)
    assert found.counts.max() >= 5_000_000_001
    assert found.counts.sum() == huge.counts.sum() + 2 * 2


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 200)), min_size=1, max_size=4))
def test_novel_categories_are_counted_as_the_twin_does(batches: list[tuple[int, int]]) -> None:
    """By cell, one row at a time: novel ones by name, forbidden ones by rule."""
    cells = opened(room=0)
    counted: dict[tuple[str, int], Counter[str]] = {}
    broken: Counter[tuple[str, int]] = Counter()
    total = 0
    for seed, count in batches:
        columns, panes = columns_of(seed, count)
        total += cells.add(columns, panes)
        novel = columns.novel
        names = {row: novel.names[n] for row, n in zip(novel.row.tolist(), novel.name.tolist(), strict=True)}
        for row, pane in enumerate(panes.tolist()):
            if pane < 0:
                continue
            cell = columns.groups[columns.group[row]][0], pane
            code, name = columns.codes[0, row], names.get(row)
            if code == NOVEL:
                counted.setdefault(cell, Counter())[str(name)] += 1
            is_allowed = name in CONTRACT.features[1].allowed if name else code in {0, 3}
            broken[cell] += int(np.isnan(columns.values[0, row])) + (not is_allowed)
    found = {(s.key.version, s.key.pane): s for s in cells.changed(1)}
    assert {cell: dict(s.novel.get(0, {})) for cell, s in found.items() if s.novel} == {
        cell: keep(counts, NOVEL_KEPT) for cell, counts in counted.items()
    }
    assert {cell: int(s.violations.sum()) for cell, s in found.items()} == broken
    assert total == broken.total()


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_flood_of_novel_categories_keeps_the_smallest_hashes(size: int) -> None:
    """A new category in every row: whatever the batches, those of smallest hash are left, counted exactly."""
    cells = opened()
    names = [f"request-{i % 700}" for i in range(1400)]
    for part in (names[start : start + size] for start in range(0, len(names), size)):
        columns, _ = columns_of(1, len(part))
        columns.codes[:] = NOVEL
        columns.group[:] = 0
        distinct = tuple(dict.fromkeys(part))
        columns.novel = Novel(
            np.arange(len(part), dtype=np.int32),
            np.zeros(len(part), np.int32),
            np.array([distinct.index(name) for name in part], np.int32),
            distinct,
        )
        cells.add(columns, np.full(len(part), START))
    (sketch,) = cells.changed(1)
    assert dict(sketch.novel[0]) == keep(Counter(names), NOVEL_KEPT)
