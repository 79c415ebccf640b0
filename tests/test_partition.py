"""The fold of one source partition is a pure function of its log prefix."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.layout import CATEGORICAL, NUMERIC, Layout
from monitor.columns import Batch, Columns, Novel, Reject
from monitor.names import REASONS, Reason, SketchKey, Source
from monitor.partition import Model, Partition
from monitor.plan import Budget, FeaturePlan, Kind, ModelPlan, SegmentPlan, SourcePlan, WindowSpec
from monitor.segments import names
from monitor.sketch import Sketch
from monitor.state.codec import encode_key
from monitor.state.log import AGREE, Checkpoint, Counted, Marker
from monitor.window.cells import GROUPS_PER_PANE, OVERFLOW, OpenCells

SOURCE = Source("predictions", 3)
MINUTE = 60_000
START = 1_700_000_000_000 // MINUTE * MINUTE
LAYOUT = Layout(
    kind=np.array([NUMERIC, CATEGORICAL], np.int8),
    column=np.array([0, 0], np.int32),
    start=np.array([0, 7, 12], np.int32),
    edges=np.array([0.0, 1.0, 2.0, 3.0]),
    edge_start=np.array([0, 4], np.int32),
    center=np.array([1.5]),
    scale=np.array([1.0]),
)
PLAN = ModelPlan(
    name="m",
    source="s",
    features=(FeaturePlan("x", ("x",), Kind.NUMERIC), FeaturePlan("c", ("c",), Kind.CATEGORICAL)),
    rules=(),
    windows=(WindowSpec("1m", MINUTE, MINUTE),),
    pane=MINUTE,
    budget=Budget(2, 30 * 86_400_000),
    config="abc",
    lateness=2 * MINUTE,
    sample=64,
)
SEGMENTED = replace(
    PLAN, segments=(SegmentPlan("k", ("k",), values=("a", "b")), SegmentPlan("l", ("l",), values=("a", "b")))
)
INTAKE = SourcePlan(name="s", topic="predictions", models=("m",), bound=10_000, max_ahead=3_600_000)


def novel_of(rows: np.ndarray) -> Novel:
    """Names for novel categories of column 0, ninety different ones."""
    names, name = np.unique([f"new-{row % 90}" for row in rows], return_inverse=True)
    return Novel(rows.astype(np.int32), np.zeros(len(rows), np.int32), name.astype(np.int32), tuple(names))


def between(novel: Novel, low: int, high: int) -> Novel:
    """The entries of the rows [low, high), which are the rows from 0 now."""
    own = (novel.row >= low) & (novel.row < high)
    return Novel(novel.row[own] - np.int32(low), novel.column[own], novel.name[own], novel.names)


def log_of(seed: int, count: int) -> tuple[Batch, Columns, list[Reject]]:
    """A whole log: mostly in order, with late, future and rejected records and two versions."""
    generator = np.random.default_rng(seed)
    events = (
        START
        + np.sort(generator.integers(0, 30 * MINUTE, count))
        + generator.integers(-20_000, 20_000, count)
    )
    odd = generator.random(count)
    events[odd < 0.03] -= 25 * MINUTE
    events[odd > 0.98] += 3 * 3_600_000
    timestamps = np.where(generator.random(count) < 0.5, events, START + 31 * MINUTE)
    rejected = np.flatnonzero(generator.random(count) < 0.05)
    rows = np.setdiff1d(np.arange(count), rejected)
    codes = generator.integers(0, 5, (1, len(rows))).astype(np.int32)
    columns = Columns(
        model="m",
        index=rows,
        offsets=rows + 100,
        timestamps=timestamps[rows],
        events=events[rows],
        values=generator.normal(1.5, 1.5, (1, len(rows))),
        codes=codes,
        latency=generator.exponential(20, len(rows)),
        errors=(generator.random(len(rows)) < 0.1).astype(np.uint8),
        group=generator.integers(0, 2, len(rows)).astype(np.int32),
        groups=(("1", "champion"), ("2", "champion")),
        novel=novel_of(np.flatnonzero(codes[0] == 1)),
        segments=generator.integers(0, 5, (2, len(rows))).astype(np.int32),
    )
    rejects = [
        Reject(int(at), Reason.DECODE if at % 2 else Reason.WRONG_TYPE, "", "m" if at % 3 else "")
        for at in rejected
    ]
    batch = Batch(
        SOURCE,
        [b""] * count,
        [None] * count,
        [None] * count,
        np.arange(count) + 100,
        timestamps.astype(np.int64),
    )
    return batch, columns, rejects


def cut(
    log: tuple[Batch, Columns, list[Reject]], start: int, stop: int
) -> tuple[Batch, Columns, list[Reject]]:
    """Records [start, stop) of a log as a batch of their own."""
    batch, columns, rejects = log
    low, high = np.searchsorted(columns.index, [start, stop])
    part = Columns(
        model="m",
        index=columns.index[low:high] - start,
        offsets=columns.offsets[low:high],
        timestamps=columns.timestamps[low:high],
        events=columns.events[low:high],
        values=columns.values[:, low:high],
        codes=columns.codes[:, low:high],
        latency=columns.latency[low:high],
        errors=columns.errors[low:high],
        group=columns.group[low:high],
        groups=columns.groups,
        novel=between(columns.novel, int(low), int(high)),
        segments=columns.segments[:, low:high],
    )
    return (
        Batch(
            SOURCE, batch.values[start:stop], batch.keys[start:stop], batch.headers[start:stop],
            batch.offsets[start:stop], batch.timestamps[start:stop],
        ),
        part,
        [Reject(r.index - start, r.reason, "", r.model) for r in rejects if start <= r.index < stop],
    )  # fmt: skip


def opened(plan: ModelPlan = PLAN) -> Partition:
    """A partition that begins at the log's first offset."""
    return Partition(SOURCE, INTAKE, {"m": Model(plan, LAYOUT)}, position=100)


