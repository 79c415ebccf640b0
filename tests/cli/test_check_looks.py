"""`driftline check` says where open windows are not looked at, and why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.cli.check_local import check_budget
from tests.judge.build import DAY, HOUR, draw, numeric_profile, plan, reference, uniform

OWN = [numeric_profile("age", 20)]
MODEL = replace(plan(OWN, pages=12.0), pane=HOUR // 2)
MINUTE = HOUR // 60


def past(days: int, *, pane: int = HOUR // 2, timed: bool = True):
    counts = draw(np.random.default_rng(1), [uniform(OWN[0])], 500, days * DAY // pane)
    return reference(OWN, counts, pane=pane, timed=timed)


def said(model, own) -> dict[str, str]:
    return {line.subject: line.text for line in check_budget(model, own)}


def test_looks_are_told_beside_the_budget() -> None:
    """How often, and for how much of it."""
    found = said(MODEL, past(10))
    assert found["budget of m, 1h"].endswith("; looks at open windows every 30m may spend 20% of it")
    assert "looks of m, 1h" not in found


@pytest.mark.parametrize(
    ("model", "own", "reason"),
    [
        (replace(MODEL, early=0.0), {}, "looks have no part of the budget"),
        (replace(MODEL, pane=HOUR), {}, "panes of the model are of 1h, longer than half a step of 1h"),
        (
            MODEL,
            {"pane": HOUR},
            "longer than half a step of 1h; `reference build --max-panes 480` keeps shorter ones",
        ),
        (replace(MODEL, pane=25 * MINUTE), {}, "panes of 30m of the reference and 25m of the model make no equal parts"),
        (MODEL, {"timed": False}, "the reference has no event times"),
        (replace(MODEL, season="hour_of_day"), {}, "by season; nor is it said since when there is a drift"),
    ],
)  # fmt: skip
def test_without_looks_it_says_why(model, own, reason) -> None:
    """And what would be right, where something would."""
    found = said(model, past(10, **own))
    assert reason in found["looks of m, 1h"]
    assert "looks at" not in found["budget of m, 1h"]


def test_a_reference_that_is_just_long_enough_is_for_closed_windows() -> None:
    """One more alarm before the close, and its windows would not prove the rest."""
    found = said(replace(MODEL, budget=replace(MODEL.budget, pages=3.0)), past(10))
    assert (
        "a reference of 240 windows leaves nothing of the budget beside closed windows"
        in found["looks of m, 1h"]
    )
