"""Raw limits that an operator sets on scores, outside the budget."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence

from monitor.plan import RawRule
from monitor.verdict import Verdict

_OPERATORS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}

Scores = Mapping[str, Mapping[str, float]]


def rules_that_hold(
    rules: Sequence[RawRule], scores: Scores, *, before: Sequence[Verdict]
) -> tuple[str, ...]:
    """Names of the rules whose limit is broken in this window and in enough windows just before.

    `before`: verdicts of the same window name, oldest first. A window without the score breaks
    the run, and a rule names a ratio itself, not its difference to the reference.
    """
    return tuple(
        rule.name
        for rule in rules
        if rule.windows - 1 <= len(before)
        and all(_breaks(rule, one) for one in (scores, *_last(before, rule.windows - 1)))
    )


def _last(before: Sequence[Verdict], count: int) -> list[Scores]:
    return [verdict.scores for verdict in before[len(before) - count :]]


def measured(rule: RawRule, scores: Scores) -> float | None:
    """What the limit of a rule is compared with; None where there is no such score."""
    own = scores.get(rule.feature, {})
    return own.get(f"{rule.score}_ratio", own.get(rule.score))


def _breaks(rule: RawRule, scores: Scores) -> bool:
    value = measured(rule, scores)
    return value is not None and _OPERATORS[rule.operator](value, rule.limit)
