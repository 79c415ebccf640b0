"""What a number may be distributed like after a change: distributions, and an integral over waves of its rank."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from kernels.layout import BELOW, FIRST_BIN
from monitor.judge.frame import Frame
from monitor.judge.moves import FINEST, SIZES, Numbers, numbers, range_of
from monitor.judge.prepare import Prepared, prepare
from monitor.reference.build import build
from monitor.reference.table import Table
from tests.judge.build import CHANCES, HOUR, OWN, draw, numeric_profile, plan, reference

SHIFT_UP, SHIFT_DOWN, WIDER, NARROWER = range(4)
"""In this order, each of all sizes."""


@cache
def prepared() -> Prepared:
    model = plan(OWN)
    own = reference(OWN, draw(np.random.default_rng(1), CHANCES, 400, 40), pane=HOUR)
    return prepare(own, model, model.windows[0])


def built(frame: Frame, panes: np.ndarray | None = None, *, is_part: bool = False) -> Numbers | None:
    """Of the first feature and panes int64[panes, slots of the layout], or one without rows."""
    own = range_of(frame, 0)
    seen = np.zeros((1, len(frame.counts)), np.int64) if panes is None else panes
    return numbers(frame, 0, np.array([own.folded(one) for one in seen]), seen.sum(axis=0), is_part=is_part)


def of_slots(mass: dict[int, int], panes: np.ndarray | None = None) -> Numbers | None:
    """Of a feature on [0, 1) in 256 bins that has these rows in some of its slots."""
    profile = numeric_profile("x")
    counts = np.zeros((40, profile.slots), np.int64)
    for slot, rows in mass.items():
        counts[:, slot] = rows
    values = np.repeat((np.arange(256) + 0.5) / 256, counts[0, FIRST_BIN:-1])
    std = float(values.std()) if len(values) else float("nan")
    mean = float(values.mean()) if len(values) else float("nan")
    own = [replace(profile, mean=mean, std=std)]
    model = plan(own)
    return built(prepare(reference(own, counts), model, model.windows[0]).frame, panes)


def test_what_is_moved_is_a_distribution_that_lies_where_it_was_moved_to() -> None:
    """Up or down by so many standard deviations, wider or narrower by such a factor."""
    own = built(prepared().frame)
    assert own is not None
    p = np.exp(own.moved) * own.rows.shares
    np.testing.assert_allclose(p.sum(axis=2), 1.0)
    middle = np.concatenate([[0.0], (np.arange(64) + 0.5) / 64, [1.0]])
    mean = p @ middle
    std = np.sqrt(p @ middle**2 - mean**2)
    at = 8
    assert SIZES[at] == pytest.approx(0.08)
    usual_mean = float(own.rows.shares @ middle)
    profile = prepared().frame.features[0]
    assert mean[SHIFT_UP, at] - usual_mean == pytest.approx(0.08 * profile.std, rel=0.15)
    assert usual_mean - mean[SHIFT_DOWN, at] == pytest.approx(0.08 * profile.std, rel=0.15)
    assert std[WIDER, at] > std[NARROWER, at]
    assert mean[WIDER, at] == pytest.approx(usual_mean, abs=0.002)


def test_waves_do_not_depend_on_each_other() -> None:
    """Of mean 0 and orthonormal, whether slots are many or a few have all."""
    own = built(prepared().frame)
    assert own is not None
    np.testing.assert_allclose(own.waves @ own.rows.shares, 0.0, atol=1e-9)
    np.testing.assert_allclose((own.waves * own.rows.shares) @ own.waves.T, np.eye(len(own.waves)), atol=1e-6)


def test_a_feature_of_two_values_has_one_wave_that_counts() -> None:
    """All cosines say the same of it: what one says is not counted 24 times."""
    more = np.zeros((1, numeric_profile("x").slots), np.int64)
    more[0, [FIRST_BIN + 10, FIRST_BIN + 200]] = 500, 500
    two = of_slots({FIRST_BIN + 10: 600, FIRST_BIN + 200: 400}, more)
    assert two is not None
    assert two.variance[:-1].sum() < 0.01 * two.variance[-1]
    # ½ χ² of 100 more of 1,000 is 20.8: no likelihood ratio is more
    assert 10 < two.likelihoods()[1][0] < 20.8


@pytest.mark.parametrize("mass", [{}, {FIRST_BIN + 7: 1_000}, {0: 1_000}])
def test_values_that_do_not_vary_are_left_out(mass) -> None:
    """A feature that is always missing, or one value, cannot be shifted or spread."""
    assert of_slots(mass) is None


def test_smooth_is_an_integral_over_waves(monkeypatch) -> None:
    """As an average over many factors drawn from the prior, with their likelihood ratios as they are."""
    rng, frame = np.random.default_rng(7), prepared().frame
    own = built(frame, draw(rng, CHANCES, 700, 3))
    assert own is not None
    height = 0.08
    monkeypatch.setattr("monitor.judge.moves.HEIGHTS", (height,))
    factors = height * np.sqrt(own.variance) * rng.normal(size=(20_000, len(own.variance)))
    logs = own.rows.tilted((factors @ own.waves)[:, None])
    naive = np.logaddexp.reduce(logs, axis=0) - np.log(len(factors))
    np.testing.assert_allclose(own.likelihoods()[1], naive, atol=0.1)


@pytest.mark.parametrize("rows", [1_000, 5_000, 20_000, 720_000])
def test_rows_that_did_not_change_are_not_likelier(rows) -> None:
    """By the reference's own noise, which is less once it is moved by part of a bin: by 50 of 5,000 rows."""
    rng = np.random.default_rng([rows, 3])
    profile = [replace(numeric_profile("x"), mean=0.5, std=12**-0.5)]
    model = plan(profile)
    past = np.zeros((40, profile[0].slots), np.int64)
    past[:, FIRST_BIN:-1] = rng.multinomial(rows // 40, np.full(256, 1 / 256), 40)
    now = np.zeros((1, profile[0].slots), np.int64)
    now[0, FIRST_BIN:-1] = rng.multinomial(4_000, np.full(256, 1 / 256))
    own = built(prepare(reference(profile, past), model, model.windows[0]).frame, now)
    assert own is not None
    moved, smooth = own.likelihoods()
    print(f"{rows}: moved {moved[0]:.1f}, smooth {smooth[0]:.1f}")
    assert moved[0] < 2.0
    assert smooth[0] < 5.0


@pytest.mark.parametrize("is_part", [False, True])
def test_values_as_far_apart_as_numbers_go_neither_warn_nor_make_nan(is_part) -> None:
    """A sentinel of the largest number there is: its feature is left out, or all that is said of it is finite."""
    rng = np.random.default_rng(9)
    values = np.where(rng.random(4_000) < 0.01, np.finfo(float).max, rng.integers(0, 3, 4_000))
    past = build(Table({"x": values}, events=np.arange(4_000) * 10_000), model="m", name="r", pane=HOUR)
    model = plan(past.features)
    frame = prepare(past, model, model.windows[0]).frame
    own = built(frame, np.ones((2, len(frame.counts)), np.int64), is_part=is_part)
    assert own is None or np.isfinite(own.moved).all()
    assert own is None or all(np.isfinite(one).all() for one in own.likelihoods())


def test_more_bins_are_taken_together() -> None:
    """Of 4,096 no more than FINEST are kept, with all their rows."""
    profile = [replace(numeric_profile("x", 4_096), mean=0.5, std=12**-0.5)]
    counts = np.random.default_rng(5).poisson(3.0, (40, profile[0].slots))
    model = plan(profile)
    folded = range_of(prepare(reference(profile, counts), model, model.windows[0]).frame, 0).folded(counts[0])
    assert len(folded) == FINEST + 2
    assert folded.sum() == counts[0, BELOW:].sum()
    assert (folded[0], folded[-1]) == (counts[0, BELOW], counts[0, -1])


def test_a_spread_that_shows_in_the_tails_is_told_by_the_bins_that_are_counted() -> None:
    """Rows from the outermost bins are more likely when values are spread more."""
    frame = prepared().frame
    tails = np.zeros((1, len(frame.counts)), np.int64)
    low, high = range_of(frame, 0)[:2]
    tails[0, [low, low + 1, high - 2, high - 1]] = 5
    wider, usual = built(frame, tails), built(frame, frame.counts[None] // 20)
    assert wider is not None
    assert usual is not None
    assert wider.likelihoods()[0][0] > 5
    assert usual.likelihoods()[0][0] < 0
