"""Building references."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from kernels.layout import FIRST_BIN, MISSING, NON_FINITE, NOVEL, OTHER
from monitor.errors import ReferenceInvalid
from monitor.plan import Kind
from monitor.reference.build import BuildSettings, build
from monitor.reference.file import pack
from monitor.reference.summary import feature_counts
from monitor.reference.table import FeatureDeclaration, Table
from monitor.reference.tally import numbered
from tests.reference.tables import START, cut, mixed, small


def counts_of(reference, name):
    return next((profile, counts) for profile, counts in feature_counts(reference) if profile.name == name)


def test_kinds_are_read_off_the_values():
    """Text and small integers are categories, booleans booleans, everything else is numeric."""
    kinds = {profile.name: profile.kind for profile in small().features}
    assert kinds == {
        "amount": Kind.NUMERIC,
        "score": Kind.NUMERIC,
        "country": Kind.CATEGORICAL,
        "rooms": Kind.CATEGORICAL,
        "vip": Kind.BOOLEAN,
        "constant": Kind.NUMERIC,
        "empty": Kind.NUMERIC,
    }


def test_numeric_counts_are_those_of_a_plain_recount():
    """Each bin holds as many rows as a search of its edges finds; missing values are counted apart."""
    table = mixed()
    profile, counts = counts_of(small(), "amount")
    values = table.columns["amount"]
    plain = Counter(
        MISSING if np.isnan(value) else FIRST_BIN - 1 + int((profile.edges <= value).sum())
        for value in values
    )
    assert {slot: int(count) for slot, count in enumerate(counts) if count} == dict(plain)


def test_categories_are_ordered_by_mass_then_by_name():
    """The most frequent category has the first slot; equal ones are in the order of their names."""
    column = np.array(["b", "a", "c", "c", None, "b", "a"], object)
    profile, counts = counts_of(build(Table({"x": column}), model="m", name="r"), "x")
    assert profile.categories == ("a", "b", "c")
    assert counts.tolist() == [1, 0, 0, 2, 2, 2]


def test_the_tail_of_categories_is_other():
    """Only the categories of largest mass have slots; the rest is other, never novel."""
    column = np.array([f"c{i}" for i in range(50) for _ in range(50 - i)], object)
    reference = build(Table({"x": column}), model="m", name="r", settings=BuildSettings(categories=10))
    profile, counts = counts_of(reference, "x")
    assert profile.categories == tuple(f"c{i}" for i in range(10))
    assert counts[OTHER] == sum(50 - i for i in range(10, 50))
    assert counts[NOVEL] == 0


def test_numbers_that_are_categories_have_canonical_names():
    """1 and 1.0 are the category "1", whatever type the column has."""
    declared = [FeatureDeclaration("x", kind=Kind.CATEGORICAL)]
    for column in (np.array([1, 2, 1]), np.array([1.0, 2.0, 1.0]), np.array([1, 2.0, "1"], object)):
        reference = build(Table({"x": column}), model="m", name="r", features=declared)
        assert reference.features[0].categories == ("1", "2")


def test_booleans_may_be_written_as_zero_and_one():
    """A declared boolean takes 0, 1 and the spellings of true; what is neither is novel."""
    column = np.array([0, 1, "TRUE", "False", "maybe", None], object)
    declared = [FeatureDeclaration("x", kind=Kind.BOOLEAN)]
    _, counts = counts_of(build(Table({"x": column}), model="m", name="r", features=declared), "x")
    assert counts.tolist() == [1, 1, 0, 2, 2]


def test_a_column_of_true_false_and_nothing_is_boolean():
    """Missing values do not turn a boolean column into text."""
    reference = build(Table({"x": np.array([True, None, False], object)}), model="m", name="r")
    assert reference.features[0].kind is Kind.BOOLEAN


def test_infinities_are_counted_and_do_not_move_the_edges():
    """Infinite values have their own slot; edges and moments come from the finite ones."""
    values = np.concatenate([np.linspace(0, 1, 1000), [np.inf, -np.inf]])
    profile, counts = counts_of(build(Table({"x": values}), model="m", name="r"), "x")
    assert counts[NON_FINITE] == 2
    assert profile.maximum == 1.0
    assert profile.mean == pytest.approx(0.5)


def test_a_constant_and_an_empty_column_poison_nothing():
    """A constant has one bin and scale 1, an empty column says that it cannot be judged."""
    reference = small()
    constant, _ = counts_of(reference, "constant")
    empty, counts = counts_of(reference, "empty")
    assert (constant.scale, constant.std, len(constant.edges)) == (1.0, 0.0, 2)
    assert (empty.center, empty.scale, counts[MISSING]) == (0.0, 1.0, reference.rows)
    assert np.isnan(empty.mean)
    assert any("empty" in note for note in reference.notes)


def test_values_at_the_end_of_the_number_range_are_taken():
    """Columns whose deviation or range overflows a double still have finite moments."""
    reference = build(Table({"x": np.array([-1.7e308, 1.7e308, 0.0, 1.0])}), model="m", name="r")
    profile = reference.features[0]
    assert np.isfinite([profile.mean, profile.std, profile.iqr, profile.scale]).all()


def test_panes_hold_the_rows_of_their_time():
    """Each pane counts the rows, errors and latencies whose event time it holds, in order of time."""
    table, reference = mixed(), small()
    hours = Counter((table.events // 3_600_000 * 3_600_000).tolist())
    assert dict(zip(reference.panes.starts.tolist(), reference.panes.rows.tolist(), strict=True)) == dict(
        hours
    )
    assert (np.diff(reference.panes.starts) > 0).all()
    assert reference.errors == int(table.errors.sum())
    assert reference.latency.sum() == len(table)


def test_a_table_without_times_is_one_pane():
    """An untimed reference has one pane, assumed design effects, and says so."""
    table = Table({"x": np.arange(100.0)})
    reference = build(table, model="m", name="r")
    assert (len(reference.panes), reference.pane, reference.timed) == (1, 0, False)
    assert not reference.features[0].design_measured
    assert any("untimed" in note for note in reference.notes)


@pytest.mark.parametrize("sizes", [[1], [1000, 1000], [7, 900, 3, 1500]])
def test_the_file_does_not_depend_on_chunks(sizes):
    """However rows are cut into chunks, the reference has the same bytes."""
    whole = small()
    parts = build(cut(mixed(), sizes), model="churn", name="january", pane=3_600_000)
    assert pack(parts) == pack(whole)


def test_large_tables_are_sampled_for_edges_and_counted_in_full(monkeypatch):
    """Beyond the sample size edges come from some rows, minimum, maximum and counts from all."""
    monkeypatch.setattr("monitor.reference.survey.SAMPLE_ROWS", 1_000)
    values = np.random.default_rng(5).normal(size=20_000)
    table = Table({"x": values})
    reference = build(table, model="m", name="r")
    profile, counts = counts_of(reference, "x")
    assert counts.sum() == 20_000
    assert (profile.minimum, profile.maximum) == (values.min(), values.max())
    assert counts[2] == counts[-1] == 0
    assert profile.mean == pytest.approx(values.mean())
    assert profile.std == pytest.approx(values.std())
    shares = np.bincount(profile.coarse, weights=counts[FIRST_BIN:-1]) / 20_000
    assert np.abs(shares - 0.05).max() < 0.02
    again = build(cut(table, [333] * 40), model="m", name="r")
    assert np.array_equal(again.counts, reference.counts)


def test_endless_categories_do_not_fill_the_memory(monkeypatch):
    """Beyond a number of categories the rarest are forgotten, and the reference says so."""
    monkeypatch.setattr("monitor.reference.survey.CATEGORIES_TRACKED", 100)
    column = np.array(["common"] * 200 + [f"id{i}" for i in range(500)], object)
    reference = build(cut(Table({"x": column}), [100] * 6), model="m", name="r")
    assert reference.features[0].categories[0] == "common"
    assert any("too many categories" in note for note in reference.notes)


@pytest.mark.parametrize(
    ("column", "kind", "text"),
    [
        (np.array(["a", "b"], object), Kind.NUMERIC, "text where a number is expected"),
        (np.array(["2026-01-01"], "datetime64[ms]"), Kind.NUMERIC, "a column of times"),
    ],
)
def test_a_column_that_does_not_fit_its_kind_is_refused(column, kind, text):
    """What is wrong, in which feature, and what would be right is said; no value is shown."""
    declared = [FeatureDeclaration("x", kind=kind)]
    with pytest.raises(ReferenceInvalid, match=text):
        build(Table({"x": column}), model="m", name="r", features=declared)


def test_numbers_in_strings_are_read_where_declared():
    """A declaration may allow numbers that are written as text."""
    declared = [FeatureDeclaration("x", kind=Kind.NUMERIC, numbers_in_strings=True)]
    reference = build(
        Table({"x": np.array(["1.5", None, "2"], object)}), model="m", name="r", features=declared
    )
    assert reference.features[0].maximum == 2.0


def test_a_missing_column_is_named():
    """A declared feature without a column is an error that lists the columns."""
    with pytest.raises(ReferenceInvalid, match=r"'y'.*columns are: x"):
        build(Table({"x": np.arange(3.0)}), model="m", name="r", features=[FeatureDeclaration("y")])


@pytest.mark.parametrize("table", [Table({}), Table({"x": np.empty(0)})])
def test_no_rows_are_no_reference(table):
    """An empty table is refused."""
    with pytest.raises(ReferenceInvalid, match="no rows"):
        build(table, model="m", name="r")


def test_times_before_1970_are_refused():
    """A negative event time is a wrong unit, not a pane."""
    with pytest.raises(ReferenceInvalid, match="before 1970"):
        build(Table({"x": np.arange(2.0)}, events=np.array([-1, START])), model="m", name="r")


def test_columns_of_different_length_are_refused():
    """A table is rectangular."""
    with pytest.raises(ReferenceInvalid, match="differ in length"):
        Table({"x": np.arange(2.0), "y": np.arange(3.0)})


def test_progress_counts_the_rows_of_each_pass():
    """The callback sees all rows once per pass: the survey, the counts, the design effects."""
    seen = []
    build(cut(mixed(), [1500]), model="m", name="r", progress=seen.append)
    assert seen == [1500, 3000] * 3


@pytest.mark.parametrize("cell", [[], [-1, -2], [7], [3, -1, 5, 3], [-5, 0, 10**15, 10**15], [2, 2, 0, 1]])
def test_cells_are_numbered_in_ascending_order(cell):
    """Near or far apart, each row finds its number, and negative ones have none."""
    numbers, local = numbered(np.array(cell, np.int64))
    assert numbers.tolist() == sorted({number for number in cell if number >= 0})
    assert [numbers[at] if at >= 0 else -1 for at in local] == [max(number, -1) for number in cell]


def test_rows_are_counted_whatever_the_order_and_the_memory(monkeypatch):
    """Few open cells and small blocks give the bytes that all at once give, also for rows out of order."""
    table = mixed()
    order = np.random.default_rng(4).permutation(len(table))
    shuffled = Table(
        {name: column[order] for name, column in table.columns.items()}, events=table.events[order],
        latency=table.latency[order], errors=table.errors[order],
    )  # fmt: skip
    whole = [pack(build(one, model="m", name="r", pane=3_600_000)) for one in (table, shuffled)]
    for limit in ("DENSE_BYTES", "BLOCK_BYTES", "LEAST_BLOCK"):
        monkeypatch.setattr(f"monitor.reference.tally.{limit}", 7)
    assert [pack(build(one, model="m", name="r", pane=3_600_000)) for one in (table, shuffled)] == whole