def fold(partition: Partition, log: tuple[Batch, Columns, list[Reject]], cuts: Sequence[int]) -> None:
    """Fold a log in the batches that `cuts` make of it."""
    edges = [0, *cuts, len(log[0])]
    for start, stop in itertools.pairwise(edges):
        batch, columns, rejects = cut(log, start, stop)
        partition.fold(batch, [columns], rejects)


def content(sketches: Sequence[Sketch]) -> dict[SketchKey, tuple[object, ...]]:
    """What two folds must agree on."""
    return {
        s.key: (
            s.rows, s.errors, s.counts.tolist(), s.sums.tolist(), s.extremes.tolist(), s.latency.tolist(),
            s.rejects.tolist(), s.first, s.last, {k: dict(sorted(v.items())) for k, v in s.novel.items()},
        )
        for s in sketches
    }  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 399), max_size=8), st.sampled_from([PLAN, SEGMENTED]))
def test_batches_do_not_matter(seed: int, cuts: list[int], plan: ModelPlan) -> None:
    """However the log is cut into batches, sketches and marker are the same."""
    log = log_of(seed, 400)
    whole, parts = opened(plan), opened(plan)
    fold(whole, log, [])
    fold(parts, log, sorted(set(cuts)))
    (a, first), (b, second) = whole.checkpoint(), parts.checkpoint()
    assert content(a) == content(b)
    assert first == second


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000),
    st.lists(st.integers(1, 399), min_size=1, max_size=6),
    st.sampled_from([PLAN, SEGMENTED]),
)
def test_a_crash_after_any_checkpoint_changes_nothing(seed: int, crashes: list[int], plan: ModelPlan) -> None:
    """Restoring the newest checkpoint and reading on gives the counts of an undisturbed fold."""
    log = log_of(seed, 400)
    undisturbed = opened(plan)
    fold(undisturbed, log, [])
    expected = content(undisturbed.checkpoint()[0])
    stored: dict[SketchKey, Sketch] = {}
    marker: Marker | None = None
    edges = [0, *sorted(set(crashes)), 400]
    for start, stop in itertools.pairwise(edges):
        partition = opened(plan)
        if marker is not None:
            live = tuple(s for s in stored.values() if s.key.pane >= marker.live[s.key.model])
            partition.restore(Checkpoint(marker, live))
            assert partition.position == 100 + start
        batch, columns, rejects = cut(log, start, stop)
        partition.fold(batch, [columns], rejects)
        sketches, marker = partition.checkpoint()
        partition.confirm(marker)
        stored |= {sketch.key: sketch for sketch in sketches}
    assert content(list(stored.values())) == expected


def test_every_record_is_counted_once() -> None:
    """Rows in panes, late, future and rejected records add up to the log, by tallies and by sketches."""
    log = log_of(7, 2_000)
    partition = opened()
    fold(partition, log, [300, 1_100])
    sketches, marker = partition.checkpoint()
    rows = sum(sketch.rows for sketch in sketches)
    rejects = sum(int(sketch.rejects.sum()) for sketch in sketches)
    assert rows + rejects == 2_000 == marker.records
    assert sum((marker.tallies or {}).values()) == rejects
    assert sum(int(s.rejects[REASONS.index(Reason.LATE)]) for s in sketches) > 0
    assert sum(int(s.rejects[REASONS.index(Reason.FUTURE)]) for s in sketches) > 0


