"""A reference read by season: which seasons, what a window is compared with, and that it is worth it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kernels.layout import FIRST_BIN, LATENCY_BINS
from monitor.judge.extract import Counts, concatenate, extract
from monitor.judge.frame import build_frame
from monitor.judge.mixture import left_out, mixture
from monitor.judge.policy import judge
from monitor.judge.prepare import prepare
from monitor.judge.seasons import ENOUGH_ROWS, calendar, local_hours, read_seasons
from monitor.judge.windows import reference_windows, spans
from tests.judge import cycles
from tests.judge.build import (
    DAY,
    HOUR,
    categorical_profile,
    draw,
    numeric_profile,
    plan,
    reference,
    uniform,
    window,
    zipf,
)

MONDAY = 4 * DAY
OWN = [numeric_profile("age"), categorical_profile("country", [f"k{i}" for i in range(12)])]
CHANCES = [uniform(OWN[0], missing=0.02), zipf(OWN[1], missing=0.05)]


def drawn(rng, panes, rows=2_000):
    """Counts per hour; every feature is shaped by the hour of the day."""
    found = []
    for hour in range(panes):
        numeric = CHANCES[0].copy()
        numeric[FIRST_BIN:-1] *= 1.0 + 0.5 * np.sin(2 * np.pi * hour / 24) * np.linspace(-1, 1, 256)
        shares = [numeric / numeric.sum(), np.roll(CHANCES[1], 0) if hour % 2 else CHANCES[1]]
        found.append(draw(rng, shares, int(rows * (1.2 + np.sin(hour))), 1)[0])
    return np.array(found)


def past(days=7, seed=1, **more):
    rng = np.random.Generator(np.random.Philox(seed))
    return reference(OWN, drawn(rng, 24 * days, **more), start=MONDAY)


def test_seasons_follow_the_clock_of_the_time_zone() -> None:
    """Hours and days are local ones, over a change of the clock too; Monday is the first day."""
    summer, winter = 1_690_000_000_000 // DAY * DAY, 1_700_000_000_000 // DAY * DAY
    hours = local_hours(np.array([summer, winter]), "Europe/Berlin") % 24
    assert hours.tolist() == [2, 1]
    ref = past()
    assert calendar(ref, "day_of_week", "UTC").at(np.array([MONDAY, MONDAY + 7 * DAY - 1])).tolist()[0] == 0
    by_hour = calendar(ref, "hour_of_day", "Asia/Tokyo")
    assert by_hour.name(int(by_hour.at(np.array([MONDAY]))[0])) == "09:00-10:00"


def test_a_season_with_too_little_is_read_with_its_poorer_neighbour() -> None:
    """Rows and days count; the others stay alone, and names say what is read together."""
    rng = np.random.Generator(np.random.Philox(2))
    panes = draw(rng, CHANCES, 2 * ENOUGH_ROWS, 14 * 24)
    panes[3::24] = draw(rng, CHANCES, 20, 14)
    panes[4::24] = draw(rng, CHANCES, ENOUGH_ROWS, 14)
    own = calendar(reference(OWN, panes, start=MONDAY), "hour_of_day", "UTC")
    assert own.groups == 23
    joined = [group for group in range(own.groups) if own.joined(group)]
    assert [own.name(group) for group in joined] == ["03:00-05:00"]
    by_week = calendar(reference(OWN, panes[: 8 * 24], start=MONDAY), "day_of_week", "UTC")
    assert any(by_week.joined(group) for group in range(by_week.groups))
    assert "Mon" not in [by_week.name(group) for group in range(by_week.groups) if by_week.joined(group)]
    nothing = calendar(reference(OWN, panes[:24] // 100, start=MONDAY), "hour_of_day", "UTC")
    assert (nothing.groups, nothing.name(0)) == (1, "all")


def test_rows_of_live_panes_lie_in_the_season_of_the_panes_of_the_reference() -> None:
    """Where panes of the reference are longer than a season, live ones are read as they are."""
    rng = np.random.Generator(np.random.Philox(3))
    ref = reference(OWN, draw(rng, CHANCES, 4_000, 6 * 28), pane=4 * HOUR, start=MONDAY)
    own = calendar(ref, "hour_of_day", "UTC")
    assert own.groups == 6
    rows = own.rows_of({MONDAY + 5 * HOUR: 7, MONDAY + 6 * HOUR: 5, MONDAY + 8 * HOUR: 3})
    assert sorted(rows[rows > 0].tolist()) == [3, 12]


def test_the_seasons_of_the_whole_reference_are_the_reference() -> None:
    """A window that covers seasons as the reference does is compared with all of it."""
    ref = past()
    frame, seasons = build_frame(ref, plan(OWN)), read_seasons(ref, calendar(ref, "hour_of_day", "UTC"))
    whole = mixture(frame, seasons, seasons.rows)
    assert whole.rows == frame.rows
    assert np.array_equal(whole.counts, frame.counts)
    for field in ("coarse", "live", "novel", "breached", "latency"):
        np.testing.assert_allclose(getattr(whole, field), getattr(frame, field), rtol=1e-9, atol=1e-6)


def test_k_is_that_of_a_mixture() -> None:
    """A window over two seasons is compared with 1 / Σ (w² / m) rows of w-weighted shares."""
    ref = past(rows=10_000)
    frame, seasons = build_frame(ref, plan(OWN)), read_seasons(ref, calendar(ref, "hour_of_day", "UTC"))
    rows = np.zeros(24, np.int64)
    rows[[2, 9]] = 300, 100
    found = mixture(frame, seasons, rows)
    assert found.rows == round(1 / (0.75**2 / seasons.rows[2] + 0.25**2 / seasons.rows[9]))
    shares = 0.75 * seasons.counts[2] / seasons.rows[2] + 0.25 * seasons.counts[9] / seasons.rows[9]
    assert np.abs(np.cumsum(found.counts - found.rows * shares)).max() < 1.0


@pytest.mark.parametrize(
    ("season", "size", "step"), [("hour_of_day", 1, 1), ("hour_of_day", 24, 6), ("day_of_week", 12, 12)]
)
def test_a_window_of_the_reference_is_compared_with_the_rest_of_its_seasons(season, size, step) -> None:
    """As said literally: without its own panes, each season's shares weighted by its rows."""
    ref = past(days=21, rows=1_500)
    model = plan(OWN, size=size * HOUR, step=step * HOUR)
    frame, seasons = build_frame(ref, model), read_seasons(ref, calendar(ref, season, "UTC"))
    found = reference_windows(ref, model.windows[0], frame, min_rows=1, seasons=seasons)
    first, last = spans(ref, model.windows[0])
    assert len(found) == len(first)
    panes = np.zeros((len(ref.panes), frame.layout.slots), np.int64)
    for pane in range(len(panes)):
        at = slice(ref.panes.indptr[pane], ref.panes.indptr[pane + 1])
        panes[pane, ref.panes.slots[at]] = ref.panes.values[at]
    group = seasons.calendar.at(ref.panes.starts)
    for i in (0, 5, len(first) - 1):
        mine = np.zeros(len(panes), bool)
        mine[first[i] : last[i]] = True
        shares, k, n = np.zeros(frame.layout.slots), 0.0, ref.panes.rows[mine].sum()
        for s in np.unique(group[mine]):
            w = ref.panes.rows[mine & (group == s)].sum() / n
            rest = panes[~mine & (group == s)].sum(axis=0)
            m = ref.panes.rows[~mine & (group == s)].sum()
            shares, k = shares + w * rest / m, k + w * w / m
        coarse = np.bincount(frame.group, shares / k, minlength=len(frame.coarse))
        there = replace(frame, counts=np.rint(shares / k).astype(np.int64), live=coarse, coarse=coarse)
        counts = panes[mine].sum(axis=0)[None, :]
        zeros = np.zeros((1, LATENCY_BINS), np.int64)
        naive = extract(Counts(counts, np.array([n]), np.zeros(1, np.int64), zeros), there, left_out=False)
        np.testing.assert_allclose(found.divergence[i], naive.divergence[0], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(found.distance[i, :, 0], naive.distance[0, :, 0], atol=0.002)
        assert np.array_equal(found.hits[i], naive.hits[0])


def test_windows_are_compared_alike_however_many_at_once(monkeypatch) -> None:
    """The bound on bytes changes nothing but the time."""
    ref = past(days=10)
    model = plan(OWN, size=24 * HOUR, step=HOUR)
    frame, seasons = build_frame(ref, model), read_seasons(ref, calendar(ref, "hour_of_day", "UTC"))
    first, last = spans(ref, model.windows[0])
    whole = concatenate(list(left_out(ref.panes, seasons, frame, first, last)))
    monkeypatch.setattr("monitor.judge.mixture.LARGEST", 30 * 8 * frame.layout.slots)
    parts = concatenate(list(left_out(ref.panes, seasons, frame, first, last)))
    np.testing.assert_allclose(whole.divergence, parts.divergence, rtol=1e-9)


def test_a_window_that_is_all_of_a_season_is_compared_with_nothing() -> None:
    """As one that is all of a reference that is not read by season."""
    ref = past(days=2)
    model = plan(OWN, size=48 * HOUR)
    frame, seasons = build_frame(ref, model), read_seasons(ref, calendar(ref, "hour_of_day", "UTC"))
    found = reference_windows(ref, model.windows[0], frame, min_rows=1, seasons=seasons)
    assert found is not None
    assert (len(found), found.divergence.any(), found.base.any()) == (1, False, False)


def test_a_verdict_is_of_its_season_and_says_what_was_read_together() -> None:
    """What is ordinary at noon is drift at midnight; rows by season must be those of the window."""
    ref = past(days=28)
    model = plan(OWN, season="hour_of_day", pages=100.0)
    prepared = prepare(ref, model, model.windows[0])
    night, noon = (window(OWN, drawn(np.random.Generator(np.random.Philox(9)), 24)[h]) for h in (18, 6))

    def judged(of, hour):
        rows = prepared.seasons.calendar.rows_of({MONDAY + hour * HOUR: of.rows})
        return judge(replace(of, seasons=rows), prepared, model, previous=())

    assert str(judged(night, 18).state) == "ok"
    assert str(judged(noon, 18).state) == "drift"
    with pytest.raises(ValueError, match="seasons"):
        judge(night, prepared, model, previous=())
    few = past(days=28, rows=40)
    coarse = prepare(few, model, model.windows[0])
    assert coarse.seasons is not None
    rows = coarse.seasons.calendar.rows_of({MONDAY: night.rows})
    said = judge(replace(night, seasons=rows), coarse, model, previous=()).detail
    assert "read together" in said


def test_a_reference_without_times_or_with_too_little_is_read_whole_and_says_so() -> None:
    """Seasons that cannot be are no error: the verdict is that of one reference."""
    rng = np.random.Generator(np.random.Philox(4))
    counts = draw(rng, CHANCES, 1_000, 30)
    model = plan(OWN, season="hour_of_week")
    untimed = prepare(reference(OWN, counts.sum(axis=0)[None, :], timed=False), model, model.windows[0])
    one_day = prepare(reference(OWN, counts[:20] // 50), model, model.windows[0])
    for prepared, why in ((untimed, "no event times"), (one_day, "too few rows or days")):
        assert prepared.seasons is None
        detail = judge(window(OWN, counts[0]), prepared, model, previous=()).detail
        assert f"not read by season: the reference has {why}" in detail


def test_tests_against_a_mixture_reject_as_often_as_they_should() -> None:
    """Three hours against four rows a season for each of theirs: near 1 %, and more with k of it all."""
    rate = cycles.null_rate(1, rows=2_000, per_season=8_000, references=5)
    assert 0.004 <= rate.psi <= 0.013
    assert 0.004 <= rate.ks <= 0.013
    assert rate.plain > 1.5 * rate.psi


def test_seasons_take_false_windows_away_and_no_power() -> None:
    """Nightly windows, by Holm without tolerance; `bench.seasons` measures it over many references."""
    one, by_hour = cycles.simulate(1, cycles.NIGHTLY, rows=80, days=30)
    assert one.false >= 25
    assert by_hour.false <= 0.1 * one.false
    assert by_hour.found >= one.found - 5
