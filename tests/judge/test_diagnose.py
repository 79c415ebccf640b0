"""What changed, where, since when."""

from __future__ import annotations

import functools
import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from monitor import diagnosed as boundary
from monitor import metrics
from monitor.diagnosed import compared, completed, diagnosed
from monitor.judge.diagnose import EXPLAINED, RANKED, diagnose
from monitor.judge.kind_text import LONGEST, number, percent
from monitor.judge.kinds import Kind
from monitor.judge.policy import judge
from monitor.judge.record import from_json, to_json
from monitor.names import Source
from monitor.plan import Shown
from monitor.verdict import State
from tests.judge import changes
from tests.judge.changes import draw, window, world


@functools.cache
def model():
    return world(rows=2_000, windows=40)


def found(change, *, seed=5, values=Shown.NAMES):
    """The diagnosis of a window whose columns `change` has altered, and what it says of the first feature."""
    own = model()
    rng = np.random.Generator(np.random.Philox(seed))
    columns = draw(rng, own.rows)
    change(columns, rng)
    made = window(own, columns)
    verdict = judge(made, own.prepared, own.plan, previous=())
    assert verdict.state is State.DRIFT
    return diagnose(made, verdict, own.prepared, values=values)


def first(change, **more):
    return found(change, **more)["features"][0]


def of(feature, function):
    """A change of one feature: `function(values, rng)`."""

    def change(columns, rng):
        columns[feature] = function(columns[feature], rng)

    return change


def some(values, rng, share, other):
    return np.where(rng.random(len(values)) < share, other, values)


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("missing", of("normal", lambda v, r: some(v, r, 0.42, np.nan)), ("missing, 0 % in the reference",)),
        ("missing", of("plan", lambda v, r: some(v, r, 0.42, None)), ("missing, 0 % in the reference",)),
        ("stuck", of("normal", lambda v, _: np.full(len(v), 17.25)), ("100 % are 17.2",)),
        ("stuck", of("normal", lambda v, r: some(v, r, 0.3, -1.0)), (" are -1, 0 % in the reference",)),
        ("stuck", of("plan", lambda v, _: np.full(len(v), "plan2", object)), ("100 % are plan2",)),
        ("scale", of("gamma", lambda v, _: v * 10), ("values x 10, mean 40 → 3", "(x 9.", "(x 10")),
        ("scale", of("gamma", lambda v, r: some(v, r, 0.2, v / 60)), ("values x 0.0167 in ", " of the rows")),
        ("scale", of("normal", lambda v, _: v * 1.8 + 32), ("values x 1.8 + 32, mean 50 → 122",)),
        ("scale", of("normal", lambda v, _: v * 1.3), ("values x 1.3",)),
        ("renamed", of("country", lambda v, _: np.where(v == "country0", "GB", v)), ("country0 → GB: ",)),
        ("novel", of("country", lambda v, r: some(v, r, 0.2, "XX")), ("the reference never saw", ": XX")),
        ("clipping", of("normal", lambda v, _: np.minimum(v, 60.0)), ("none above 60, ", " at the limit")),
        ("location", of("normal", lambda v, _: v + 4), (" standard deviations)",)),
        ("spread", of("normal", lambda v, _: 50 + (v - 50) * 2), ("standard deviation 7.98 → 15.8",)),
        ("shape", of("uniform", lambda v, _: 50 + 50 * np.sin((v - 50) / 32)), ("distribution has changed",)),
        ("non_finite", of("normal", lambda v, r: some(v, r, 0.2, np.inf)), ("no numbers",)),
    ],
)
def test_the_kind_of_change_is_named_with_its_figures(kind, change, words):
    """One change of one feature: its kind, and the numbers that say it."""
    cause = first(change)
    msgspec.msgpack.encode(cause)  # as verdicts are kept, which takes no numbers of numpy
    assert cause["kind"] == kind
    assert cause["share"] > 0.9
    assert any(word in cause["text"] for word in words), cause["text"]


def test_names_that_differ_in_case_alone_are_the_same():
    """All categories renamed at once are told apart by their spelling, where counts alone would be ambiguous."""
    cause = first(of("device", lambda v, _: np.array([x.upper() for x in v], object)))
    assert cause["kind"] == "renamed"
    pairs = {(pair["old"], pair["new"]) for pair in cause["figures"]["renamed"]}
    assert len(pairs) == 8
    assert all(old.upper() == new for old, new in pairs)