def test_segments_of_a_column_add_up_to_the_whole() -> None:
    """Each column's segments hold every row once; late, future and rejected records and novel names stand in
    the whole alone."""
    partition, plain = opened(SEGMENTED), opened()
    log = log_of(7, 2_000)
    fold(partition, log, [300, 1_100])
    fold(plain, log, [300, 1_100])
    (sketches, marker), (whole, unchanged) = partition.checkpoint(), plain.checkpoint()
    assert marker == unchanged
    assert content([s for s in sketches if not s.key.segment]) == content(whole)
    parts = [s for s in sketches if s.key.segment]
    assert {s.key.segment for s in parts} == {*names(SEGMENTED)}
    assert not any(int(s.rejects.sum()) or s.novel for s in parts)
    for column in ("k", "l"):
        own = [s for s in parts if s.key.segment.startswith(f"{column}=")]
        for attribute in ("rows", "errors", "counts", "sums", "latency"):
            totals = [
                sum(getattr(s, attribute) for s in some) for some in (own, [s for s in whole if s.key.model])
            ]
            assert np.array_equal(*totals), attribute


def test_segments_of_shared_cells_are_shared_too() -> None:
    """Beyond the limit of versions a row is counted in the shared cells of its segments, and those it had."""
    partition = opened(SEGMENTED)
    log = log_of(1, 1_000)
    columns = log[1]
    columns.group = np.arange(len(columns), dtype=np.int32)
    columns.groups = tuple((f"request-{i}", "champion") for i in range(len(columns)))
    columns.events[:] = START
    fold(partition, log, [500])
    sketches, _ = partition.checkpoint()
    rows = {s.key.version: s.rows for s in sketches if not s.key.segment}
    for column in ("k", "l"):
        found: dict[str, int] = {}
        for s in sketches:
            if s.key.segment.startswith(f"{column}="):
                found[s.key.version] = found.get(s.key.version, 0) + s.rows
        assert found == {version: count for version, count in rows.items() if count}
    assert len(sketches) <= 4 * GROUPS_PER_PANE


def test_a_flood_of_versions_shares_one_cell() -> None:
    """A request id in the version field costs one cell more than the limit, not one per record."""
    batch, columns, _ = log_of(1, 1_000)
    columns.group = np.arange(len(columns), dtype=np.int32)
    columns.groups = tuple((f"request-{i}", "champion") for i in range(len(columns)))
    columns.events[:] = START
    partition = opened()
    folded = partition.fold(batch, [columns], [])
    sketches, _ = partition.checkpoint()
    assert len(sketches) <= GROUPS_PER_PANE + 2
    assert OVERFLOW in {sketch.key.version for sketch in sketches}
    assert sum(sketch.rows for sketch in sketches) == folded.rows > 800


def test_a_partition_of_another_configuration_starts_anew() -> None:
    """Counts that meant something else are not continued."""
    log = log_of(3, 200)
    partition = opened()
    fold(partition, log, [])
    sketches, marker = partition.checkpoint()
    other = Partition(SOURCE, INTAKE, {"m": Model(replace(PLAN, config="new"), LAYOUT)}, position=0)
    other.restore(Checkpoint(marker, tuple(sketches)))
    assert other.position == partition.position
    assert [s for s in other.checkpoint()[0] if s.key.model == "m"] == []


