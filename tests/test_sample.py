"""The row sample: the same whatever came first, and a fair one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.fold import fold
from kernels.layout import CATEGORICAL, NUMERIC, VECTOR, allocate, no_rules
from kernels.lookup import lookup
from kernels.sample import encode_rows, pick_rows
from monitor.errors import StateDamaged
from monitor.names import Source
from monitor.novel import LARGEST_HASH
from monitor.partition import Model, Partition
from monitor.sample import (
    CELL_BYTES,
    Reservoir,
    Sample,
    cell_rows,
    check,
    hashes_of,
    merged,
    offsets_of,
    pack,
    reference_rows,
    row_bytes,
    seed_of,
    unpack,
)
from monitor.state.log import Checkpoint
from monitor.window.sampling import Sampler
from monitor.window.store import PaneStore
from tests.kernels import cases
from tests.test_partition import INTAKE, LAYOUT, MINUTE, PLAN, SOURCE, START, cut, log_of

SMALL = replace(PLAN, sample=16)


def rows_of(seed: int, count: int, *, source: Source = SOURCE, features: int = 3) -> Sample:
    """All of `count` rows of a partition, as a sample that is whole."""
    rng = np.random.default_rng(seed)
    hashes = np.sort(hashes_of(rng.choice(10**6, count, replace=False), seed_of(source)))
    codes = (hashes[:, None] >> np.arange(0, 8 * features, 8, dtype=np.uint64) & np.uint64(511)).astype(
        np.uint16
    )
    return Sample(hashes, codes)


def content(sample: Sample) -> tuple[bytes, bytes, int]:
    return sample.hashes.tobytes(), sample.codes.tobytes(), sample.bound


@given(st.lists(st.integers(0, 2**62), max_size=50), st.integers(0, 2**64 - 1))
def test_a_hash_says_which_offset_it_is_of(offsets: list[int], seed: int) -> None:
    """One to one, so no two rows of a partition share a hash and offsets need not be kept beside it."""
    given_ = np.array(offsets, np.int64)
    np.testing.assert_array_equal(offsets_of(hashes_of(given_, seed), seed), given_)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 99), st.integers(0, 60), st.lists(st.integers(1, 20), min_size=1), st.integers(1, 12))
def test_batches_and_reading_change_nothing(seed: int, count: int, sizes: list[int], cap: int) -> None:
    """However rows are ordered and cut, with a look at it now and then: those of smallest hash."""
    every = rows_of(seed, count)
    order = np.random.default_rng(seed).permutation(count)
    reservoir, at = Reservoir(merged([], 3, cap), cap), 0
    while at < count:
        size = sizes[at % len(sizes)]
        part = order[at : at + size]
        reservoir.add(every.hashes[part], every.codes[part])
        if size % 3 == 0:
            reservoir.read()
        at += size
    found = reservoir.read()
    assert content(found) == content(merged([every], 3, cap))
    assert found.is_whole == (count < cap)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30)), min_size=1, max_size=6), st.randoms())
def test_samples_of_parts_make_the_sample_of_the_union(parts: list[tuple[int, int]], random) -> None:
    """In any order and grouping, though each part kept another number of rows: all rows up to one bound."""
    wholes = [rows_of(1, count, source=Source("t", n)) for n, (count, _) in enumerate(parts)]
    samples = [merged([whole], 3, cap) for whole, (_, cap) in zip(wholes, parts, strict=True)]
    at_once = merged(samples, 3, 25)
    random.shuffle(samples)
    one_by_one = merged([], 3, 25)
    for sample in samples:
        one_by_one = merged([one_by_one, sample], 3, 25)
    assert content(one_by_one) == content(at_once)
    union = merged(wholes, 3, 10**6)
    assert content(at_once)[:2] == content(union.below(at_once.bound))[:2]


@pytest.mark.parametrize("count", [1, 7, 200])
@pytest.mark.parametrize("largest", [1, 255, 256, 511, 65_535])
def test_a_packed_sample_comes_back(count: int, largest: int) -> None:
    """Codes of any width, to the bit; and its bytes do not depend on how it came to be."""
    whole = rows_of(3, 300)
    codes = np.random.default_rng(1).integers(0, largest, (300, 3), endpoint=True).astype(np.uint16)
    sample = merged([Sample(whole.hashes, codes)], 3, count)
    data = pack(sample, SOURCE)
    assert check(data) == 3
    assert content(unpack(data, SOURCE)) == content(sample)
    assert pack(unpack(data, SOURCE), SOURCE) == data
    assert pack(merged([], 3, 5), SOURCE) == b""


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_is_found_or_harmless(data: st.DataObject) -> None:
    """Whatever bytes there are: refused, or a sample of the features it says."""
    good = pack(merged([rows_of(3, 40)], 3, 9), SOURCE)
    at = data.draw(st.integers(0, len(good)))
    bad = good[:at] + data.draw(st.binary(max_size=4)) + good[at + data.draw(st.integers(0, 4)) :]
    try:
        features = check(bad)
    except StateDamaged:
        return
    assert unpack(bad, SOURCE).codes.shape[1:] == (features,)


def test_codes_are_the_slots_that_the_fold_counts_in() -> None:
    """Numbers, categories and vectors, ordinary and hostile ones."""
    layout = cases.layout(3, numeric=3, categorical=2, vectors=(5, 2))
    batch = cases.batch(3, layout, rows=150, cells=1)
    widths = np.diff(layout.start)[layout.kind == CATEGORICAL][:, None]
    batch["codes"] = batch["codes"] % widths.astype(np.int32)
    cells = allocate(layout, cells=1, rules=0, reasons=0)
    fold(cells, layout, no_rules(layout), **{**batch, "cell": np.zeros(150, np.int32)})
    out = np.empty((150, layout.features), np.uint16)
    rows = np.arange(150, dtype=np.int32)
    scratch = np.empty(150), np.empty(150, np.int32)
    where = layout.kind, layout.column, layout.vectors.dim_start
    encode_rows(
        out, *scratch, rows, batch["values"], batch["codes"], batch["vectors"], *where, *lookup(layout)
    )
    found = np.bincount((out + layout.start[:-1]).ravel(), minlength=layout.slots)
    np.testing.assert_array_equal(found, cells.counts[0])
    assert {NUMERIC, VECTOR} <= set(layout.kind.tolist())


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 9),
    st.integers(0, 150),
    st.lists(st.sampled_from([0, 1, 1 << 60, LARGEST_HASH]), min_size=1, max_size=4),
)
def test_rows_are_picked_by_the_bound_of_their_cell(seed: int, count: int, bounds: list[int]) -> None:
    """As one by one; a bound of 0 takes nothing."""
    rng = np.random.default_rng(seed)
    number = rng.integers(-1, len(bounds), count).astype(np.int32)
    offsets = rng.integers(0, 10**12, count)
    rows, hashes = np.empty(count + 1, np.int32), np.empty(count + 1, np.uint64)
    picked = pick_rows(rows, hashes, number, offsets, np.array(bounds, np.uint64), np.uint64(seed_of(SOURCE)))
    every = hashes_of(offsets, seed_of(SOURCE)).tolist()
    wanted = [at for at in range(count) if number[at] >= 0 and 0 < bounds[number[at]] >= every[at]]
    assert rows[:picked].tolist() == wanted
    assert hashes[:picked].tolist() == [every[at] for at in wanted]


def test_width_bounds_the_rows() -> None:
    """Rows are as configured while a pane's sample stays as small as its counts."""
    assert cell_rows(512, 20) == 512
    assert cell_rows(512, 500) == CELL_BYTES // row_bytes(500) == 65
    assert cell_rows(512, 5_000) == 64
    assert cell_rows(0, 20) == cell_rows(0, 5_000) == 0
    assert reference_rows(20) == 65_536 > reference_rows(500) == 4_194 > reference_rows(10**5) == 1_024


