from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.layout import OTHER
from monitor.columns import Columns
from monitor.intake.contract import check
from monitor.intake.decode import Decoder
from monitor.plan import Kind, Rule, RuleKind
from tests.intake.records import batch, feature, layout, model, reference, source

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
LAYOUT = layout(FEATURES)


def scan(rows):
    import msgspec

    reader = Decoder(
        source(time=()),
        {"m": PLAN},
        {"m": reference(FEATURES, {"city": ("Rome", "Bonn"), "member": ("false", "true")})},
    )
    (columns,) = reader.scan(batch([msgspec.json.encode({"features": row}) for row in rows])).columns
    check(columns, PLAN, LAYOUT)
    return columns


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
    columns = scan(items)
    assert columns.violations.dtype == np.int32
    assert columns.violations.tolist() == [[int(b) for b in naive(row)] for row in items]


def test_infinities_break_any_range_and_rare_categories_are_judged_by_their_names():
    """What is not finite is never within a range; "other" stands for names, allowed ones and not."""
    columns = scan([{"age": 1, "city": "Bonn", "member": True, "score": 0}] * 3)
    columns.values[:] = [[np.inf, -np.inf, 1], [np.inf, -np.inf, 1]]
    columns.codes[0] = OTHER
    allowed = next(feature.allowed for feature in PLAN.features if feature.allowed)
    columns.novel = {0: {0: allowed[0], 1: "Elsewhere", 2: allowed[-1]}}
    check(columns, PLAN, LAYOUT)
    assert columns.violations[:, 0].tolist() == [1, 1, 0]
    assert columns.violations[:, 6].tolist() == [1, 1, 0]
    assert columns.violations[:, 1].tolist() == [0, 1, 0]


def test_no_rows_and_no_rules_have_their_shapes():
    """The fold gets the shape it was promised, whatever is empty."""
    assert isinstance(scan([]), Columns)
    assert scan([]).violations.shape == (0, len(RULES))
    columns = scan([{}])
    check(columns, model(features=FEATURES), LAYOUT)
    assert columns.violations.shape == (1, 0)