def test_a_marker_says_since_when_a_configuration_is_counted() -> None:
    """A new one from what was reached then on, but for the panes of rows that were ahead of that; the same one, and
    all before this was noted, unchanged."""
    partition = opened()
    fold(partition, log_of(3, 200), [])
    sketches, marker = partition.checkpoint()
    assert marker.counted == {"m": Counted("abc")}
    anew = Counted("new", marker.reached, marker.ahead(MINUTE))
    for config, written, counted in (
        ("abc", marker, Counted("abc")),
        ("abc", replace(marker, counted={"m": anew._replace(config="abc")}), anew._replace(config="abc")),
        ("new", marker, anew),
        ("new", replace(marker, counted=None), Counted("new")),
        ("new", replace(marker, counted={}), anew),
    ):
        other = Partition(SOURCE, INTAKE, {"m": Model(replace(PLAN, config=config), LAYOUT)}, position=0)
        other.restore(Checkpoint(written, tuple(sketches)))
        assert other.checkpoint()[1].counted == {"m": counted}
    assert marker.reached > START
    first = marker.reached // MINUTE * MINUTE
    far = (first + 9 * MINUTE + 7, first + MINUTE + 2, first + MINUTE + 1, *[marker.reached] * (AGREE - 3))
    assert replace(marker, largest=far).ahead(MINUTE) == (first + MINUTE, first + 9 * MINUTE)
    assert replace(marker, largest=far).ahead(5 * MINUTE) == tuple(
        sorted({event // (5 * MINUTE) * 5 * MINUTE for event in far[:3]})
    )
    few = (START, *[-1] * (AGREE - 1))
    assert replace(marker, largest=few, watermark=-1).reached == 0
    assert replace(marker, largest=few, watermark=-1).ahead(MINUTE) == (START,)
    none = replace(marker, largest=(-1,) * AGREE, watermark=-1)
    assert (none.reached, none.ahead(MINUTE)) == (-1, ())


def rows_of(versions: Sequence[str], variants: Sequence[str]) -> Columns:
    """One row per version and variant, all in the pane of START."""
    count = len(versions)
    return Columns(
        model="m",
        index=np.arange(count),
        offsets=np.arange(count),
        timestamps=np.full(count, START),
        events=np.full(count, START),
        values=np.zeros((1, count)),
        codes=np.full((1, count), 3, np.int32),
        latency=np.zeros(count),
        errors=np.zeros(count, np.uint8),
        group=np.arange(count, dtype=np.int32),
        groups=tuple(zip(versions, variants, strict=True)),
    )


def test_shared_cells_survive_a_restart() -> None:
    """Stored sketches come back in the order of their keys, whatever the order they were begun in."""
    cells = OpenCells(PLAN, LAYOUT, SOURCE)
    panes = np.full(160, START)
    cells.add(rows_of([f"v{i % 80:03}" for i in range(160)], ["champion"] * 80 + ["b"] * 80), panes)
    stored = sorted(cells.changed(160), key=lambda sketch: encode_key(sketch.key))
    again = OpenCells(PLAN, LAYOUT, SOURCE)
    again.restore(stored)
    again.add(rows_of(["v000", "v079", "v079"], ["champion", "champion", "b"]), panes[:3])
    assert len(again) == len(cells)
    changed = {sketch.key: sketch.rows for sketch in again.changed(163)}
    for sketch in stored:
        if sketch.key in changed:
            assert changed[sketch.key] == sketch.rows + 1
    assert len(changed) == 3


def test_a_flood_of_variants_shares_one_cell() -> None:
    """A request id in the variant field costs no more cells than one in the version field."""
    cells = OpenCells(PLAN, LAYOUT, SOURCE)
    variants = ["champion", *(f"request-{i}" for i in range(999)), "champion"]
    cells.add(rows_of([str(i) for i in range(1001)], variants), np.full(1001, START))
    assert len(cells) == GROUPS_PER_PANE + 2
    judged = [sketch for sketch in cells.changed(1001) if sketch.key.variant == "champion"]
    assert sum(sketch.rows for sketch in judged) == 2


def test_a_reject_takes_no_version_its_cell() -> None:
    """Rejects of a batch are counted after its rows: the cells must not depend on where batches end."""
    found = []
    for is_first in (True, False):
        cells = OpenCells(PLAN, LAYOUT, SOURCE)
        cells.add(
            rows_of([f"v{i}" for i in range(GROUPS_PER_PANE - 1)], ["champion"] * 63), np.full(63, START)
        )
        if is_first:
            cells.reject(START, 0)
        cells.add(rows_of(["new"], ["champion"]), np.array([START]))
        if not is_first:
            cells.reject(START, 0)
        found.append({(s.key.version, s.rows, int(s.rejects.sum())) for s in cells.changed(65)})
    assert found[0] == found[1]


def test_what_is_covered_begins_anew_with_the_first_row_that_has_a_pane() -> None:
    """Not with one of a wrong clock, which would leave every window of the next years uncovered."""
    partition = opened()
    noticed = START + 90 * MINUTE
    partition.skip_to(7, since=noticed)
    assert partition.checkpoint()[1].since == noticed
    wrong = rows_of(["1"], ["champion"])
    wrong.events[:] = START * 100
    batch = Batch(SOURCE, [b""], [None], [None], np.array([7]), np.array([START]))
    partition.fold(batch, [wrong], [])
    assert partition.since == noticed
    batch = Batch(SOURCE, [b""], [None], [None], np.array([8]), np.array([START]))
    partition.fold(batch, [rows_of(["1"], ["champion"])], [])
    assert partition.since == START
