"""Windows that move with those before them: that it is seen, and what is then said of the budget."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.judge.policy import judge
from monitor.judge.prepare import prepare, windows_needed
from monitor.judge.together import together
from monitor.plan import WindowSpec
from tests.judge.build import DAY, HOUR, draw, numeric_profile, plan, reference, uniform, window

HOURLY = WindowSpec("1h", HOUR, HOUR)
AT = HOUR * np.arange(360)


def walk(rng, size, memory):
    """A stationary series, each as the one before by `memory`."""
    found = rng.normal(size=size)
    for at in range(1, size):
        found[at] = memory * found[at - 1] + (1 - memory**2) ** 0.5 * found[at]
    return found


@pytest.mark.parametrize("seed", range(10))
def test_windows_that_move_by_themselves_count_as_they_are(seed):
    """No memory is seen where there is none, whatever the tail of M."""
    rng = np.random.default_rng(seed)
    assert together(np.exp(rng.normal(size=360)), AT, HOURLY) == 1.0


def test_windows_that_move_as_those_before_count_as_fewer():
    """Nearly as few as the sum of their autocorrelation says: (1 + ρ) / (1 - ρ) of one."""
    found = [
        together(walk(np.random.default_rng(seed), 2_000, 0.5), HOUR * np.arange(2_000), HOURLY)
        for seed in range(10)
    ]
    assert np.mean(found) == pytest.approx(3.0, rel=0.15)
    assert together(np.arange(360.0), AT, HOURLY) > 10


def test_the_course_of_the_day_is_no_memory():
    """Nights that are unlike days are so in live windows, too; of two days that cannot be told."""
    rng = np.random.default_rng(1)
    day = np.sin(2 * np.pi * np.arange(360) / 24)
    assert together(rng.normal(size=360) + 2 * day, AT, HOURLY) == 1.0
    assert together(rng.normal(size=48) + 4 * day[:48], AT[:48], HOURLY) > 1.0


def test_rows_that_windows_share_are_no_memory():
    """24 hours by the hour: only windows that share nothing are compared."""
    rng = np.random.default_rng(2)
    hours = np.concatenate([[0.0], np.cumsum(rng.normal(size=2_000))])
    sliding = hours[24:] - hours[:-24]
    assert together(sliding, HOUR * np.arange(len(sliding)), WindowSpec("24h", DAY, HOUR)) == 1.0


def test_windows_that_are_missing_lie_between_others():
    """Every other hour is gone: what is left are neighbours two hours apart, which have half of ρ in common."""
    m = walk(np.random.default_rng(3), 4_000, 0.6)
    here = np.random.default_rng(4).random(4_000) < 0.5
    found = together(m[here], (HOUR * np.arange(4_000))[here], HOURLY)
    assert found == pytest.approx(4.0, rel=0.25)
    assert together(m[::2], (2 * HOUR * np.arange(2_000)), HOURLY) == 1.0


@pytest.mark.parametrize(("hours", "is_proven"), [(360, False), (2_400, True)])
def test_a_budget_is_not_proven_by_windows_that_move_together(hours, is_proven):
    """It is said in every verdict how many count as one, and how many would be enough."""
    own = [numeric_profile(f"n{i}", 32) for i in range(6)]
    rng = np.random.default_rng(5)
    panes = []
    for p in own:
        chances = np.tile(uniform(p), (hours, 1))
        chances[:, 3:-1] *= np.exp(0.2 * walk(rng, hours, 0.8)[:, None] * np.linspace(-1.7, 1.7, 32))
        panes.append(rng.multinomial(10_000, chances / chances.sum(axis=1, keepdims=True)))
    model = plan(own, pages=2.0)
    prepared = prepare(reference(own, np.concatenate(panes, axis=1)), model, model.windows[0])
    assert prepared.together > 1.5
    assert (prepared.ranks, prepared.proven) == (True, is_proven)
    assert prepared.windows_needed == windows_needed(1 / 360, prepared.together)
    verdict = judge(
        window(own, draw(rng, [uniform(p) for p in own], 10_000, 1)[0]), prepared, model, previous=()
    )
    assert verdict.proven is is_proven
    said = f"{verdict.windows_needed} are needed as they move with those before them ({prepared.together:.1f} count as one)"
    assert (said in verdict.detail) is not is_proven
    assert verdict.p == prepared.rank(verdict.statistic * prepared.critical)
