"""Raw limits that an operator sets on scores and figures, outside the budget."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence

from monitor.plan import RawRule
from monitor.verdict import State, Verdict

_OPERATORS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}

Scores = Mapping[str, Mapping[str, float]]


def rules_that_hold(
    rules: Sequence[RawRule],
    scores: Scores,
    *,
    before: Sequence[Verdict],
    runs: Mapping[str, int] | None = None,
) -> tuple[str, ...]:
    """Names of the rules whose limit is broken in this window and in enough windows just before, or that held
    before and have not come back as far as they say.

    `before`: verdicts of the same window name, oldest first; `runs`: by name, broken windows on end with this one,
    where that is known of more than these. A window without the score is not broken, and a rule names a ratio itself, not
    its difference to the reference.
    """
    stood = next((one.rules for one in reversed(before) if one.state is not State.UNKNOWN), ())
    return tuple(
        rule.name
        for rule in rules
        if _is_due(rule, scores, before, (runs or {}).get(rule.name))
        or (rule.name in stood and _is_short(rule, scores))
    )


def breaks(rule: RawRule, scores: Scores) -> bool:
    """Whether the limit of a rule is broken in a window."""
    value = measured(rule, scores)
    return value is not None and _OPERATORS[rule.operator](value, rule.limit)


def broken(rule: RawRule, scores: Scores) -> tuple[str, ...]:
    """The features or segments that break the limit of a rule, "" the whole, those furthest beyond it first."""
    beyond = [
        (value, name) for name, value in _values(rule, scores) if _OPERATORS[rule.operator](value, rule.limit)
    ]
    return tuple(name for _, name in sorted(beyond, reverse=rule.operator in {">", ">="}))


def measured(rule: RawRule, scores: Scores) -> float | None:
    """What the limit of a rule is compared with; None where there is no such score. Of a rule on several features or
    segments the value of the last that is needed: so many are at least as far."""
    values = sorted((value for _, value in _values(rule, scores)), reverse=rule.operator in {">", ">="})
    needed = max(rule.quorum, 1)
    return values[needed - 1] if len(values) >= needed else None


def _is_due(rule: RawRule, scores: Scores, before: Sequence[Verdict], run: int | None) -> bool:
    if rule.of:
        span = [scores, *(one.scores for one in before[max(len(before) - rule.of + 1, 0) :])]
        return sum(breaks(rule, one) for one in span) >= rule.windows
    if run is not None:
        return run >= rule.windows
    return rule.windows - 1 <= len(before) and all(
        breaks(rule, one) for one in (scores, *_last(before, rule.windows - 1))
    )


def _is_short(rule: RawRule, scores: Scores) -> bool:
    """Whether a rule that held has not come back as far as it must; False where it says nothing of that."""
    if rule.clear is None:
        return False
    value = measured(rule, scores)
    return value is not None and _OPERATORS[rule.operator](value, rule.clear)


def _last(before: Sequence[Verdict], count: int) -> list[Scores]:
    return [verdict.scores for verdict in before[len(before) - count :]]


def _values(rule: RawRule, scores: Scores) -> list[tuple[str, float]]:
    """By feature or segment, of all that a rule looks at."""
    names = [rule.feature]
    if rule.quorum:
        names = [
            name for name in scores if name and (not rule.feature or name.startswith(f"{rule.feature}="))
        ]
    found = ((name, scores.get(name, {})) for name in names)
    return [
        (name, own.get(f"{rule.score}_ratio", own.get(rule.score, float("nan"))))
        for name, own in found
        if f"{rule.score}_ratio" in own or rule.score in own
    ]