def test_two_things_that_happened_to_one_feature_are_both_said():
    """Half of the values are missing, and the rest are in another unit."""
    cause = first(of("gamma", lambda v, r: some(v * 1000, r, 0.5, np.nan)))
    assert cause["kind"] == "missing"
    assert [other["kind"] for other in cause["also"]] == ["scale"]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (Shown.NAMES, "country0 → GB"),
        (Shown.CODES, "category 1 → new value 1"),
        (Shown.NONE, "a category → a new value"),
    ],
)
def test_names_of_categories_are_shown_as_far_as_they_may_be(values, shown):
    """Neither text nor figures hold more than the setting allows."""
    cause = first(of("country", lambda v, _: np.where(v == "country0", "GB", v)), values=values)
    assert shown in cause["text"]
    assert ("GB" in json.dumps(cause)) == (values is Shown.NAMES)
    stuck = first(of("normal", lambda v, _: np.full(len(v), 17.25)), values=values)
    assert ("17.2" in stuck["text"], "value" in stuck["figures"]) == (values is Shown.NAMES,) * 2


def test_a_hostile_category_is_cut_and_cleaned():
    """What comes in records is neither long nor full of control characters in a text."""
    text = first(of("plan", lambda v, r: some(v, r, 0.3, "\x1b[2J" + "x" * 5_000)))["text"]
    assert "\x1b" not in text
    assert len(text) < 120 + LONGEST


def test_features_are_ranked_and_their_shares_are_of_all():
    """The largest excess first; what is not listed is counted in the shares."""

    def change(columns, _):
        columns["normal"] = columns["normal"] + 16
        columns["uniform"] = columns["uniform"] + 3

    said = found(change)
    named = [one["feature"] for one in said["features"]]
    assert named[:2] == ["normal", "uniform"]
    assert sum(one["share"] for one in said["features"]) == pytest.approx(1.0)
    assert said["features"][0]["share"] > 0.5
    assert said["more"] == 0


def test_only_so_many_features_are_explained():
    """A hundred named features are a hundred shares at most, and EXPLAINED kinds."""
    own = model()
    columns = draw(np.random.default_rng(3), own.rows)
    columns["normal"] += 16
    made = window(own, columns)
    verdict = judge(made, own.prepared, own.plan, previous=())
    test = verdict.tests[0]
    many = tuple(replace(test, feature=p.name) for p in own.reference.features) + tuple(
        replace(test, feature=own.reference.features[0].name) for _ in range(9)
    )
    said = diagnose(made, replace(verdict, tests=many), own.prepared)
    assert len(said["features"]) == len(own.reference.features) <= RANKED
    assert sum("kind" in one for one in said["features"]) == EXPLAINED


def test_a_verdict_with_its_diagnosis_survives_json():
    """Equal through text and back; a record of before reads as one without a diagnosis."""
    own = model()
    columns = draw(np.random.default_rng(3), own.rows)
    columns["country"] = np.where(columns["country"] == "country0", "GB", columns["country"])
    made = window(own, columns)
    verdict = diagnosed(judge(made, own.prepared, own.plan, previous=()), made, own.prepared, own.plan)
    assert verdict.diagnosis["commands"] == [
        "kcat -b BROKER -C -t t -p 0 -o 1000 -c 2000",
        "driftline replay -c CONFIG --source s --from 1970-02-11T16:00:00.000Z --to 1970-02-11T17:05:00.000Z",
    ]
    assert "GB" not in str(
        diagnosed(verdict, made, own.prepared, replace(own.plan, shown=Shown.NONE)).diagnosis
    )
    text = json.dumps(to_json(verdict), allow_nan=False)
    assert from_json(json.loads(text)) == verdict
    old = {name: value for name, value in json.loads(text).items() if name != "diagnosis"}
    assert from_json(old) == replace(verdict, diagnosis={})


def test_new_categories_are_no_new_names_of_what_they_took_rows_from():
    """Of three that take 10 % of all rows one may have as many as the most frequent category lost."""

    def new(values, rng):
        return some(values, rng, 0.1, rng.choice(np.array(["x", "y", "z"], object), len(values)))

    for seed in (100, 113, 119, 120):  # each of them was "renamed"
        assert first(of("country", new), seed=seed)["kind"] == "novel"


