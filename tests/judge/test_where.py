"""The single condition that explains most of a drift, from sampled rows."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_ndtr

from kernels.layout import FIRST_BIN, MISSING
from monitor import diagnosed as boundary
from monitor.diagnosed import diagnosed
from monitor.judge import where as searching
from monitor.judge.condition import Literal
from monitor.judge.excess import PRIOR_MEAN, PRIOR_ROWS, Rows
from monitor.judge.frame import build_frame
from monitor.judge.located import located
from monitor.judge.policy import judge
from monitor.judge.prepare import prepare
from monitor.judge.record import from_json, to_json
from monitor.judge.where import FEWEST, LEVEL, where
from monitor.plan import Shown
from monitor.sample import Sample
from monitor.verdict import State
from tests.judge import places
from tests.judge.build import HOUR, categorical_profile, numeric_profile, plan, reference, window

X, CITY, AGE = numeric_profile("x", 20), categorical_profile("city", "abcde"), numeric_profile("age", 20)
OWN = [X, CITY, AGE]


@functools.cache
def world():
    return places.world()


def codes(rng, rows, *, city="", share=1.0):
    """uint16[rows, 3]; x is larger in a share of the rows of one city, or of all."""
    own = np.column_stack(
        [rng.integers(20, size=rows), rng.integers(5, size=rows), rng.integers(20, size=rows)]
    )
    inside = rng.random(rows) < share
    if city:
        inside &= own[:, 1] == "abcde".index(city)
    moved = inside & (rng.random(rows) < 0.6)
    own[moved, 0] = np.minimum(own[moved, 0] + 8, 19)
    return (own + FIRST_BIN).astype(np.uint16)


def counted(rows):
    return np.concatenate([np.bincount(rows[:, f], minlength=p.slots) for f, p in enumerate(OWN)])


def small(seed, *, rows=2_000, city="b", share=1.0):
    """Sampled rows of a window and its reference, which are all rows of both, and the frame."""
    rng = np.random.Generator(np.random.Philox(seed))
    before, now = codes(rng, 4_000, share=0.0), codes(rng, rows, city=city, share=share)
    return now, before, build_frame(reference(OWN, counted(before)[None, :]), plan(OWN))


def found(now, before, frame, named=("x",)):
    return where(now, before, frame, counted(now), named, rows=len(now))


def naive(now, before):
    """z of each city and of each interval of ages, from x alone: with loops over the rows, without a layout."""
    n, m = (np.bincount(rows[:, 0], minlength=X.slots)[FIRST_BIN:-1] + 0.5 for rows in (now, before))
    slots = 24  # coarse ones, of which four are empty
    weight = np.log(n / (len(now) + 0.5 * slots)) - np.log(m / (len(before) + 0.5 * slots))
    scores = [[weight[row[0] - FIRST_BIN] for row in rows] for rows in (now, before)]
    usual = float(np.mean(scores[1]))
    spread = [float(np.var(own)) for own in scores]

    def parts(feature, value):
        own = [
            np.array([s for s, row in zip(side, rows, strict=True) if row[feature] == value])
            for side, rows in zip(scores, (now, before), strict=True)
        ]
        mean = (own[1].sum() + PRIOR_MEAN * usual) / (len(own[1]) + PRIOR_MEAN)
        noise = [
            (((o - o.mean()) ** 2).sum() + PRIOR_ROWS * s) / (len(o) + PRIOR_ROWS)
            for o, s in zip(own, spread, strict=True)
        ]
        variance = noise[0] / len(own[0]) + noise[1] / (len(own[1]) + PRIOR_MEAN)
        return len(own[0]), own[0].mean() - mean, variance

    def z(inside, outside):
        sides = []
        for side in (inside, outside):
            total = sum(rows for rows, _, _ in side)
            sides.append(
                (sum(r * d for r, d, _ in side) / total, sum(r * r * v for r, _, v in side) / total**2)
            )
        (a, va), (b, vb) = sides
        return (a - b) / math.sqrt(va + vb)

    told = {}
    for feature, values in ((1, 5), (2, 20)):
        every = [parts(feature, value + FIRST_BIN) for value in range(values)]
        spans = [(a, b) for a in range(values) for b in range(a + 1, values + 1) if b - a < values]
        for a, b in spans if feature == 2 else [(a, a + 1) for a in range(values)]:
            slots = tuple(range(a + FIRST_BIN, b + FIRST_BIN))
            told[OWN[feature].name, slots] = z(every[a:b], every[:a] + every[b:])
    return told


def test_the_city_in_which_it_is_is_named_with_its_share() -> None:
    """One of five cities, all of the excess, a fifth of the rows."""
    now, before, frame = small(1)
    condition = found(now, before, frame).condition
    assert condition.literals == (Literal("city", (FIRST_BIN + 1,)),)
    assert condition.share > 0.85
    assert condition.rows == pytest.approx(np.mean(now[:, 1] == FIRST_BIN + 1))
    assert condition.before == pytest.approx(np.mean(before[:, 1] == FIRST_BIN + 1))
    assert (condition.p < 1e-9, condition.others) == (True, False)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_guiltiest_by_the_naive_twin(monkeypatch, seed) -> None:
    """Of all single cities and all ranges of ages: the same one, as many standard deviations away."""
    now, before, frame = small(seed, rows=600)
    tried = []
    differences = searching._Column._differences

    def seen(self, inside):
        z, *rest = differences(self, inside)
        tried.append((self._feature, z))
        return z, *rest

    monkeypatch.setattr(searching._Column, "_differences", seen)
    condition = found(now, before, frame).condition
    twin = naive(now, before)
    tries = {"city": 5, "age": 255}
    guiltiest = min(twin, key=lambda one: log_ndtr(-twin[one]) + math.log(tries[one[0]]))
    assert [(one.feature, one.slots) for one in condition.literals] == [guiltiest]
    own = next(z for feature, z in tried if feature == 1)
    assert max(own) == pytest.approx(twin[guiltiest], rel=1e-9)


@pytest.mark.parametrize("form", ["one value", "three values", "a range", "two columns"])
def test_conditions_of_every_form_are_named_among_twenty_columns(form) -> None:
    """PSI 0.25 inside the part, from 16,384 sampled rows: a value, a few, a range, and two columns together."""
    guilty, masses = places.FORMS[form]
    told = [
        places.said(world(), places.drifted(world(), seed, guilty(world(), masses[-1], seed), 16_384), 16_384)
        for seed in range(4)
    ]
    assert told.count("right") >= 3, told


def test_a_part_that_has_changed_much_is_named_without_a_second_column() -> None:
    """Inside it scores are spread widely: told from few rows of each of 40 columns' bins, some part of the part would seem guiltier."""
    profiles = [numeric_profile(f"n{i}", 20) for i in range(40)]
    for seed in range(3):
        rng = np.random.default_rng(seed)
        before, now = (rng.integers(FIRST_BIN, 23, (rows, 40)).astype(np.uint16) for rows in (8_000, 4_000))
        inside = now[:, 0] == 5
        now[inside, 1] = np.minimum(now[inside, 1] + 8, 22)
        own, theirs = (
            np.concatenate([np.bincount(rows[:, f], minlength=p.slots) for f, p in enumerate(profiles)])
            for rows in (now, before)
        )
        frame = build_frame(reference(profiles, theirs[None, :]), plan(profiles))
        condition = where(now, before, frame, own, ["n1"], rows=len(now)).condition
        assert condition.literals == (Literal("n0", (5,)),)


