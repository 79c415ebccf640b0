"""Since when there has been a change: likelihood ratios, and the pane that they tell."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import product
from math import prod
from types import SimpleNamespace

import numpy as np
import pytest

from kernels.layout import FIRST_BIN, NOVEL
from monitor.judge.early import WIDTH, Ball
from monitor.judge.onset import Evidence, contributions, likeliest, onset
from monitor.judge.prepare import Prepared, prepare
from monitor.reference.build import build
from monitor.reference.table import Table
from monitor.verdict import Window
from tests.judge.build import (
    CHANCES,
    HOUR,
    OWN,
    categorical_profile,
    draw,
    plan,
    reference,
    window,
    zipf,
)
from tests.judge.changes import cases, counted, world
from tests.judge.onsets import dated

SHARES = {0: 0.1, 2: 0.2, 3: 0.3, 4: 0.15, 5: 0.25}
"""Missing, below, above, and two groups."""


@cache
def prepared() -> Prepared:
    own = draw(np.random.default_rng(1), CHANCES, 400, 40)
    model = plan(OWN)
    return prepare(reference(OWN, own, pane=HOUR), model, model.windows[0])


def panes(*parts, seed=2) -> list[Window]:
    """Of (chances, rows a pane, panes) after each other."""
    rng = np.random.default_rng(seed)
    return [
        window(OWN, counts) for chances, rows, count in parts for counts in draw(rng, chances, rows, count)
    ]


def dated_by(own: Prepared, seen: list[Window], features: Iterable[str], *, before: int = 0) -> int | None:
    return onset(seen, own.slots, own.frame, features, before=before)


@pytest.mark.parametrize("numeric", [True, False])
def test_contributions_are_likelihood_ratios(numeric) -> None:
    """Their mean is 1 over all that rows of a large reference may be, however the alternatives are made."""
    shares = np.zeros((1, WIDTH))
    shares[0, list(SHARES)] = list(SHARES.values())
    ball = Ball(shares, shares > 0, np.ones(1), np.full(1, 1e7), np.zeros(1))
    total = 0.0
    for rows in product(SHARES, repeat=4):
        counts = np.bincount(rows, minlength=WIDTH)[None, None, :]
        ratio = np.exp(contributions(Evidence(counts), ball, np.array([numeric]))[0, 0])
        total += ratio * prod(SHARES[slot] for slot in rows)
    assert total == pytest.approx(1.0, abs=1e-4)


def test_rows_of_a_cluster_count_as_fewer() -> None:
    """Ten times as many with a design effect of ten say the same."""
    shares = np.zeros((1, WIDTH))
    shares[0, list(SHARES)] = list(SHARES.values())
    counts = np.zeros((3, 1, WIDTH), np.int64)
    counts[:, 0, list(SHARES)] = np.random.default_rng(3).poisson(4.0, (3, 5))
    found = [
        contributions(
            Evidence(counts * times),
            Ball(shares, shares > 0, np.full(1, times), np.ones(1), np.zeros(1)),
            np.array([True]),
        )
        for times in (1.0, 10.0)
    ]
    np.testing.assert_allclose(*found)


def test_a_change_is_dated_in_its_pane() -> None:
    """In 24 panes, whichever it began in; rows that did not change say nothing of it."""
    moved = [CHANCES[0].copy(), CHANCES[1]]
    moved[0][3:20] *= 4
    moved[0] /= moved[0].sum()
    for began in (0, 5, 23):
        own = panes((CHANCES, 300, began), (moved, 300, 24 - began))
        assert dated_by(prepared(), own, {"age"}) == began
        assert dated_by(prepared(), own, ()) is None
    assert dated_by(prepared(), [window(OWN, np.zeros_like(own[0].counts))], {"age"}) is None
    assert dated_by(prepared(), [], {"age"}) is None


@pytest.mark.parametrize("rows", [1_000, 4_000, 40_000])
@pytest.mark.parametrize("size", [0.1, 0.25])
def test_a_small_reference_is_not_taken_for_what_was_usual(rows, size) -> None:
    """Panes of 800 rows each, with up to 38 times the rows of the reference: that all of them differ from it by its own noise is
    no change. Held against it alone, most were dated from the first pane on."""
    rng = np.random.default_rng([rows, int(100 * size)])
    past = reference(OWN, draw(rng, CHANCES, rows // 40, 40), pane=HOUR)
    own = prepare(past, plan(OWN), plan(OWN).windows[0])
    moved = [CHANCES[0].copy(), CHANCES[1]]
    values = moved[0][FIRST_BIN:-1]
    values *= np.exp(size * np.linspace(-1.7, 1.7, len(values)))
    moved[0] /= moved[0].sum()
    for began in (26, 33, 45):
        counts = np.concatenate([draw(rng, CHANCES, 800, began), draw(rng, moved, 800, 48 - began)])
        at = dated_by(own, [window(OWN, one) for one in counts], ["age"], before=24)
        assert at is not None
        assert abs(at - began) <= 1, (at, began)


@pytest.mark.parametrize(("began", "ended"), [(0, 30), (10, 30), (12, 18)])
def test_the_end_of_a_change_is_not_its_beginning(began, ended) -> None:
    """A reference of 1,000 rows and panes of 800: most rows before the end are of the change, and yet what comes after it is what
    is usual. Without a second look the end was named."""
    rng = np.random.default_rng([began, ended])
    own = prepare(reference(OWN, draw(rng, CHANCES, 25, 40), pane=HOUR), plan(OWN), plan(OWN).windows[0])
    moved = [CHANCES[0].copy(), CHANCES[1]]
    moved[0][FIRST_BIN:-1] *= np.exp(np.linspace(-1.0, 1.0, len(moved[0]) - FIRST_BIN - 1))
    moved[0] /= moved[0].sum()
    parts = ((CHANCES, began), (moved, ended - began), (CHANCES, 48 - ended))
    counts = np.concatenate([draw(rng, chances, 800, panes) for chances, panes in parts if panes])
    at = dated_by(own, [window(OWN, one) for one in counts], ["age"], before=24)
    assert at is not None
    assert abs(at - began) <= 1


@pytest.mark.parametrize(
    "change",
    [
        lambda v, _: v + 0.3,
        lambda v, _: 1.1 * v,
        lambda v, rng: v + rng.random(v.shape),
        lambda v, _: 0.4536 * v,
    ],
)
def test_whole_numbers_that_become_fractions_are_dated(change) -> None:
    """Bins that had nothing have much: too far from what was for a quadratic of the likelihood, which named the first pane."""
    rng = np.random.default_rng(12)
    past = build(Table({"x": rng.geometric(0.5, 100_000).astype(float)}, events=np.arange(100_000) * HOUR // 2_500),
                 model="m", name="r", pane=HOUR)  # fmt: skip
    own = prepare(past, plan(past.features), plan(past.features).windows[0])
    for began in (26, 34, 42):
        values = rng.geometric(0.5, (48, 83)).astype(float)
        values[began:] = change(values[began:], rng)
        cells, _ = counted(
            SimpleNamespace(prepared=own, reference=past), {"x": values.ravel()}, np.arange(48).repeat(83), 48
        )
        seen = [window(past.features, one) for one in cells.counts]
        at = dated_by(own, seen, ["x"], before=24)
        assert at is not None
        assert abs(at - began) <= 1


def test_a_feature_without_slots_says_nothing() -> None:
    """No pane is dated otherwise, or not at all, for records that have no latency anywhere."""
    rng = np.random.default_rng(13)
    own = [window(OWN, one) for one in draw(rng, [CHANCES[0][::-1].copy(), CHANCES[1]], 300, 12)]
    assert dated_by(prepared(), own, ["age", "latency"]) == dated_by(prepared(), own, ["age"]) == 0


def test_a_pane_before_the_window_is_less_likely(monkeypatch) -> None:
    """It was judged too, and was no drift: the less it is taken for, the sooner another one is named."""
    found = []
    lost = [(1 - 0.06) * CHANCES[0], CHANCES[1]]
    lost[0][0] += 0.06
    own = panes((CHANCES, 60, 9), (lost, 60, 15))
    for weight in (1.0, 0.5, 1e-300):
        monkeypatch.setattr("monitor.judge.onset.BEFORE", weight)
        found.append(dated_by(prepared(), own, {"age"}, before=14))
    assert found == sorted(found)
    assert found[0] < 12 <= 13 <= found[-1]


def test_a_few_values_in_one_slot_are_dated() -> None:
    """Missing in a few rows more of each pane: what may be anything takes longer to tell."""
    lost = [(1 - 0.06) * CHANCES[0], CHANCES[1]]
    lost[0][0] += 0.06
    own = panes((CHANCES, 60, 12), (lost, 60, 12))
    at = dated_by(prepared(), own, {"age"})
    assert at is not None
    assert abs(at - 12) <= 1


@pytest.mark.parametrize("seed", range(4))
def test_novel_categories_are_dated_beside_many_small_ones(seed) -> None:
    """2 in 100 that nobody has seen: among all categories that have no slot of their own they would not be seen."""
    own = [categorical_profile("city", [f"k{i}" for i in range(60)])]
    usual = zipf(own[0], power=0.3)
    changed = 0.98 * usual
    changed[NOVEL] += 0.02
    rng, model = np.random.default_rng(seed), plan(own)
    past = prepare(reference(own, draw(rng, [usual], 2_000, 60)), model, model.windows[0])
    counts = np.concatenate([draw(rng, [usual], 80, 36), draw(rng, [changed], 80, 12)])
    at = dated_by(past, [window(own, one) for one in counts], ["city"], before=24)
    assert at is not None
    assert abs(at - 36) <= 2


def test_what_is_sought_is_near_most_of_the_likelihood() -> None:
    """Not the likeliest pane alone, but one that stands out is hit; at the ends too, and of one pane."""
    assert likeliest(np.log([0.01, 0.3, 0.05, 0.2, 0.24, 0.2])) == 4
    assert likeliest(np.array([0.0, 50.0, 0.0, 0.0])) == 1
    assert likeliest(np.array([50.0, 0.0, 0.0])) == 0
    assert likeliest(np.array([0.0, 0.0, 50.0])) == 2
    assert likeliest(np.array([-3.0])) == 0


@pytest.mark.slow
def test_changes_that_are_just_found_are_dated() -> None:
    """As `bench.diagnosis` measures it of 200 each: a few of one case."""
    case = next(one for one in cases() if (one.kind, one.feature) == ("location", "normal"))
    found = dated(world(), [case], 8, tries=8)
    assert (len(found.off), found.lost) == (8, ())
    assert np.mean(np.abs(found.off) <= 1) >= 0.5