def fold_part(partition: Partition, log, start: int, stop: int) -> None:
    batch, columns, rejects = cut(log, start, stop)
    partition.fold(batch, [columns], rejects)


def samples(cuts: list[int], *, crash: int = -1, plan=SMALL) -> dict[tuple, bytes]:
    """The samples of a log of 600 records that is folded in parts, the process killed after one of them."""
    log, held = log_of(5, 600), {}
    partition = Partition(SOURCE, INTAKE, {"m": Model(plan, LAYOUT)}, position=100)
    for number, (start, stop) in enumerate(zip([0, *cuts], [*cuts, 600], strict=True)):
        fold_part(partition, log, start, stop)
        sketches, marker = partition.checkpoint()
        held |= {sketch.key: sketch for sketch in sketches}
        if number == crash:
            partition = Partition(SOURCE, INTAKE, {"m": Model(plan, LAYOUT)}, position=100)
            partition.restore(Checkpoint(marker, tuple(held.values())))
        elif number % 2:
            partition.confirm(marker)
    return {key: sketch.sample for key, sketch in held.items()}


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 599), unique=True, max_size=8).map(sorted), st.integers(0, 8))
def test_cuts_and_crashes_change_no_sample(cuts: list[int], crash: int) -> None:
    """To the byte: what is kept is a function of the records."""
    assert samples(cuts, crash=crash) == samples([])


