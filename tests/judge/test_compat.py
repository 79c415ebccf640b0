"""Scores as other products have them: ours are theirs, to the last digits, wherever counts allow."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from bench.compat import HERE, RECORDED, cases, differences
from kernels.layout import FIRST_BIN, MISSING, NON_FINITE, NOVEL
from monitor.judge.catalogue import PRODUCTS
from monitor.judge.compat import compat_scores, extent
from monitor.judge.kept import Kept
from monitor.judge.policy import judge
from monitor.judge.prepare import prepare
from monitor.judge.record import from_json, to_json
from monitor.novel import keep
from monitor.plan import Kind
from monitor.reference.build import build
from monitor.reference.table import FeatureDeclaration, Table
from monitor.sketch import NOVEL_KEPT
from tests.judge.build import plan, window

ALL = cases()
THEIRS = {product: one["scores"] for product, one in json.loads(RECORDED.read_text()).items()}
DRAWN = sorted(name for name in ALL if name.startswith("gauss"))
SLOW = {"ks"}
"""Of references between 1,000 and 10,000 rows Evidently's KS test takes too long to be shown."""
BEYOND = {"hellinger"}
"""Evidently's of numbers needs the distinct values: there is none that comes near."""
ROOTS, ROOT_OF_ROUNDING = {"hellinger", "jensenshannon", "jensen_shannon"}, 3e-8
"""Where nothing differs these are the root of what rounding leaves, which is another on another processor."""
NEAR = {
    "psi": 0.003, "kl_div": 0.003, "jensenshannon": 0.007, "jensen_shannon": 0.007, "hellinger": 0.007,
    "kolmogorov_smirnov": 0.001,
}  # fmt: skip
"""As configs/compat.md says."""


def build_reference(kind, rows, missing=0):
    numeric = kind == "numeric"
    values = [named(value) for value, many in rows for _ in range(many)] + [
        np.nan if numeric else None
    ] * missing
    declared = [FeatureDeclaration("x", kind=Kind.NUMERIC if numeric else Kind.CATEGORICAL)]
    table = Table({"x": np.array(values, float if numeric else object)})
    return build(table, model="m", name="r", features=declared)


def named(value):
    return str(value).lower() if isinstance(value, bool) else value


def count(profile, rows, missing=0):
    """A window of one column by a plain recount."""
    counts, novel, extremes = np.zeros(profile.slots, np.int64), {}, None
    counts[MISSING] = missing
    for value, many in rows:
        if profile.kind is Kind.NUMERIC:
            counts[FIRST_BIN - 1 + np.searchsorted(profile.edges, value, side="right")] += many
        elif named(value) in profile.categories:
            counts[FIRST_BIN + profile.categories.index(named(value))] += many
        else:
            counts[NOVEL] += many
            novel[named(value)] = many
    if profile.kind is Kind.NUMERIC and rows:
        extremes = [[min(value for value, _ in rows), max(value for value, _ in rows)]]
    return replace(window([profile], counts, extremes=extremes), novel={0: keep(novel, NOVEL_KEPT)})


def shown(kind, reference, current, missing=(0, 0), change=lambda now: now):
    """product → {near, scores} of one column, from counts alone."""
    past = build_reference(kind, reference, missing[0])
    own = plan(past.features)
    now = change(count(past.features[0], current, missing[1]))
    found = compat_scores(now, prepare(past, own, own.windows[0]), PRODUCTS)
    return {product: one["x"] for product, one in found.items() if one}


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("name", sorted(ALL.keys() - set(DRAWN)))
def test_scores_are_those_of_the_product(product, name) -> None:
    """Every score that the product itself gave for these rows, and no other."""
    found = shown(**ALL[name]).get(product, {"near": False, "scores": {}})
    theirs = {
        one: value
        for one, value in THEIRS[product][name].items()
        if one in found["scores"] or one not in SLOW
    }
    assert not found["near"]
    assert found["scores"].keys() == theirs.keys()
    for one, value in found["scores"].items():
        rounding = max(value, theirs[one]) < ROOT_OF_ROUNDING and one in ROOTS
        assert rounding or value == pytest.approx(theirs[one], rel=1e-9, abs=1e-12), one


@pytest.mark.parametrize("product", ["evidently", "nannyml", "scouter"])
@pytest.mark.parametrize("name", DRAWN)
def test_scores_of_unknown_values_come_near_and_say_so(product, name) -> None:
    """None is missing that has a formula on bins, and none is farther off than is written."""
    found, theirs = shown(**ALL[name])[product], THEIRS[product][name]
    left_out = SLOW | (BEYOND if product == "evidently" else set())
    assert found["near"]
    assert theirs.keys() - left_out <= found["scores"].keys() <= theirs.keys()
    for one, value in found["scores"].items():
        if one == "ks":
            assert np.log10(value) == pytest.approx(np.log10(theirs[one]), abs=0.2)
        elif one == "wasserstein":
            assert value == pytest.approx(theirs[one], abs=0.003, rel=0.011)
        else:
            assert value == pytest.approx(theirs[one], abs=0.001 if product == "scouter" else NEAR[one])


