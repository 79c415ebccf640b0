"""Step 3, check: rows against what the model's contract allows. A violation stays a row."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kernels.layout import FIRST_BIN, MISSING, NOVEL, OTHER, Layout
from monitor.columns import Columns
from monitor.plan import FeaturePlan, Kind, ModelPlan, Rule, RuleKind


def check(columns: Columns, plan: ModelPlan, layout: Layout) -> None:
    """Fill `columns.violations`, int32[rows, rules]: 1 where a row breaks a rule of `plan.rules`.

    null: the value is missing. range: a number outside the closed interval, infinities included.
    category: a value outside `FeaturePlan.allowed`; nothing is broken by a missing value.
    Raises KeyError when a rule names a feature the plan does not have.
    """
    places = {feature.name: at for at, feature in enumerate(plan.features)}
    violations = np.zeros((len(columns), len(plan.rules)), np.int32)
    if len(columns):
        for number, rule in enumerate(plan.rules):
            at = places[rule.feature]
            column = int(layout.column[at])
            violations[:, number] = _breaches(columns, rule, plan.features[at], column)
    columns.violations = violations


def _breaches(columns: Columns, rule: Rule, feature: FeaturePlan, column: int) -> NDArray[np.bool_]:
    is_number = feature.kind is Kind.NUMERIC
    broken: NDArray[np.bool_] = np.zeros(len(columns), np.bool_)
    if rule.kind is RuleKind.NULL:
        broken |= np.isnan(columns.values[column]) if is_number else columns.codes[column] == MISSING
    elif rule.kind is RuleKind.RANGE and is_number:
        low, high = feature.range
        values = columns.values[column]
        broken |= values < (-np.inf if low is None else low)
        broken |= values > (np.inf if high is None else high)
        broken |= np.isinf(values)
    elif rule.kind is RuleKind.CATEGORY and not is_number and feature.allowed:
        codes = columns.codes[column]
        categories = columns.categories[column] if columns.categories else ()
        broken |= _forbidden(feature.allowed, categories)[np.minimum(codes, FIRST_BIN + len(categories))]
        for row, name in columns.novel.get(column, {}).items():
            broken[row] = name not in feature.allowed
    return broken


@lru_cache(maxsize=4096)
def _forbidden(allowed: tuple[str, ...], categories: tuple[str, ...]) -> NDArray[np.bool_]:
    """Whether each slot breaks the rule; the last entry stands for slots without a name."""
    forbidden = np.zeros(FIRST_BIN + len(categories) + 1, np.bool_)
    forbidden[[NOVEL, OTHER]] = True  # until their names are looked at
    for slot, name in enumerate(categories, FIRST_BIN):
        forbidden[slot] = name not in allowed
    forbidden.flags.writeable = False
    return forbidden