def test_a_drift_that_is_everywhere_yields_no_condition() -> None:
    """Neither a small one nor a large one, beyond the few in a hundred that chance is allowed."""
    cases = [
        places.drifted(world(), seed, (), 2_048, goal=goal) for goal in (1e-3, 0.25) for seed in range(12)
    ]
    told = [places.said(world(), case, 2_048) for case in cases]
    assert told.count("wrong") <= 2, told
    assert told[12:].count("everywhere") >= 11, told


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.05, 1.0]), st.integers(60, 1_500))
def test_chance_names_no_one_without_saying_so(seed, share, rows) -> None:
    """Whatever is named is beyond its level; p and shares are shares; nothing is named of fewer rows than FEWEST."""
    now, before, frame = small(seed, rows=rows, city="", share=share)
    result = found(now, before, frame)
    if result is None or result.condition is None:
        return
    own = result.condition
    assert 0.0 <= own.p <= math.exp(LEVEL)
    assert 0.5 <= own.share <= 1.0
    assert own.rows * rows >= FEWEST - 1e-9


def test_a_feature_does_not_say_where_its_own_change_is() -> None:
    """x explains x: nothing is named where there is no other column, though x has moved."""
    now, before, _ = small(3, city="", share=1.0)
    profiles = [X]
    frame = build_frame(
        reference(profiles, np.bincount(before[:, 0], minlength=X.slots)[None, :]), plan(profiles)
    )
    counts = np.bincount(now[:, 0], minlength=X.slots)
    alone = where(now[:, :1], before[:, :1], frame, counts, ["x"], rows=len(now))
    assert alone.condition is None
    assert not alone.is_everywhere