def test_errors_are_told_like_any_cause():
    """Their drift has no feature with bins, and a page and an incident read what they read of others."""
    own = model()
    made = replace(window(own, draw(np.random.default_rng(3), own.rows)), errors=own.rows // 2)
    verdict = judge(made, own.prepared, own.plan, previous=())
    assert verdict.state is State.DRIFT
    (one,) = diagnose(made, verdict, own.prepared)["features"]
    assert (one["kind"], one["title"]) == ("errors", "errors")
    assert one["text"] == "50 % errors, 0 % in the reference"


def test_commands_are_bounded_and_quoted():
    """Twenty partitions, whatever the topic; a name is one word of a shell."""
    offsets = {Source("t t", n): (n, n + 9) for n in range(30)}
    records = [
        {"topic": s.topic, "partition": s.partition, "first": a, "last": b} for s, (a, b) in offsets.items()
    ]
    said = {"records": records[:20], "since": {"start": 0, "end": 1}}
    lines = list(boundary.commands(said, replace(model().plan, source="a b")))
    assert len(lines) == 21
    assert lines[3] == "kcat -b BROKER -C -t 't t' -p 3 -o 3 -c 10"
    assert "--source 'a b'" in lines[-1]


def test_a_fault_in_it_never_costs_the_verdict(monkeypatch):
    """The verdict is what it was, and the fault is counted."""

    def broken(*_args, **_more):
        raise ZeroDivisionError

    own = model()
    columns = draw(np.random.default_rng(3), own.rows)
    columns["normal"] += 16
    made = window(own, columns)
    verdict = judge(made, own.prepared, own.plan, previous=())
    counter = metrics.INTERNAL_ERRORS_TOTAL.labels("diagnose")
    before = counter._value.get()
    monkeypatch.setattr(boundary, "diagnose", broken)
    assert diagnosed(verdict, made, own.prepared, own.plan) is verdict
    assert counter._value.get() == before + 1


def test_a_fault_in_what_is_shown_beside_it_never_costs_the_verdict(monkeypatch):
    """What other products would score, earlier windows and the date of a change are left out, and that is counted."""

    def broken(*_args, **_more):
        raise ZeroDivisionError

    own = model()
    made = window(own, draw(np.random.default_rng(3), own.rows))
    verdict = judge(made, own.prepared, own.plan, previous=())
    counter = metrics.INTERNAL_ERRORS_TOTAL.labels("show")
    before = counter._value.get()
    monkeypatch.setattr(boundary, "compat_scores", broken)
    assert completed(verdict, lambda one: compared(one, made, own.prepared, ("popmon",))) is verdict
    assert counter._value.get() == before + 1
    assert completed(verdict, lambda one: compared(one, made, own.prepared, ())) is verdict
    assert counter._value.get() == before + 1


def test_an_ordinary_window_has_none():
    """Only drift is explained."""
    own = model()
    made = window(own, draw(np.random.default_rng(3), own.rows))
    verdict = judge(made, own.prepared, own.plan, previous=())
    assert verdict.state is not State.DRIFT
    assert diagnosed(verdict, made, own.prepared, own.plan) is verdict


def test_numbers_are_short():
    """Three digits, without exponents where people write none."""
    assert [number(x) for x in (12.345, 0.00123, 1234.0, 123456.0, 1e9)] == [
        "12.3",
        "0.00123",
        "1234",
        "123456",
        "1e+09",
    ]
    assert [percent(x) for x in (0.42, 0.0314, 0.0012, 1.0, 0.0)] == [
        "42 %",
        "3.1 %",
        "0.12 %",
        "100 %",
        "0 %",
    ]
    assert percent(7e-7) == "< 0.01 %"


@pytest.mark.slow(25)
def test_kinds_are_named_right_at_the_size_that_is_just_detected():
    """A small part of `python -m bench.diagnosis`, which has the whole matrix."""
    chosen = [case for case in changes.cases() if case.feature in {"uniform", "country"}]
    matrix = changes.confusion(chosen, 12, tries=10)
    assert set(matrix.rows) == {
        "missing",
        "stuck",
        "scale",
        "clipping",
        "location",
        "spread",
        "shape",
        "novel",
        "renamed",
    }
    assert set(matrix.rows) < {str(kind) for kind in Kind}
    right = sum(row.said[kind] for kind, row in matrix.rows.items())
    assert right / sum(row.seeds for row in matrix.rows.values()) >= 0.9
    assert "| location |" in matrix.table()
