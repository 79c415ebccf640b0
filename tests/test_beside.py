"""What windows are shown beside: windows that closed before, and other references."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kernels.layout import FIRST_BIN, LATENCY_BINS, NOVEL, OTHER
from monitor.beside import FORGOTTEN, LIMIT, Besides
from monitor.context import Context
from monitor.judge.beside import compare, counted, rebinned
from monitor.judge.kept import Kept
from monitor.judge.policy import judge
from monitor.judge.prepare import prepare
from monitor.judge.record import from_json, to_json
from monitor.judgement import Judgement
from monitor.names import REASONS, SketchKey, Source
from monitor.novel import hash64
from monitor.plan import LAST_WEEK, PREVIOUS, WindowSpec
from monitor.sketch import Sketch
from monitor.state.log import Ledger, Progress
from monitor.window.completeness import Patience
from monitor.window.grid import next_end, week_before
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

OWN = [numeric_profile("age"), categorical_profile("country", ["DE", "FR", "NO"])]
CHANCES = [uniform(OWN[0], missing=0.02), zipf(OWN[1])]
PAST = reference(OWN, draw(np.random.default_rng(1), CHANCES, 1_000, 48))
SOURCE = Source("t", 0)
START = 28 * DAY


def judgement(*names, size=2, step=2):
    spec = WindowSpec("1h", size * HOUR, step * HOUR)
    model = replace(plan(OWN, windows=(spec,)), pane=HOUR, lateness=0, beside=dict.fromkeys(names, ""))
    prepared = {spec.name: prepare(PAST, model, spec)}
    return Judgement(Context(model, PAST.layout(), PAST, prepared), patience=Patience(settle=0))


def sketch(hour, *, rows=600, seed=0):
    counts = draw(np.random.default_rng(1000 * seed + hour), CHANCES, rows, 1)[0]
    return Sketch(
        key=SketchKey("m", "c", "1", "champion", "", START + hour * HOUR, SOURCE),
        applied=seed + 1, rows=rows, errors=0, counts=counts, sums=np.zeros((1, 3), np.int64),
        extremes=np.array([[0.0, 1.0]]), latency=np.zeros(LATENCY_BINS, np.int64),
        violations=np.zeros(0, np.int64), rejects=np.zeros(len(REASONS), np.int64), first=hour, last=hour,
    )  # fmt: skip


def due(model, hour):
    found = []
    report = Progress(SOURCE, 1, 1, START + hour * HOUR, False, "", 0, -1)
    for judged in model.due(expected=(SOURCE,), progress={SOURCE: report}, now=0):
        model.accept(judged)
        found.append(judged)
    return found


@pytest.mark.parametrize("step", [2, 1])
def test_the_previous_window_is_the_one_that_ended_when_this_began(step) -> None:
    """Its scores are those against its counts as a reference; the first windows have none before them."""
    model = judgement(PREVIOUS, step=step)
    found = []
    for hour in range(10):
        model.observe([sketch(hour)])
        found += due(model, hour + 1)
    by_end = {judged.verdict.end: judged for judged in found}
    known = 0
    for judged in found:
        (one,) = judged.verdict.beside
        before = by_end.get(judged.verdict.start)
        assert (one.name, one.end, one.start) == (
            PREVIOUS,
            judged.verdict.start,
            judged.verdict.start - 2 * HOUR,
        )
        if before is None:
            assert (one.rows, one.detail, one.scores) == (0, FORGOTTEN, {})
            continue
        known += 1
        other = replace(reference(OWN, before.window.counts[None, :], timed=False), errors=0)
        direct = prepare(other, model.plan, model.plan.windows[0])
        scores = judge(judged.window, direct, model.plan, previous=()).scores
        assert one.rows == before.verdict.rows
        for name in ("psi", "ks", "js"):
            assert one.scores["age"][name] == pytest.approx(scores["age"][name], rel=1e-9)
    assert known >= 3


def test_last_week_is_remembered_for_a_week_and_not_after_a_restart() -> None:
    """The same window seven days before; a restart knows the previous window still, and that one not."""
    model = judgement(PREVIOUS, LAST_WEEK, size=24, step=24)
    hours = range(0, 24 * 9, 6)
    found = []
    for hour in hours:
        model.observe([sketch(hour)])
        found += due(model, hour + 6)
    beside = {judged.verdict.end: {one.name: one for one in judged.verdict.beside} for judged in found}
    last = max(beside)
    week = beside[last][LAST_WEEK]
    assert (week.end, week.rows) == (last - 7 * DAY, 2_400)
    assert week.scores["country"]["js"] > 0
    assert beside[last - 2 * DAY][LAST_WEEK].detail == FORGOTTEN

    again = judgement(PREVIOUS, LAST_WEEK, size=24, step=24)
    for judged in found[:-1]:
        kept = Kept.of(judged.verdict)
        again.recall(f"1h|{kept.end:015d}", kept.body())
    again.restore(Ledger("m", 1, {"cursor": {"1h": {"end": found[-2].verdict.end}}}))
    again.observe([sketch(hour) for hour in hours[-8:]])
    (judged,) = due(again, 24 * 9)
    before, week = judged.verdict.beside
    assert before == beside[last][PREVIOUS]
    assert (week.detail, week.scores) == (FORGOTTEN, {})
    assert replace(judged.verdict, beside=()) == replace(found[-1].verdict, beside=())


def test_a_restart_that_lost_panes_of_the_previous_window_says_so() -> None:
    """A part of a window is not the window."""
    model = judgement(PREVIOUS)
    model.observe([sketch(hour) for hour in range(4)])
    found = due(model, 4)
    again = judgement(PREVIOUS)
    kept = Kept.of(found[0].verdict)
    again.recall(f"1h|{kept.end:015d}", kept.body())
    again.restore(Ledger("m", 1, {"cursor": {"1h": {"end": kept.end}}}))
    again.observe([sketch(hour) for hour in range(1, 4)])
    (judged,) = due(again, 4)
    assert judged.verdict.beside[0].detail == FORGOTTEN


def test_what_is_shown_beside_is_stored_whole_and_shrinks_with_its_verdict() -> None:
    """To the last bit; old records have none."""
    model = judgement(PREVIOUS)
    model.observe([sketch(hour) for hour in range(4)])
    verdict = due(model, 4)[-1].verdict
    assert verdict.beside[0].scores
    assert from_json(to_json(verdict)) == verdict
    assert Kept.of(verdict).bare().verdict().beside == ()
    old = {name: value for name, value in to_json(verdict).items() if name != "beside"}
    assert from_json(old).beside == ()


def test_another_reference_is_read_in_the_bins_of_the_model() -> None:
    """Exact where edges are the same; near where they are not; categories go by name, rare ones by hash."""
    same = rebinned(PAST, PAST)
    assert np.array_equal(same.counts, PAST.counts)
    rare = replace(OWN[1], tail=np.array(sorted([hash64("SE")]), np.uint64))
    mine = replace(PAST, features=(OWN[0], rare))
    theirs = [numeric_profile("age", 100), categorical_profile("country", ["FR", "SE", "XX"])]
    other = reference(
        theirs, draw(np.random.default_rng(2), [uniform(theirs[0]), zipf(theirs[1])], 40_000, 1)
    )
    found = rebinned(other, mine)
    slots = OWN[0].slots
    ages, countries = found.counts[:slots], found.counts[slots:]
    assert ages.sum() == countries.sum() == 40_000
    assert np.abs(np.cumsum(ages[FIRST_BIN:-1]) / 40_000 - np.arange(1, 257) / 256).max() < 0.01
    by_name = dict(zip(theirs[1].categories, other.counts[-3:].tolist(), strict=True))
    assert countries[FIRST_BIN + 1] == by_name["FR"]
    assert (countries[OTHER], countries[NOVEL]) == (by_name["SE"], by_name["XX"])


def test_features_that_the_other_lacks_have_no_scores() -> None:
    """Nothing is not no distance; a window without rows says so too."""
    model = plan(OWN)
    prepared = prepare(PAST, model, model.windows[0])
    now = window(OWN, draw(np.random.default_rng(3), CHANCES, 900, 1)[0])
    other = rebinned(reference([OWN[0]], PAST.counts[None, : OWN[0].slots]), PAST)
    found = compare(now, prepared, other, name="old")
    assert set(found.scores) >= {"age"}
    assert "country" not in found.scores
    nothing = compare(now, prepared, replace(other, rows=0), name="old")
    assert (nothing.detail, nothing.scores) == ("it has no rows", {})


def test_a_week_of_windows_is_bounded_in_bytes(monkeypatch) -> None:
    """The oldest go first; what is left is at most LIMIT."""
    model = replace(plan(OWN), beside={LAST_WEEK: ""})
    prepared = prepare(PAST, model, model.windows[0])
    judged = judgement(LAST_WEEK)
    besides = Besides(judged._panes.store, PAST.layout())
    monkeypatch.setattr("monitor.beside.LIMIT", 4_000)
    for at in range(50):
        besides.remember(window(OWN, PAST.counts, at=at), prepared, model)
    week = besides._weeks["1h"]
    assert 1 <= len(week) < 50
    assert sum(one.nbytes for one in week.values()) <= 4_000 < LIMIT
    assert max(week) == 50 * HOUR
    assert np.array_equal(
        week[50 * HOUR].counted().counts, counted(window(OWN, PAST.counts), prepared).counts
    )


def test_the_same_window_of_the_week_before_keeps_its_local_midnight() -> None:
    """Over a change of the clock a local week is an hour longer or shorter."""
    daily = WindowSpec("1d", DAY, DAY, "Europe/Berlin")
    end = next_end(daily, 1_743_400_000_000)  # after the last Sunday of March 2025
    assert end - week_before(daily, end) == 7 * DAY - HOUR
    hourly = WindowSpec("1h", HOUR, HOUR, "Europe/Berlin")
    assert week_before(hourly, end) == end - 7 * DAY