def test_a_copy_of_a_drifting_feature_does_not_explain_it() -> None:
    """Two features that moved together everywhere: given one the other is as it was, so it is everywhere."""
    now, before, _ = small(4, rows=8_000, city="", share=1.0)
    twins = [X, CITY, replace(X, name="x again")]
    now, before = (np.column_stack([rows[:, :2], rows[:, 0]]) for rows in (now, before))
    counts = [
        np.concatenate([np.bincount(r[:, f], minlength=p.slots) for f, p in enumerate(twins)])
        for r in (now, before)
    ]
    frame = build_frame(reference(twins, counts[1][None, :]), plan(twins))
    result = where(now, before, frame, counts[0], ["x", "x again"], rows=len(now))
    assert result.condition is None
    assert not result.is_everywhere


def imputed(name):
    """Rows of which x is missing, anywhere, and that are given values from the middle of another column, `name`."""
    rng = np.random.default_rng(8)
    before, now = codes(rng, 8_000, share=0.0), codes(rng, 8_000, share=0.0)
    lost = rng.random(len(now)) < 0.3
    now[lost, 0], now[lost, 2] = MISSING, FIRST_BIN + rng.integers(8, 12, size=int(lost.sum()))
    own = [X, CITY, replace(AGE, name=name)]
    frame = build_frame(reference(own, counted(before)[None, :]), plan(own))
    return functools.partial(where, now, before, frame, counted(now), rows=len(now))


def test_what_a_model_makes_of_a_change_does_not_say_where_it_is() -> None:
    """Nor does the input say where the prediction's change is, which comes of it; unless that has changed most."""
    for named in (["x"], ["x", "prediction"]):
        assert imputed("prediction")(named=named).condition is None
    assert imputed("income")(named=["x"]).condition.literals[0].feature == "income"
    own = imputed("prediction")(named=["prediction", "x"]).condition
    assert (own.literals, own.others) == ((Literal("x", (MISSING,)),), True)


def test_a_change_of_mix_is_neither_in_a_part_nor_everywhere() -> None:
    """x is larger in one city, as ever, and more rows are of it: within each city nothing has changed."""
    before, now = (codes(np.random.default_rng(seed), 20_000, city="b") for seed in (1, 2))
    now = now[(now[:, 1] == FIRST_BIN + 1) | (np.arange(len(now)) % 3 == 0)]
    frame = build_frame(reference(OWN, counted(before)[None, :]), plan(OWN))
    for named in (["x", "city"], ["x"]):
        result = where(now, before, frame, counted(now), named, rows=len(now))
        assert result.condition is None
        assert not result.is_everywhere


