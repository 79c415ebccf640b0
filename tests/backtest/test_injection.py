"""Changes that are put into counts and into rows."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from kernels.layout import BELOW, FIRST_BIN, MISSING, NOVEL
from monitor.backtest.altered import RowChange
from monitor.backtest.injection import (
    SIZES,
    CountChange,
    Injection,
    moves,
    owner_of,
    parse,
    possible,
    renamed,
)
from monitor.columns import Columns, Novel
from monitor.errors import UsageError
from tests.backtest.build import make
from tests.judge.build import categorical_profile, reference
from tests.judge.joined import columns_of, draw, plan_of, reference_of

REFERENCE = make(days=4, n=2_000).reference


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shift:n0=-0.2", Injection("shift", "n0", -0.2)),
        ("scale:n0=10@2026-01-01T00:00:00Z", Injection("scale", "n0", 10.0, "2026-01-01T00:00:00Z")),
        ("missing:n0=5%@1d", Injection("missing", "n0", 0.05, "1d")),
    ],
)
def test_a_change_is_written_in_one_word(text, expected):
    """Kind, feature, size and time, and back."""
    assert parse(text) == [expected]
    assert parse(str(expected)) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shift:a=b@c=2@1d", Injection("shift", "a=b@c", 2.0, "1d")),
        ("shift:a=b=2", Injection("shift", "a=b", 2.0)),
        ("shift:a=2", Injection("shift", "a", 2.0)),
        ("shift:a@1d=2", Injection("shift", "a@1d", 2.0)),
    ],
)
def test_a_feature_is_told_by_the_longest_name_there_is(text, expected):
    """Names of columns have any signs in them."""
    assert parse(text, ["a", "a=b", "a=b@c", "a@1d"]) == [expected]
    assert parse(str(expected), ["a", "a=b", "a=b@c", "a@1d"]) == [expected]


@pytest.mark.parametrize("text", ["novel:city=0.1", "missing:city=0.2", "rename:city=1"])
def test_as_many_categories_as_there_may_be_are_changed_slot_by_slot(text):
    """60,000 of them: no table of from which to which slot, which would take 29 GB."""
    profile = categorical_profile("city", [f"k{i}" for i in range(60_000)])
    counts = np.zeros(profile.slots, np.int64)
    counts[FIRST_BIN:] = 10
    after = CountChange(reference([profile], counts[None, :]), parse(text)[0], seed=1)(counts)
    gained = after[MISSING] + after[NOVEL]
    assert gained == counts.sum() - after[FIRST_BIN:].sum()
    assert gained == pytest.approx(
        {"novel": 60_000, "missing": 120_000, "rename": 10}[text.split(":")[0]], rel=0.02
    )


@pytest.mark.parametrize(
    "text", ["shift", "wave:n0", "shift:", "shift:n0=far", "scale:n0=0", "missing:n0=1.5", "novel:c=-0.1", "shift:n0=nan"]
)  # fmt: skip
def test_what_is_no_change_is_refused(text):
    """With what would be right."""
    with pytest.raises(UsageError, match=" - --inject"):
        parse(text)


@pytest.mark.parametrize("text", ["shift:c=1", "novel:n0=0.1", "rename:c=0.0001", "shift:other=1"])
def test_a_change_must_fit_the_feature(text):
    """Numbers are not renamed, and names are not shifted."""
    with pytest.raises(UsageError, match="--inject"):
        CountChange(REFERENCE, parse(text)[0], seed=1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shift:n", "'n' - --inject shift:n - did you mean n0?"),
        ("shift:zzz=1@1d", "'zzz' - --inject shift:zzz=1@1d - one of n0, "),
        ("novel:n0@1d", "n0 is numeric - --inject novel:n0@1d - "),
    ],
)
def test_what_does_not_fit_is_said_as_it_was_written(text, words):
    """Without a size that nobody gave, and with what is near or there."""
    with pytest.raises(UsageError, match=re.escape(words)):
        owner_of(REFERENCE, parse(text)[0])


def test_what_would_change_nothing_is_refused():
    """What is found of it would be the false alarms of the other features."""
    first = REFERENCE.features[0]
    constant = replace(REFERENCE, features=(replace(first, std=0.0), *REFERENCE.features[1:]))
    with pytest.raises(UsageError, match=f"{first.name} has one value in the reference"):
        owner_of(constant, Injection("shift", first.name, 1.0))
    assert owner_of(constant, Injection("scale", first.name, 2.0)) == 0
    counts = REFERENCE.counts.copy()
    counts[: first.slots] = 0
    counts[0] = REFERENCE.rows
    for kind in ("shift", "scale", "missing"):
        with pytest.raises(UsageError, match=f"{first.name} has no values in the reference"):
            owner_of(replace(REFERENCE, counts=counts), Injection(kind, first.name, 0.5))


def test_usual_sizes_rename_each_category_once():
    """Sizes by which the same category would be renamed are one."""
    own = possible(REFERENCE, parse("rename:c"))
    slots = [renamed(REFERENCE, 2, one.size) for one in own]
    assert len(set(slots)) == len(slots)
    assert 1 < len(own) <= len(SIZES["rename"])
    assert possible(REFERENCE, parse("shift:elsewhere")) == []


@pytest.mark.parametrize(
    "text", ["shift:n0=0.3", "shift:n0=-9", "scale:n0=0.5", "scale:n0=3", "missing:n0=0.1", "novel:c=0.1", "rename:c=1"]
)  # fmt: skip
def test_counts_are_moved_and_never_lost(text):
    """Every row is somewhere afterwards; other features stay as they were; the same counts change the same."""
    injection = parse(text)[0]
    owner = 0 if injection.feature == "n0" else 2
    if owner == 0 and injection.kind != "missing":
        assert np.allclose(moves(REFERENCE.features[owner], injection).sum(axis=1), 1.0)
    change = CountChange(REFERENCE, injection, seed=1)
    after = change(REFERENCE.counts)
    start = REFERENCE.layout().start
    own = slice(int(start[owner]), int(start[owner + 1]))
    assert after[own].sum() == REFERENCE.counts[own].sum()
    rest = np.ones(len(after), bool)
    rest[own] = False
    assert np.array_equal(after[rest], REFERENCE.counts[rest])
    assert not np.array_equal(after, REFERENCE.counts)
    assert np.array_equal(change(REFERENCE.counts), after)


def test_counts_say_what_values_would_have_said():
    """Values of a uniform feature, shifted and scaled, land in the bins that the moved counts are in."""
    rng = np.random.default_rng(3)
    profile = REFERENCE.features[0]
    values = rng.random(200_000)
    before = np.bincount(
        BELOW + np.searchsorted(profile.edges, values, side="right"), minlength=profile.slots
    )
    for text, moved in (("shift:n0=0.3", values + 0.3 * profile.std), ("scale:n0=1.4", values * 1.4)):
        expected = np.bincount(
            BELOW + np.searchsorted(profile.edges, moved, side="right"), minlength=profile.slots
        )
        found = before @ moves(profile, parse(text)[0])
        assert np.abs(found - expected).max() < 6 * np.sqrt(expected.max())


def columns(rows=1_000, model="m"):
    rng = np.random.default_rng(1)
    offsets = np.arange(rows)
    codes = rng.integers(FIRST_BIN, FIRST_BIN + 12, (1, rows)).astype(np.int32)
    codes[0, :3] = (NOVEL, MISSING, NOVEL)
    novel = Novel(
        np.array([0, 2], np.int32), np.zeros(2, np.int32), np.array([0, 1], np.int32), ("first", "second")
    )
    return Columns(
        model=model, index=offsets, offsets=offsets, timestamps=offsets, events=offsets * 1_000,
        values=rng.random((2, rows)), codes=codes, latency=np.full(rows, np.nan),
        errors=np.zeros(rows, np.uint8), group=np.zeros(rows, np.int32), groups=(("", ""),), novel=novel,
    )  # fmt: skip


def changed(text, own, **when):
    change = RowChange("m", REFERENCE, parse(text)[0], pane=60_000, **when)
    return change, change(own)


def test_rows_change_from_a_time_on():
    """Rows before it, other columns and other models stay; what was there is not written to."""
    own = columns()
    kept = own.values.copy()
    change, after = changed("shift:n1=2", own, since=500_000)
    assert np.array_equal(own.values, kept)
    assert np.array_equal(after.values[0], kept[0])
    assert np.array_equal(after.values[1][:500], kept[1][:500])
    assert np.allclose(after.values[1][500:], kept[1][500:] + 2 * REFERENCE.features[1].std)
    assert change.rows_before(10**9) == 500
    assert change.rows_before(540_000) == 40
    other = columns(model="other")
    assert change(other) is other
    _, later = changed("scale:n0=3", own, after=300_000)
    assert np.allclose(later.values[0][300:], 3 * kept[0][300:])


def test_a_share_of_rows_is_chosen_by_offset():
    """The same rows in every replay, about as many as were asked for; missing is missing in both kinds."""
    own = columns(20_000)
    _, after = changed("missing:n0=0.1", own, since=0)
    assert np.isnan(after.values[0]).mean() == pytest.approx(0.1, abs=0.01)
    assert np.array_equal(
        np.isnan(changed("missing:n0=0.1", own, since=0)[1].values[0]), np.isnan(after.values[0])
    )
    _, gone = changed("missing:c=1", own, since=0)
    assert (gone.codes[0] == MISSING).all()
    assert len(gone.novel) == 0


def test_new_categories_have_names():
    """Each row that is novel is named once, which the fold relies on."""
    own = columns()
    _, after = changed("novel:c=0.5", own, since=0)
    novel = np.flatnonzero(after.codes[0] == NOVEL)
    assert sorted(after.novel.row.tolist()) == novel.tolist()
    assert 400 < len(novel) < 600
    assert after.codes[0, 1] == MISSING
    slot = renamed(REFERENCE, 2, 1.0)
    _, named = changed("rename:c=1", own, since=0)
    assert not (named.codes[0] == slot).any()
    rows = np.flatnonzero(own.codes[0] == slot)
    assert set(named.novel.row.tolist()) == {0, 2, *rows.tolist()}
    assert named.novel.names == ("first", "second", "injected rename")


def test_a_changed_member_changes_the_vectors_of_its_group():
    """What a decoder would have made of the rows as they are now; the others' stay."""
    rng = np.random.default_rng(1)
    values = draw(rng, 300)
    reference = reference_of(values, hours=3)
    columns = columns_of(values, plan_of(reference))
    changed = RowChange("m", reference, parse("shift:debt=2")[0], pane=60_000)(columns)
    moved = changed.values[1] - columns.values[1]
    assert moved.min() > 1.0
    np.testing.assert_array_equal(changed.vectors[:, 0], columns.vectors[:, 0])
    np.testing.assert_array_equal(changed.vectors[:, 1], changed.values[1])