def test_only_judged_rows_of_the_whole_are_sampled() -> None:
    """As many as there are, 16 at most; with none configured there are none."""
    found = samples([])
    assert {len(unpack(data, SOURCE)) for data in found.values() if data} <= set(range(17))
    assert any(found.values())
    assert not any(samples([], plan=replace(PLAN, sample=0)).values())
    sampler = Sampler(SMALL, LAYOUT, SOURCE)
    assert sampler.open("champion", "") is not None
    assert sampler.open("challenger", "") is sampler.open("champion", "country=DE") is None


def test_rows_counted_without_a_sample_leave_none() -> None:
    """A sketch of an older driftline goes on without: its later rows alone would pass for all."""
    log = log_of(5, 600)
    old = Partition(SOURCE, INTAKE, {"m": Model(replace(PLAN, sample=0), LAYOUT)}, position=100)
    fold_part(old, log, 0, 300)
    sketches, marker = old.checkpoint()
    new = Partition(SOURCE, INTAKE, {"m": Model(SMALL, LAYOUT)}, position=100)
    new.restore(Checkpoint(marker, tuple(sketches)))
    fold_part(new, log, 300, 600)
    before = {sketch.key for sketch in sketches if sketch.rows}
    after = new.checkpoint()[0]
    assert not any(sketch.sample for sketch in after if sketch.key in before)
    assert any(sketch.sample for sketch in after if sketch.key not in before)


def test_a_window_has_a_fair_sample_of_its_rows() -> None:
    """Panes and partitions of very different size: rows of each come in proportion, whatever each kept."""
    store, counted = PaneStore(), {}
    for partition, count in ((0, 4_000), (1, 400)):
        source = Source("t", partition)
        cells = Partition(source, INTAKE, {"m": Model(replace(PLAN, sample=256), LAYOUT)}, position=0)
        batch, columns, _ = cut(log_of(partition, count), 0, count)
        columns.codes[:] = 3 + partition
        columns.events = START + np.arange(len(columns)) % 3 * MINUTE
        cells.fold(replace(batch, source=source), [columns], [])
        for sketch in cells.checkpoint()[0]:
            store.put(sketch)
            counted[partition] = counted.get(partition, 0) + sketch.rows
    found = store.sample(START, START + 3 * MINUTE, plan=PLAN, layout=LAYOUT)
    share = np.mean(found.codes[:, 1] == 4)
    expected = counted[1] / sum(counted.values())
    assert len(found) > 600
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / len(found))
    assert store.sample(START - MINUTE, START, plan=PLAN, layout=LAYOUT) is None
