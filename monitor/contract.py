"""Step 3: what the model's contract allows, as the arrays by which the fold counts breaches.

A violation stays a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kernels.layout import CATEGORICAL, FIRST_BIN, NUMERIC, Layout, Rules, no_rules
from monitor.plan import ModelPlan, RuleKind

Named = Mapping[int, tuple[int, frozenset[str]]]
"""Categorical column → the number of its category rule and the categories that it allows."""


def contract(
    plan: ModelPlan, layout: Layout, categories: Sequence[Sequence[str]] = ()
) -> tuple[Rules, Named]:
    """The rules of `plan.rules` over `layout`, and those that need the name of a novel or other row.

    null: the value is missing. range: a number outside the closed interval, infinities included.
    category: a value outside `FeaturePlan.allowed`; nothing is broken by a missing value.

    `categories` are the names of the categories of each categorical column, in slot order from
    slot 3; a slot without a name breaks nothing. Rows whose code is NOVEL or OTHER have no slot of
    their own: whoever counts their names adds them to the rule of `Named`.
    Raises KeyError when a rule names a feature the plan does not have, ValueError when two rules of
    one kind name the same feature.
    """
    places = {feature.name: at for at, feature in enumerate(plan.features)}
    rules = no_rules(layout)._replace(count=len(plan.rules))
    named = {}
    for number, rule in enumerate(plan.rules):
        at = places[rule.feature]
        feature = plan.features[at]
        column = int(layout.column[at])
        if rule.kind is RuleKind.RANGE and layout.kind[at] == NUMERIC:
            low, high = feature.range
            rules.low[at] = -np.inf if low is None else low
            rules.high[at] = np.inf if high is None else high
            _claim(rules.range, at, number, plan)
        elif rule.kind is RuleKind.CATEGORY and layout.kind[at] == CATEGORICAL and feature.allowed:
            allowed = frozenset(feature.allowed)
            names = categories[column] if categories else ()
            for slot, name in enumerate(names, int(layout.start[at]) + FIRST_BIN):
                rules.forbidden[slot] = name not in allowed
            named[column] = number, allowed
            _claim(rules.category, at, number, plan)
        elif rule.kind is RuleKind.NULL:
            _claim(rules.null, at, number, plan)
    return rules, named


def _claim(numbers: np.ndarray, at: int, number: int, plan: ModelPlan) -> None:
    if numbers[at] >= 0:
        rule = plan.rules[number]
        raise ValueError(
            f"two {rule.kind} rules - feature {rule.feature!r} of model {plan.name!r} - one of each kind is right"
        )
    numbers[at] = number