def test_rows_that_come_in_clusters_count_for_less() -> None:
    """With a design effect of 50 the same rows prove nothing; few of many rows are hardly clustered."""
    now, before, frame = small(5, rows=400)
    clustered = replace(frame, design=np.full(3, 50.0))
    assert found(now, before, frame).condition is not None
    assert found(now, before, clustered).condition is None
    assert where(now, before, clustered, counted(now), ["x"], rows=10**6).condition is not None


def test_few_rows_that_carry_much_are_held_against_their_own_chance() -> None:
    """The root of a sum of rare scores is far below its z; that of ordinary ones is about as large."""
    rng = np.random.default_rng(1)
    plain, rare = rng.normal(size=50_000), (rng.random(50_000) < 0.001).astype(float)
    plain, rare = plain - plain.mean(), rare - rare.mean()
    count = 50
    plainly, rarely = (
        searching._root(scores, 5.0 * math.sqrt(scores.var() / count)) * math.sqrt(count)
        for scores in (plain, rare)
    )
    assert plainly == pytest.approx(5.0, abs=0.2)
    assert rarely < 2.5
    assert searching._root(np.array([-1.0, 1.0]), 2.0) == pytest.approx(math.sqrt(2 * math.log(2)))


def test_nothing_is_said_without_rows_or_a_change() -> None:
    """None: no sampled rows, no feature that is known, or one whose counts are as they were."""
    now, before, frame = small(6)
    assert found(now, before, frame, named=("latency",)) is None
    assert where(now[:10], before, frame, counted(now), ["x"], rows=len(now)) is None
    assert where(before, before, frame, counted(before), ["x"], rows=len(before)) is None
    few = found(*small(7, rows=60, city="", share=0.5)[:2], frame)
    assert few is None or few.condition is None


@pytest.mark.parametrize("z", [0.0, 3.0, 29.9, 30.1])
def test_the_tail_of_the_normal_distribution(z) -> None:
    """Continuous where the formula changes."""
    assert searching._log_tail(z) == pytest.approx(log_ndtr(-z), rel=2e-3)


def drift(values=Shown.NAMES, **more):
    """A window whose x has moved in one city, its verdict, and what is drawn of its rows."""
    now, before, _ = small(8, rows=3_000)
    rng = np.random.Generator(np.random.Philox(9))
    panes = np.stack([counted(codes(rng, 3_000, share=0.0)) for _ in range(40)])
    own = plan(OWN, shown=values, **more)
    prepared = prepare(replace(reference(OWN, panes), sample=before), own, own.windows[0])
    made = window(OWN, counted(now))
    verdict = judge(made, prepared, own, previous=())
    assert verdict.state is State.DRIFT
    hashes = np.arange(len(now), dtype=np.uint64)
    return verdict, made, prepared, own, Sample(hashes, now)


def test_a_drift_verdict_says_where_and_survives_json() -> None:
    """Beside the features, as plain numbers; nothing without a sample."""
    verdict, made, prepared, own, sample = drift()
    said = diagnosed(verdict, made, prepared, own, sampled=lambda: sample)
    place = said.diagnosis["where"]
    assert place["text"].startswith("city = b: ")
    assert place["features"] == ["city"]
    assert place["sampled"] == 3_000
    assert from_json(to_json(said)) == said
    assert "where" not in diagnosed(verdict, made, prepared, own).diagnosis


@pytest.mark.parametrize("values", [Shown.CODES, Shown.NONE])
def test_a_private_model_says_no_value(values) -> None:
    """Text and figures: the number of a category, or only the column."""
    verdict, made, prepared, own, sample = drift(values)
    place = diagnosed(verdict, made, prepared, own, sampled=lambda: sample).diagnosis["where"]
    words = "city = category 2: " if values is Shown.CODES else "some values of city: "
    assert place["text"].startswith(words)
    assert "= b" not in str(place)


