"""Contract breaches are counted with the rows, in the cell of each row."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.layout import CATEGORICAL, FIRST_BIN, NUMERIC, OTHER, Layout
from monitor.columns import Novel
from monitor.contract import contract
from monitor.intake.decode import Decoder
from monitor.names import Source
from monitor.plan import Kind, Rule, RuleKind
from monitor.window.cells import OpenCells
from tests.intake.records import batch, feature, model, reference, source

FEATURES = (
    feature("city", Kind.CATEGORICAL, nullable=False, allowed=("Rome", "Oslo", "7")),
    feature("age", nullable=False, range=(0.0, 120.0)),
    feature("member", Kind.BOOLEAN, nullable=False, allowed=("true",)),
    feature("score", range=(None, 1.0)),
)
RULES = tuple(
    Rule(name, kind)
    for name, kind in (
        ("age", RuleKind.RANGE),
        ("city", RuleKind.CATEGORY),
        ("age", RuleKind.NULL),
        ("member", RuleKind.NULL),
        ("member", RuleKind.CATEGORY),
        ("city", RuleKind.NULL),
        ("score", RuleKind.RANGE),
    )
)
PLAN = model(features=FEATURES, rules=RULES)
CATEGORIES = {"city": ("Rome", "Bonn"), "member": ("false", "true")}
LAYOUT = Layout(
    kind=np.array([CATEGORICAL, NUMERIC, CATEGORICAL, NUMERIC], np.int8),
    column=np.array([0, 0, 1, 1], np.int32),
    start=np.cumsum([0, 5, 5, 5, 5], dtype=np.int32),
    edges=np.array([0.0, 1.0, 0.0, 1.0]),
    edge_start=np.array([0, 2, 4], np.int32),
    center=np.zeros(2),
    scale=np.ones(2),
)
READER = Decoder(source(time=()), {"m": PLAN}, {"m": reference(FEATURES, CATEGORIES)})


def scan(rows):
    (columns,) = READER.scan(batch([msgspec.json.encode({"features": row}) for row in rows])).columns
    return columns


def breaches(columns):
    """Breaches by rule of every row, each in a pane of its own; and their sum."""
    cells = OpenCells(PLAN, LAYOUT, Source("topic", 3), tuple(CATEGORIES.values()))
    panes = np.arange(len(columns)) * PLAN.pane
    total = cells.add(columns, panes)
    by_pane = {sketch.key.pane: sketch.violations.tolist() for sketch in cells.changed(0)}
    return [by_pane[pane] for pane in panes.tolist()], total


def naive(row):
    """The twin: one rule of one row at a time, on the values as they were written."""
    broken = []
    for rule in RULES:
        value = row.get(rule.feature)
        plan = next(f for f in FEATURES if f.name == rule.feature)
        if rule.kind is RuleKind.NULL:
            broken.append(value is None)
        elif rule.kind is RuleKind.RANGE:
            low, high = (
                -math.inf if plan.range[0] is None else plan.range[0],
                math.inf if plan.range[1] is None else plan.range[1],
            )
            broken.append(value is not None and not low <= value <= high)
        else:
            text = {True: "true", False: "false"}[value] if isinstance(value, bool) else value
            broken.append(text is not None and str(text) not in plan.allowed)
    return broken


rows = st.fixed_dictionaries(
    {},
    optional={
        "age": st.none() | st.floats(-10, 200) | st.sampled_from([0.0, 120.0, 120.00001]),
        "city": st.none() | st.sampled_from(["Rome", "Bonn", "Oslo", "Ulm", 7, ""]),
        "member": st.none() | st.booleans(),
        "score": st.none() | st.floats(-1e9, 2),
    },
)


@settings(max_examples=150, deadline=None)
@given(st.lists(rows, min_size=1, max_size=6))
def test_breaches_agree_with_the_naive_twin(items):
    """Null, range and category rules count what they say, novel categories by their text."""
    found, total = breaches(scan(items))
    assert found == [[int(b) for b in naive(row)] for row in items]
    assert total == sum(map(sum, found))


def test_infinities_break_any_range_and_rare_categories_are_judged_by_their_names():
    """What is not finite is never within a range; "other" stands for names, allowed ones and not."""
    columns = scan([{"age": 1, "city": "Bonn", "member": True, "score": 0}] * 3)
    columns.values[:] = [[np.inf, -np.inf, 1], [np.inf, -np.inf, 1]]
    columns.codes[0] = OTHER
    allowed = next(feature.allowed for feature in PLAN.features if feature.allowed)
    row = np.arange(3, dtype=np.int32)
    columns.novel = Novel(row, np.zeros(3, np.int32), row, (allowed[0], "Elsewhere", allowed[-1]))
    found, _ = breaches(columns)
    assert [row[0] for row in found] == [1, 1, 0]
    assert [row[6] for row in found] == [1, 1, 0]
    assert [row[1] for row in found] == [0, 1, 0]


def test_a_row_without_a_pane_breaks_nothing():
    """Late and future rows are counted as such; their values are in no cell."""
    cells = OpenCells(PLAN, LAYOUT, Source("topic", 3), tuple(CATEGORIES.values()))
    columns = scan([{"city": "Ulm"}] * 2)
    assert cells.add(columns, np.array([-1, -1])) == 0
    assert cells.add(columns, np.array([-1, 0])) == cells.changed(0)[0].violations.sum() == 3


def test_no_rules_have_their_shapes():
    """The fold gets the shapes it was promised, whatever is empty; a category without a name breaks nothing."""
    rules, named = contract(model(features=FEATURES), LAYOUT)
    assert (rules.count, named) == (0, {})
    rules, named = contract(PLAN, LAYOUT)
    assert rules.forbidden.sum() == 0
    assert named == {0: (1, frozenset(FEATURES[0].allowed)), 1: (4, frozenset(FEATURES[2].allowed))}
    rules, _ = contract(PLAN, LAYOUT, tuple(CATEGORIES.values()))
    assert np.flatnonzero(rules.forbidden).tolist() == [FIRST_BIN + 1, 10 + FIRST_BIN]


def test_two_rules_of_one_kind_are_refused():
    """Each feature has one place for each kind of rule."""
    twice = model(features=FEATURES, rules=(RULES[0], RULES[0]))
    with pytest.raises(ValueError, match="two range rules - feature 'age' of model 'm'"):
        contract(twice, LAYOUT)
