from __future__ import annotations

import sys

import numpy as np
import pytest

from bench import detection
from bench.detecting import alarms, ours, peers, rows
from bench.peers import process


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch) -> None:
    """Nothing that was measured before is believed."""
    monkeypatch.setenv("DRIFTLINE_CACHE", str(tmp_path / "cache"))


def psi(kind: rows.Change) -> float:
    """Of many rows, over 20 equal groups or the categories, missing values among them."""
    rng = np.random.default_rng(1)
    before = rows._rows(rng, 400_000)[kind.feature]
    after = kind.apply(before.copy(), rng)[rows.RAMP :]
    edges = np.quantile(before[~np.isnan(before)], np.linspace(0, 1, 21))
    if kind.feature >= rows.NUMERIC:
        edges = np.arange(rows.CATEGORIES + 1) - 0.5
    shares = []
    for values in (before, after):
        counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
        shares.append(np.append(counts, np.isnan(values).sum()) / len(values))
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


@pytest.mark.parametrize("kind", rows.CHANGES, ids=lambda kind: kind.name)
def test_every_kind_of_change_is_of_the_size_that_the_page_says(kind) -> None:
    """PSI 0.1, and four times that where it comes to twice the shift."""
    goal = 0.4 if kind.name == "gradual location" else 0.1
    assert psi(kind) == pytest.approx(goal, rel=0.1)


def test_a_shape_has_the_mean_and_the_variance_of_before() -> None:
    """Nothing that only knows these two could see it."""
    kind = next(change for change in rows.CHANGES if change.name == "shape")
    rng = np.random.default_rng(1)
    after = kind.apply(rng.normal(size=400_000), rng)
    assert (after.mean(), after.var()) == pytest.approx((0.0, 1.0), abs=0.01)


def test_one_feature_changes_from_the_onset_on_and_nothing_else() -> None:
    """Every kind meets the same rows."""
    one, other = (rows.changed(3, rows.CHANGES[at]) for at in (0, 1))
    begin = rows.onset(3)
    assert np.array_equal(one[1:], other[1:], equal_nan=True)
    assert np.array_equal(one[0, :begin], other[0, :begin], equal_nan=True)
    assert not np.array_equal(one[0, begin:], other[0, begin:], equal_nan=True)
    assert begin >= rows.LEAD * rows.EVERY


def test_what_always_alarms_has_as_many_false_alarms_as_windows() -> None:
    """An alarm that never ends is not one false alarm."""
    assert alarms.episodes(np.ones(5 * rows.LEAD, np.bool_)) == 5
    assert alarms.episodes(np.arange(3 * rows.LEAD) == 1) == 1


def test_limits_allow_as_many_false_alarms_as_they_were_chosen_for() -> None:
    """In the months that they were chosen by, and about as many in others."""
    rng = np.random.default_rng(1)
    months = [rng.normal(size=(3, rows.FEATURES, 120)) for _ in range(120)]
    limits = alarms.calibrated(months[:60], 2.0)
    told = [alarms.episodes(limits.alarms(one, range(rows.FEATURES)).any(axis=0)) for one in months]
    assert 1.8 <= np.mean(told[:60]) <= 2.0
    assert np.mean(told[60:]) == pytest.approx(2.0, abs=0.7)


def test_limits_are_those_of_the_feature_and_of_missing_values() -> None:
    """A number, a category, and either of them by its missing values."""
    limits = alarms.Limits(number=1.0, category=2.0, missing=3.0)
    scores = np.array([[[1.5], [1.5], [0.0]], [[0.0], [0.0], [3.5]], [[0.0], [0.0], [0.0]]])
    assert limits.alarms(scores, [0, rows.NUMERIC, 1])[:, 0].tolist() == [True, False, True]


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A peer whose score is the mean of the window's values; it counts what it was asked."""
    folder = tmp_path / "peers" / "toy"
    folder.mkdir(parents=True)
    (folder.parent / "common").symlink_to(process.HERE / "common")
    monkeypatch.setattr(process, "HERE", folder.parent)
    monkeypatch.setattr(process, "ensure", lambda name, smoke: sys.executable)
    (folder / "detect.py").write_text(
        "import numpy as np\nfrom looks import present, scored\nfrom serve import serve\n"
        "def load(reference, numeric, categorical): assert np.load(reference).shape[0] == 20\n"
        "def score(path, out, columns, looks, window, every):\n"
        "    scored(path, out, columns=columns, looks=looks, window=window, every=every,\n"
        "           score=lambda feature, rows: (present(rows).mean(), np.isnan(rows).mean(), False))\n"
        "serve(['numpy'], load=load, score=score)\n"
    )
    with process.Peer("toy", program="detect.py") as peer:
        yield peer


def test_a_peer_is_asked_once_and_its_delay_is_counted_from_the_change_on(toy, tmp_path) -> None:
    """A shift by far more than the limit is seen in the first look behind it; what was scored is kept."""
    arm, scorer = peers.Arm("toy", "mean", "mean", 100), peers.Scorer(toy, tmp_path)
    huge = rows.Change("huge", 0, lambda values, _: values + 1e6)
    none = rows.Change("none", 0, lambda values, _: values)
    limits = alarms.Limits(number=10.0, category=10.0, missing=1.0)
    begin = rows.onset(1)
    assert scorer.delay(arm, 1, huge, limits) == -begin % rows.EVERY or rows.EVERY
    assert scorer.delay(arm, 1, none, limits) == rows.WATCHED * rows.EVERY - begin % rows.EVERY
    month = scorer.month(arm, 1, 3)
    assert month.shape == (3, rows.FEATURES, 3)
    wanted = np.nanmean(rows.calm(1, rows.LEAD + 3)[5, rows.LEAD * rows.EVERY :][: rows.EVERY])
    assert month[alarms.DRIFT, 5, 0] == pytest.approx(wanted, abs=1e-5)
    toy.stop()
    assert np.array_equal(scorer.month(arm, 1, 3), month)


@pytest.mark.slow
def test_ours_notices_what_changed_and_only_that(tmp_path, monkeypatch) -> None:
    """The judge as it is configured: an enormous shift is named at the first look behind it."""
    huge = rows.Change("huge", 2, lambda values, _: values + 3.0)
    monkeypatch.setattr(rows, "CHANGES", (huge,))
    judge = ours.Judge(1, tmp_path)
    found = judge.delays()
    assert found.shape == (1, len(ours.WAYS))
    assert found[0, 0] == -rows.onset(1) % rows.EVERY or rows.EVERY
    assert judge.month(3).shape == (len(ours.WAYS), 3)


def test_products_are_met_in_the_way_that_is_best_for_them() -> None:
    """The goals are of one way of ours; what a product could do by another way is said beside."""

    def told(product, name, delay):
        return detection.Told(product, name, [2, 2], {kind.name: [delay, delay] for kind in rows.CHANGES})

    found = detection.shown([told("driftline", "a", 100)], [told("p", "a", 200), told("p", "b", 100)])
    goals = [one for one in found if one["goal"]]
    assert len(goals) == len(rows.CHANGES) + 1
    assert {one["against"] for one in goals} == {"p: b"}
    assert {one["ratio"] for one in goals} == {1.0}