def test_a_reference_without_rows_says_nothing() -> None:
    """There is nothing to compare with."""
    verdict, made, prepared, _, sample = drift()
    none = replace(prepared, sample=prepared.sample[:0])
    assert located(verdict, made, none, sample=sample, values=Shown.NAMES) == {}
    assert located(verdict, made, prepared, sample=sample, values=Shown.NAMES)


def test_weights_stand_for_rows() -> None:
    """A row of weight 2 is two rows to every mean; ones are as none."""
    now, before, frame = small(10)
    plain, ones = (
        where(now, before, frame, counted(now), ["x"], rows=len(now), weights=weights)
        for weights in (None, np.ones(len(before)))
    )
    assert ones == plain
    rows = [Rows(now, own, counted(now), frame, [0], w).scored(1) for own, w in (
        (np.repeat(before, 2, axis=0), None), (before, np.full(len(before), 2.0))
    )]  # fmt: skip
    twice, weighted = (own.table(1, 8) for own in rows)
    np.testing.assert_allclose(weighted.before, twice.before)
    np.testing.assert_allclose(weighted.lift, twice.lift, atol=1e-3)
    assert (
        weighted.noise[FIRST_BIN:] > twice.noise[FIRST_BIN:]
    ).all()  # two rows say more than one that counts twice


def seasoned(seed, hour, rows=6_000, *, city=""):
    """Rows of one hour of the day: at night x is larger in city d, which is ordinary."""
    rng = np.random.Generator(np.random.Philox([seed, hour]))
    own = codes(rng, rows, city=city, share=1.0 if city else 0.0)
    night = (own[:, 1] == FIRST_BIN + 3) & (hour < 6)
    own[night, 0] = np.minimum(own[night, 0] + 9, FIRST_BIN + 19)
    return own


@pytest.mark.parametrize(("city", "said"), [("b", ["city"]), ("", None)])
def test_a_reference_read_by_season_is_compared_with_its_own_seasons(city, said) -> None:
    """A change at night in one city is found there, though another is always different at night; one that is everywhere is
    not laid on that one, as it would be beside rows of all hours."""
    hours = [h for _ in range(4) for h in range(24)]
    every = [seasoned(at, hour) for at, hour in enumerate(hours)]
    panes = np.stack([counted(rows) for rows in every])
    kept = np.concatenate([rows[:600] for rows in every])
    whole = replace(reference(OWN, panes), sample=kept, sampled=np.full(len(hours), 600))
    own = plan(OWN, season="hour_of_day")
    prepared = prepare(whole, own, own.windows[0])
    now = seasoned(1_000, 2, city=city)
    if not city:
        moved = np.random.default_rng(3).random(len(now)) < 0.3
        now[moved, 0] = np.minimum(now[moved, 0] + 5, FIRST_BIN + 19)
    groups = prepared.seasons.calendar.rows_of({2 * HOUR: len(now)})
    made = replace(window(OWN, counted(now)), seasons=groups)
    verdict = judge(made, prepared, own, previous=())
    assert verdict.state is State.DRIFT
    sample = Sample(np.arange(len(now), dtype=np.uint64), now)
    place = located(verdict, made, prepared, sample=sample, values=Shown.NAMES)
    assert place.get("features") == said
    if not city:
        assert place["text"] == "everywhere"
        blind = replace(prepared, sample_groups=np.full(len(kept), int(groups.argmax())))
        assert located(verdict, made, blind, sample=sample, values=Shown.NAMES)["features"] == ["city"]


def test_a_fault_of_the_search_costs_the_diagnosis_and_not_the_verdict(monkeypatch) -> None:
    """As any other of a diagnosis."""
    verdict, made, prepared, own, sample = drift()
    monkeypatch.setattr(boundary, "located", lambda *_args, **_more: 1 / 0)
    assert diagnosed(verdict, made, prepared, own, sampled=lambda: sample) is verdict
