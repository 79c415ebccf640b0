"""Labels that come before their predictions are bounded, and which of them count is a function of the logs alone."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.join import OVER
from monitor.labelled import ANEW_EVERY, KIND, Labelled
from monitor.labels.brief import NOT_HELD, is_brief, quota
from monitor.labels.outcomes import Outcomes
from monitor.names import Source
from monitor.novel import hash64
from monitor.plan import WindowSpec
from monitor.state.log import Ledger
from monitor.web.figures import performance
from monitor.window.completeness import Patience
from tests.labels.hourly import heard_until
from tests.labels.test_outcomes import MINUTE, PLAN, START, sketches_of

SPAN = 5 * MINUTE
COHORTS = range(START, START + 25 * MINUTE, SPAN)


def bounded(most):
    return replace(PLAN, segments=(), min_records=1, join=replace(PLAN.join, most_early=most))


SMALL = bounded(110)
"""Ten of a minute and partition: eleven minutes are held."""


def logs(seed, *, nobody=0):
    """Predictions of a quarter of an hour and labels up to eight minutes before or behind them, on two partitions each, and
    labels of nobody: {source: [(time, record)]}, each in the order of time."""
    rng = random.Random(seed)
    found = {Source(topic, p): [] for topic in "pl" for p in range(2)}
    for number in range(90):
        at = START + rng.randrange(15 * MINUTE)
        again = at + 6 * MINUTE if rng.random() < 0.2 else None
        for time in (at, again):
            if time is not None:
                record = {"id": number, "score": round(rng.random(), 3), "v": "1"}
                found[Source("p", rng.randrange(2))].append((time, record))
        for _ in range(rng.choice((0, 1, 1, 2))):
            sent = at + rng.choice((-8, -5, -3, -1, 0, 1, 8)) * MINUTE + rng.randrange(30_000)
            label = {"ref": {"id": str(number)}, "label": rng.randrange(2)}
            found[Source("l", rng.randrange(2))].append((sent, label))
    for number in range(nobody):
        label = {"ref": {"id": f"nobody-{number}"}, "label": 1}
        found[Source("l", number % 2)].append((START + rng.randrange(10 * MINUTE), label))
    return {source: sorted(log, key=lambda one: one[0]) for source, log in found.items()}


def twin(found, plan):
    """(predictions, pairs) of each cohort, from the rows alone: whether a label is brief by its place in its pane."""
    first = {}
    for source, log in found.items():
        for at, record in log if source.topic == "p" else ():
            own = str(record["id"])
            first[own] = min(first.get(own, OVER), at // SPAN * SPAN)
    labels = {}
    for source, log in found.items():
        place = Counter()
        for at, record in log if source.topic == "l" else ():
            own, pane = record["ref"]["id"], at // MINUTE
            level = place[pane] // (quota(plan) // 2)
            place[pane] += 1
            is_held = level == 0 or hash64(own) >> (64 - min(level, 63)) == 0
            labels.setdefault(own, []).append((at, is_held))
    pairs = Counter(
        cohort
        for own, cohort in first.items()
        if any(is_held or at >= cohort - plan.lateness for at, is_held in labels.get(own, ()))
    )
    predictions = Counter(first.values())
    return [(predictions[cohort], pairs[cohort]) for cohort in COHORTS]


def counts(outcomes):
    rows = [outcomes.sums(at, at + SPAN, {"champion"}) for at in COHORTS]
    return [(int(row[-2]), int(row[-1])) for row in rows]


def stored(found, cuts=3):
    """Per source what is durable after each of some checkpoints, and the time of the record that comes next."""
    streams = {}
    for source, log in found.items():
        ends = sorted({len(log) * (cut + 1) // cuts for cut in range(cuts)})
        after = [log[end][0] if end < len(log) else START + 60 * MINUTE for end in ends]
        streams[source] = list(zip(sketches_of(source, log, ends), after, strict=True))
    return streams


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0, 60, 400]), st.data())
def test_which_labels_count_depends_on_the_logs_alone(seed, nobody, data):
    """In any interleaving, let go of at any moment, and after a takeover that reads everything again."""
    found = logs(seed, nobody=nobody)
    streams, want = stored(found), twin(found, SMALL)
    done, outcomes = dict.fromkeys(streams, 0), Outcomes(SMALL)
    turns = [source for source, parts in streams.items() for _ in parts]
    for source in data.draw(st.permutations(turns)):
        for sketch in streams[source][done[source]][0]:
            outcomes.observe(sketch)
        done[source] += 1
        final = _final(streams, done)
        if final > 0 and data.draw(st.booleans()):
            outcomes.relieve(passed=final)
        if data.draw(st.integers(0, 9)) == 0 or outcomes.whole < OVER:
            assert not outcomes.missed
            _same_before(outcomes.whole, outcomes, streams, done)
            outcomes = _taken(streams, done)
    assert not outcomes.missed
    assert counts(outcomes) == want
    assert sum(pairs for _, pairs in want)


def _final(streams, done):
    """What the predictions have passed, which is known once all of their partitions have been read."""
    partitions = [(done[source], parts) for source, parts in streams.items() if source.topic == "p"]
    return min((parts[at - 1][1] if at else -1) for at, parts in partitions) - PLAN.lateness


def _taken(streams, done):
    """Another life, with predictions first, as `Labelled.observe` has them."""
    outcomes = Outcomes(SMALL)
    for source, parts in sorted(streams.items(), key=lambda one: one[0].topic, reverse=True):
        newest = {}
        for sketches, _ in parts[: done[source]]:
            newest |= {sketch.key: sketch for sketch in sketches}
        for sketch in newest.values():
            outcomes.observe(sketch)
    return outcomes


def _same_before(whole, outcomes, streams, done):
    other = _taken(streams, done)
    for at in COHORTS:
        if at + SPAN <= whole:
            one, two = (each.sums(at, at + SPAN, {"champion"}) for each in (outcomes, other))
            np.testing.assert_array_equal(one, two)


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 40), st.lists(st.integers(0, 300), max_size=6))
def test_rows_are_brief_by_their_place(most, sizes):
    """However they are cut; the first half of those that may be held never is."""
    ids = np.random.default_rng(most).integers(1, 2**64 - 1, sum(sizes), np.uint64)
    whole = is_brief(ids, 0, most)
    ends = np.cumsum(sizes, dtype=int)
    parts = [
        is_brief(part, int(end) - len(part), most)
        for part, end in zip(np.split(ids, ends)[:-1], ends, strict=True)
    ]
    assert np.concatenate([np.zeros(0, bool), *parts]).tolist() == whole.tolist()
    assert not whole[: most // 2].any()
    for at in range(most // 2, len(ids)):
        assert whole[at] == (int(ids[at]) >> (64 - min(at // (most // 2), 63)) != 0)


def test_as_many_are_held_as_may_be():
    """Of a hundred times as many."""
    ids = np.random.default_rng(3).integers(1, 2**64 - 1, 100_000, np.uint64)
    assert 850 < np.count_nonzero(~is_brief(ids, 0, 1_000)) < 1_150


def test_a_flood_of_labels_of_nobody_takes_no_more_than_may_be():
    """While predictions go on, a fifth of the last ten minutes is held; while they rest, what is ahead of them is put off
    and what went before stands."""
    plan = replace(bounded(1_100), windows=(WindowSpec("1m", MINUTE, MINUTE),))
    log = [(START + n * 120, {"ref": {"id": f"nobody-{n}"}, "label": 1}) for n in range(20_000)]
    outcomes, most = Outcomes(plan), 0
    for at, sketches in enumerate(sketches_of(Source("l", 0), log, range(100, len(log) + 1, 100))):
        for sketch in sketches:
            outcomes.observe(sketch)
        outcomes.relieve(passed=START + at * 12_000)
        most = max(most, outcomes.join.unpredicted)
    assert outcomes.whole == OVER
    assert most < 4 * 1_100
    assert outcomes.waiting()["early"] > 13_000
    resting = Outcomes(plan)
    for sketches in sketches_of(Source("l", 0), log, range(100, len(log) + 1, 100)):
        for sketch in sketches:
            resting.observe(sketch)
        resting.relieve(passed=START)
        most = max(most, resting.join.unpredicted)
    assert resting.whole == START
    assert resting.waiting()["early"] < 1_100, "what is put off is not let go"
    assert most < 4 * 1_100


def measured(plan, found, order, *, crashes=(), relieved=True):
    """The windows that are measured when checkpoints come in an order; a life ends before the steps `crashes`."""
    streams, done, entries, now = stored(found), dict.fromkeys(found, 0), {}, 0

    def life():
        one = Labelled(plan, patience=Patience())
        one.restore(Ledger("m", 0, entries))
        return one

    def newest():
        held = {}
        for source, parts in streams.items():
            for sketches, _ in parts[: done[source]]:
                held |= {sketch.key: sketch for sketch in sketches}
        return list(held.values())

    labelled = life()
    for step, source in enumerate([*order, None]):
        if source is not None:
            done[source] += 1
        if step in crashes:
            labelled = life()
            labelled.observe(newest())
        elif source is not None:
            labelled.observe(streams[source][done[source] - 1][0])
        for _ in range(1 if source is not None else 30):
            now += ANEW_EVERY
            if labelled.begin_anew(now):
                labelled.observe(newest())
            final = _final(streams, done) + PLAN.lateness
            mark = START + 90 * MINUTE if source is None else -1
            judged = (final - PLAN.lateness) // SPAN * SPAN if final > 0 else -1
            for one in labelled.due(
                dict, judged={"5m": judged}, heard=heard_until(mark), now=now, passed=final
            ):
                for entry in labelled.entries(one):
                    if entry.body is not None:
                        entries.setdefault(entry.kind, {})[entry.id] = entry.body
                labelled.accept(one)
    return {
        name: (body["rows"], body["scores"], body["outcomes"], body["detail"])
        for name, body in entries[KIND].items()
    }


@pytest.mark.parametrize("seed", range(8))
def test_windows_are_the_same_whoever_read_them_when(seed):
    """Labels far ahead of the predictions are put off, lives end, and everything is read again: the same records."""
    rng = random.Random(seed)
    found = logs(seed, nobody=500)
    turns = [source for source in found for _ in range(3)]
    labels_first = sorted(turns, key=lambda source: source.topic)
    want = measured(SMALL, found, sorted(turns, key=lambda source: source.topic, reverse=True))
    assert any(NOT_HELD in outcomes for _, _, outcomes, _ in want.values())
    assert measured(SMALL, found, labels_first) == want
    for _ in range(3):
        rng.shuffle(turns)
        crashes = {step for step in range(len(turns)) if rng.random() < 0.3}
        assert measured(SMALL, found, turns, crashes=crashes) == want


def test_a_window_says_that_it_may_lack_labels():
    """In its record, in the API and in words; not where all of its predictions have one, nor one that is before."""
    found = {Source("p", 0): [], Source("l", 0): []}
    for number in range(100):
        at = START + 10 * MINUTE + number * 100
        found[Source("p", 0)].append((at, {"id": number, "score": 0.9, "v": "1"}))
        found[Source("l", 0)].append((at - 4 * MINUTE, {"ref": {"id": str(number)}, "label": 1}))
    found[Source("p", 0)][:0] = [(START, {"id": "x", "score": 0.9, "v": "1"})]
    found[Source("p", 0)].append((START + 40 * MINUTE, {"id": "y", "score": 0.9, "v": "1"}))
    labelled = Labelled(SMALL, patience=Patience())
    for source, log in found.items():
        labelled.observe(sketches_of(source, log, [len(log)])[0])
    windows = [
        one.verdict
        for one in labelled.due(dict, judged={"5m": START + 15 * MINUTE}, heard=heard_until(START + 60 * MINUTE), now=0)
        if not labelled.accept(one)
    ]  # fmt: skip
    first, _, last = windows
    held = 100 - last.outcomes[NOT_HELD]
    assert 5 <= held <= 20
    assert last.scores[""]["labels"] == held
    assert "labels were not held until predictions came" in last.detail
    assert "labels.max_early" in last.detail
    assert performance(last)[NOT_HELD] == 100 - held
    assert performance(first)[NOT_HELD] == 0
    assert "held" not in first.detail
