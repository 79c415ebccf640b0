"""Raw limits: of one or of several, on end or in so many windows, and until when they hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.judge.limits import broken, measured, rules_that_hold
from monitor.plan import RawRule
from monitor.verdict import State, Verdict

LIMIT = RawRule("r", "psi", "a", ">", 0.2, 1, "ticket")


def verdict(rules=(), *, state=State.OK, **values):
    """A window with a psi of each feature."""
    return Verdict(
        model="m", window="1h", start=0, end=1, revision=0, state=state, reason=None, detail="", rows=1, coverage=1.0,
        p=1.0, statistic=0.0, alpha=0.0, proven=False, reference="", reference_windows=0, windows_needed=0,
        scores={name: {"psi": value} for name, value in values.items()}, rules=rules,
    )  # fmt: skip


def course(rule, values, **more):
    """Whether the rule holds in each of a row of windows, each value that of feature a; None has none."""
    history, found = [], []
    for value in values:
        one = verdict(**({} if value is None else {"a": value}))
        held = rules_that_hold([rule], one.scores, before=history, **more)
        history.append(replace(one, rules=held))
        found.append(bool(held))
    return "".join("x" if held else "." for held in found)


def test_so_many_of_the_last_windows():
    """Two of four, the newest need not be one; a window without the score is none."""
    rule = replace(LIMIT, windows=2, of=4)
    assert course(rule, [0.3, 0.1, 0.3, 0.1, 0.1, 0.1, 0.3]) == "..xx..."
    assert course(rule, [0.3, None, None, 0.3, None]) == "...x."
    assert course(replace(LIMIT, windows=3, of=3), [0.3, 0.3, 0.3, 0.1]) == "..x."


def test_a_rule_that_clears_elsewhere_holds_until_then():
    """Between both limits it stays as it was; a window without a verdict changes nothing."""
    rule = replace(LIMIT, clear=0.1)
    assert course(rule, [0.15, 0.3, 0.15, 0.12, 0.1, 0.15, 0.25]) == ".xxx..x"
    assert course(replace(rule, windows=2), [0.3, 0.3, 0.15, 0.3, 0.05, 0.3]) == ".xxx.."
    assert course(rule, [0.3, None, 0.15]) == "x.."
    before = [verdict(("r",), a=0.3), verdict(state=State.UNKNOWN, a=0.01)]
    assert rules_that_hold([rule], {"a": {"psi": 0.15}}, before=before) == ("r",)
    below = RawRule("r", "accuracy", "", "<", 0.9, 1, "page", clear=0.95)
    assert rules_that_hold([below], {"": {"accuracy": 0.93}}, before=[verdict(("r",))]) == ("r",)
    assert rules_that_hold([below], {"": {"accuracy": 0.95}}, before=[verdict(("r",))]) == ()


def test_so_many_features_or_segments():
    """The value that decides is that of the last one needed; those that break it are named, furthest first."""
    rule = replace(LIMIT, feature="", quorum=2, among="features")
    scores = {name: {"psi": value} for name, value in {"a": 0.3, "b": 0.1, "c": 0.5}.items()}
    assert measured(rule, scores) == 0.3
    assert broken(rule, scores) == ("c", "a")
    assert rules_that_hold([rule], scores, before=[]) == ("r",)
    assert rules_that_hold([replace(rule, quorum=3)], scores, before=[]) == ()
    assert measured(replace(rule, quorum=4), scores) is None
    accuracy = RawRule("r", "accuracy", "country", "<", 0.9, 1, "page", quorum=1, among="segments")
    shares = {"": 0.5, "country=DE": 0.8, "country=FR": 0.95, "tier=gold": 0.1}
    scores = {name: {"accuracy": value} for name, value in shares.items()}
    assert broken(accuracy, scores) == ("country=DE",)
    assert broken(replace(accuracy, feature=""), scores) == ("tier=gold", "country=DE")
    assert measured(accuracy, scores) == 0.8


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (LIMIT, "psi(a) > 0.2"),
        (replace(LIMIT, windows=3), "psi(a) > 0.2 for 3 windows"),
        (replace(LIMIT, windows=3, of=5), "psi(a) > 0.2 for 3 of 5 windows"),
        (replace(LIMIT, windows=-5_400_000), "psi(a) > 0.2 for 90m"),
        (
            replace(LIMIT, feature="", quorum=2, among="features", windows=2),
            "psi > 0.2 in 2 features for 2 windows",
        ),
    ],
)
def test_rules_read_as_they_are_written(rule, text):
    """In the evidence of an incident, and in the configuration that is printed."""
    assert rule.text == text