def test_a_tail_of_rare_categories_has_no_scores() -> None:
    """What is in one count cannot be told apart; nor can more new categories than are kept by name."""
    many = [(f"k{i:03}", 1000 - i) for i in range(251)]
    assert shown("categorical", many, many[:5]) == {}
    few = [("a", 10), ("b", 20)]
    new = [(f"n{i}", 3) for i in range(NOVEL_KEPT)]
    assert shown("categorical", few, few + new).keys() == set(PRODUCTS)
    assert shown("categorical", few, [*few, *new, ("one more", 3)]) == {}


@pytest.mark.parametrize(("kind", "value"), [("categorical", "a"), ("numeric", 1.0)])
def test_columns_without_rows_have_no_scores(kind, value) -> None:
    """Neither a window without rows nor a reference without any raises."""
    rows = [(value, 20)]
    assert shown(kind, rows, []) == {}
    assert shown(kind, [], rows, missing=(5, 0)).keys() <= {"popmon", "scouter"}


def test_non_finite_numbers_are_nobodys_but_evidentlys() -> None:
    """It drops them; NannyML fails on infinities and Scouter counts them as large numbers."""

    def spoilt(now):
        counts = now.counts.copy()
        counts[NON_FINITE] = 3
        return replace(now, counts=counts)

    case = ALL["few numbers"]
    assert shown(**case, change=spoilt)["evidently"] == shown(**case)["evidently"]
    assert shown(**case, change=spoilt).keys() == {"evidently"}


def test_values_beyond_the_reference_are_known_by_their_range_alone() -> None:
    """So scores are near as soon as one row lies there, and finite."""
    rows = [(float(i), 100) for i in range(30)]
    found = shown("numeric", rows, [*rows, (-7.0, 1), (99.0, 2)])
    assert all(one["near"] and np.isfinite(list(one["scores"].values())).all() for one in found.values())
    assert not shown("numeric", rows, rows)["evidently"]["near"]


@pytest.mark.parametrize(
    "values",
    [[-1.7e308, 0.0, 1.7e308], [0.0, 5e-324], [5e-324, 1e-323, 1.0], [1e200, 2e200], [-1e-300, 1e300], [7.0]],
)
@pytest.mark.parametrize("rows", [3, 9, 6_000])
def test_numbers_of_any_size_raise_nothing(values, rows) -> None:
    """Scores that overflow are left out, whether values are known or spread within bins."""
    past = [(value, rows) for value in values]
    for now in (past, [(value * 0.5, rows) for value in values], [(-1.0, 1)], [(1.7e308, 2), (0.0, 1)]):
        for one in shown("numeric", past, now).values():
            assert np.isfinite(list(one["scores"].values())).all()


def test_what_can_be_had_is_known_from_the_reference() -> None:
    """Exactly what `driftline check` tells."""

    def of(product, kind, rows):
        past = build_reference(kind, rows)
        return extent(product, past.features[0], past.counts)

    few = [(float(i), 100) for i in range(30)]
    assert of("evidently", "numeric", few) == "exact"
    assert of("evidently", "numeric", ALL["gauss"]["reference"]) == "near"
    assert of("popmon", "numeric", few) == "none"
    assert of("popmon", "categorical", [("a", 10), ("b", 20)]) == "exact"
    assert of("popmon", "categorical", [(f"k{i:03}", 1000 - i) for i in range(251)]) == "none"


def test_verdicts_keep_the_scores_and_nothing_else_changes() -> None:
    """They are in the record, and gone from the old ones; state, tests and scores are as without them."""
    past = build_reference("categorical", [("a", 900), ("b", 600)])
    bare, spec = plan(past.features), plan(past.features).windows[0]
    prepared, now = prepare(past, bare, spec), count(past.features[0], [("a", 300), ("b", 500)])
    verdict = judge(now, prepared, bare, previous=())
    more = replace(verdict, compat=compat_scores(now, prepared, ("popmon", "evidently")))
    assert list(more.compat) == ["popmon", "evidently"]
    assert from_json(json.loads(json.dumps(to_json(more)))) == more
    assert Kept.of(more).bare().verdict().compat == {}
    assert replace(more, compat={}) == verdict


def test_every_score_is_in_the_documentation() -> None:
    """And every product, with the version that was asked."""
    text = (HERE.parents[2] / "configs" / "compat.md").read_text(encoding="utf-8")
    recorded = json.loads(RECORDED.read_text())
    for product, one in recorded.items():
        version = one["versions"].get(product) or one["versions"][f"{product}-ml"]
        assert re.search(rf"{product} {re.escape(version)}", text, re.IGNORECASE), product
        for name in {name for scores in one["scores"].values() for name in scores}:
            assert re.search(rf"`{name}`", text), (product, name)


def test_what_was_recorded_is_compared_score_by_score() -> None:
    """A score that is gone, new or off by more than rounding is a line."""
    known = {"a": {"psi": 1.0, "ks": 0.5}, "b": {"psi": 2.0}}
    assert differences(known, {"a": {"psi": 1.0 + 1e-12, "ks": 0.5}, "b": {"psi": 2.0}}) == []
    found = {"a": {"psi": 1.00001, "jsd": 0.5}, "b": {"psi": 2.0}}
    assert [line.split(" is ")[0] for line in differences(known, found)] == ["a: jsd", "a: ks", "a: psi"]
