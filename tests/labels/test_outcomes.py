"""Pairs are a function of both logs: not of batches, crashes, checkpoints, partitions or who was read first."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.layout import CATEGORICAL, FIRST_BIN, NUMERIC, Layout
from monitor.columns import Batch
from monitor.config.labelled import Labels, label_plan
from monitor.intake.decode import Decoder
from monitor.joinable import RowsDamaged, unpack
from monitor.labels.outcomes import Outcomes, cohort_span
from monitor.names import Source
from monitor.partition import Model, Partition
from monitor.plan import Budget, FeaturePlan, JoinPlan, Kind, ModelPlan, SegmentPlan, SourcePlan, WindowSpec
from monitor.state.codec import decode_sketch, encode
from monitor.state.log import Checkpoint

MINUTE = 60_000
START = 1_760_000_100_000
WAIT = 10 * MINUTE
PLAN = ModelPlan(
    name="m", source="s", rules=(), pane=MINUTE, budget=Budget(2, 30 * 86_400_000), config="c", lateness=MINUTE,
    windows=(WindowSpec("5m", 5 * MINUTE, 5 * MINUTE),),
    features=(FeaturePlan("prediction", ("score",), Kind.NUMERIC),),
    segments=(SegmentPlan("k", ("k",), values=("a", "b")),),
    join=JoinPlan("labels", "score", WAIT, b"8 bytes!", ("1", "true"), 0.5, 1.0),
)  # fmt: skip
LABELS = label_plan(PLAN, Labels(source="labels", path=("label",)))
PREDICTIONS = SourcePlan(name="s", topic="p", id=("id",), version=("v",), models=("m",), bound=10_000)
OUTCOMES = SourcePlan(name="labels", topic="l", id=("ref", "id"), models=("m",), bound=10_000)


def layout_of(plan):
    """Slots of a model without a reference, as the daemon makes them."""
    (feature,) = plan.features
    numeric = feature.kind is Kind.NUMERIC
    slots = 5 if numeric else FIRST_BIN + len(feature.categories)
    return Layout(
        kind=np.array([NUMERIC if numeric else CATEGORICAL], np.int8), column=np.zeros(1, np.int32),
        start=np.array([0, slots], np.int32), edges=np.array([0.0, 1.0] if numeric else []),
        edge_start=np.array([0, 2] if numeric else [0], np.int32), center=np.zeros(int(numeric)),
        scale=np.ones(int(numeric)),
    )  # fmt: skip


def logs(seed, count=60):
    """Two partitions of predictions and two of labels: [(source, [(time, record)])]."""
    rng = np.random.default_rng(seed)
    predictions, labels = ([[], []] for _ in range(2))
    for number in range(count):
        at = START + number * 15 * MINUTE // count + int(rng.integers(0, 5_000))
        own = int(rng.integers(0, count))  # some ids are predicted twice, some never
        record = {
            "id": own,
            "score": round(float(rng.random()), 3),
            "v": str(rng.integers(1, 3)),
            "k": "abc"[own % 3],
        }
        if rng.random() < 0.05:
            del record["id"]
        predictions[int(rng.integers(0, 2))].append((at, record))
    for number in range(count):
        at = START - 2 * MINUTE + number * 30 * MINUTE // count
        label = [0, 1, True, None, "no"][rng.integers(0, 5)]
        labels[number % 2].append((at, {"ref": {"id": str(number % count)}, "label": label}))
    return [
        (Source(topic, p), log)
        for topic, both in (("p", predictions), ("l", labels))
        for p, log in enumerate(both)
    ]


def batch_of(source, log, low, high):
    rows = log[low:high]
    none = [None] * len(rows)
    return Batch(
        source, [json.dumps(record).encode() for _, record in rows], none, none, np.arange(low, low + len(rows)),
        np.array([at for at, _ in rows], np.int64),
    )  # fmt: skip


def sketches_of(source, log, cuts, *, crash=False):
    """What a partition makes durable at each cut; after each it dies where `crash`, and folds ten records in vain."""
    plan, intake = (PLAN, PREDICTIONS) if source.topic == "p" else (LABELS, OUTCOMES)
    decoder, model = Decoder(intake, {"m": plan}, {}), Model(plan, layout_of(plan))
    partition, held, found = Partition(source, intake, {"m": model}, position=0), {}, []
    for high in cuts:
        low = partition.position
        batch = batch_of(source, log, low, high)
        scanned = decoder.scan(batch)
        partition.fold(batch, scanned.columns, scanned.rejects)
        sketches, marker = partition.checkpoint()
        partition.confirm(marker)
        stored = [decode_sketch(encode(sketch)) for sketch in sketches]
        found.append(stored)
        held |= {sketch.key: sketch for sketch in stored}
        if crash:
            partition = Partition(source, intake, {"m": model}, position=0)
            live = [sketch for key, sketch in held.items() if key.pane >= marker.live["m"]]
            partition.restore(Checkpoint(marker, tuple(live)))
    return found


def sums(outcomes):
    cohorts = range(START // (5 * MINUTE) * 5 * MINUTE, START + 20 * MINUTE, 5 * MINUTE)
    segments = ["", *outcomes.segments()]
    return np.array(
        [outcomes.sums(at, at + 5 * MINUTE, {"champion"}, segment) for at in cohorts for segment in segments]
    )


def whole(seed):
    outcomes = Outcomes(PLAN)
    for source, log in logs(seed):
        for sketches in sketches_of(source, log, [len(log)]):
            for sketch in sketches:
                outcomes.observe(sketch)
    return sums(outcomes)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**20), st.data())
def test_pairs_are_a_function_of_the_logs(seed, data):
    """Checkpoints anywhere, crashes after each, sketches of four partitions in any order, some of them twice."""
    want, streams = whole(seed), []
    for source, log in logs(seed):
        cuts = sorted(set(data.draw(st.lists(st.integers(1, len(log)), max_size=4))) | {len(log)})
        streams.append(sketches_of(source, log, cuts, crash=data.draw(st.booleans())))
    outcomes = Outcomes(PLAN)
    turns = list(itertools.chain.from_iterable([at] * len(stream) for at, stream in enumerate(streams)))
    done = [0] * len(streams)
    for at in data.draw(st.permutations(turns)):
        for sketch in streams[at][done[at]]:
            outcomes.observe(sketch)
            if data.draw(st.booleans()):
                outcomes.observe(sketch)
        done[at] += 1
    np.testing.assert_array_equal(sums(outcomes), want)
    assert want[:, -1].sum() > 0


def test_every_interleaving_of_two_short_logs():
    """Three predictions and four labels, checkpoint after each record: all 35 orders give the same sums."""
    streams = []
    for source, log in (logs(5)[0], logs(5)[2]):
        short = log[: 3 if source.topic == "p" else 4]
        streams.append(sketches_of(source, short, range(1, len(short) + 1)))
    found = set()
    for order in set(itertools.permutations([0] * 3 + [1] * 4)):
        outcomes, left = Outcomes(PLAN), [iter(stream) for stream in streams]
        for at in order:
            for sketch in next(left[at]):
                outcomes.observe(sketch)
        found.add(sums(outcomes).tobytes())
    assert len(found) == 1


def test_rows_of_another_configuration_are_left_out():
    """Counted with other classes, their numbers mean something else."""
    source, log = logs(1)[0]
    outcomes = Outcomes(replace(PLAN, join=replace(PLAN.join, digest=b"changed!")))
    for sketch in sketches_of(source, log, [len(log)])[0]:
        outcomes.observe(sketch)
    assert outcomes.join.used == 0


def test_what_no_window_needs_is_forgotten():
    """Predictions of older cohorts, labels that are older still, and the sums of both."""
    outcomes = Outcomes(PLAN)
    stored = [
        sketch for source, log in logs(2) for part in sketches_of(source, log, [len(log)]) for sketch in part
    ]
    for sketch in stored:
        outcomes.observe(sketch)
    before = outcomes.join.used
    outcomes.forget(START + 10 * MINUTE)
    assert 0 < outcomes.join.used < before
    assert not sums(outcomes)[: 2 * 5].any()
    assert sums(outcomes).any()
    for sketch in stored:  # as they come once more after a restart
        outcomes.observe(sketch)
    assert not sums(outcomes)[: 2 * 5].any()


@pytest.mark.parametrize(
    "data", [b"\x01", b"\x03\x00" + bytes(8), b"\x01\x00" + bytes(8) + b"x", b"\x02\x01" + bytes(8)]
)
def test_damaged_rows_are_refused(data):
    """Stored bytes are untrusted: they go into kernels that check no bounds."""
    with pytest.raises(RowsDamaged):
        unpack(data)


def test_cohorts_fit_into_all_windows():
    """Also into days of a time zone that is half an hour off."""
    windows = (
        WindowSpec("1h", 60 * MINUTE, 20 * MINUTE),
        WindowSpec("d", 1440 * MINUTE, 1440 * MINUTE, "Asia/Kolkata"),
    )
    assert cohort_span(replace(PLAN, windows=windows[:1])) == 20 * MINUTE
    assert cohort_span(replace(PLAN, windows=windows)) == 5 * MINUTE


def logs_of(*records):
    """The logs of two partitions, predictions and labels: [(topic, time, id, what)] in their order."""
    found = {topic: [] for topic in "pl"}
    for topic, at, own, value in records:
        body = {"id": own, "score": value} if topic == "p" else {"ref": {"id": own}, "label": value}
        found[topic].append((at, body))
    return [(Source(topic, 0), log) for topic, log in found.items()]


def test_an_id_of_two_cohorts_is_counted_in_the_later_one_when_the_earlier_is_forgotten():
    """Whether the second prediction came before that or after, or everything is read anew behind it."""
    later = START + 5 * MINUTE
    both = logs_of(
        ("p", START, "a", 0.9), ("p", later, "a", 0.2), ("l", later + 1, "a", 1), ("l", START, "b", 1)
    )
    for order in itertools.permutations(range(3)):
        outcomes = Outcomes(PLAN)
        streams = [sketches_of(*both[0], [1, 2]), sketches_of(*both[1], [2])]
        parts = [streams[0][0], streams[0][1], streams[1][0]]
        for at in order:
            for sketch in parts[at]:
                outcomes.observe(sketch)
        first = [int(outcomes.sums(at, at + 5 * MINUTE, {"champion"})[-2]) for at in (START, later)]
        assert first == [1, 0]
        outcomes.forget(later)
        for sketch in itertools.chain(*parts):
            outcomes.observe(sketch)
        sums = outcomes.sums(later, later + 5 * MINUTE, {"champion"})
        assert (int(sums[-2]), int(sums[-1])) == (1, 1)
    restarted = Outcomes(PLAN)
    restarted.forget(later)
    for sketch in itertools.chain(*parts):
        restarted.observe(sketch)
    np.testing.assert_array_equal(restarted.sums(later, later + 5 * MINUTE, {"champion"}), sums)


def test_what_comes_for_forgotten_cohorts_is_noticed():
    """Predictions, and labels that are in time for them; not labels that are late."""
    both = logs_of(("p", START, "a", 0.9), ("l", START + MINUTE, "a", 1), ("l", START + 60 * MINUTE, "a", 1))
    predicted, labelled = (sketches_of(*log, range(1, len(log[1]) + 1)) for log in both)
    for parts, is_missed in (((predicted[0],), True), ((labelled[0],), True), ((), False)):
        outcomes = Outcomes(PLAN)
        outcomes.forget(START + 10 * MINUTE)
        for sketch in itertools.chain(*parts):
            outcomes.observe(sketch)
        assert outcomes.missed is is_missed


def test_labels_of_nobody_are_let_go():
    """As soon as no prediction can come that they are of, also while there are no predictions at all; labels behind
    their time are counted apart."""
    log = [("l", START + n * MINUTE, f"nobody-{n}", 1) for n in range(30)]
    outcomes = Outcomes(PLAN)
    for sketch in sketches_of(*logs_of(*log)[1], [30])[0]:
        outcomes.observe(sketch)
    assert outcomes.join.unpredicted == 30
    outcomes.forget(START, passed=START + 25 * MINUTE)
    assert outcomes.join.unpredicted == 30 - 15
    assert outcomes.join.unknown == 15


def test_windows_are_left_one_after_the_other_and_swept_once(monkeypatch):
    """A life that begins with hundreds of windows reads its table once, not for each of them; figures are the same."""
    stored = [
        sketch for source, log in logs(2) for part in sketches_of(source, log, [len(log)]) for sketch in part
    ]
    swept, one_by_one, at_once = [], Outcomes(PLAN), Outcomes(PLAN)
    for outcomes in (one_by_one, at_once):
        for sketch in stored:
            outcomes.observe(sketch)
    sweep = at_once.join.sweep
    monkeypatch.setattr(at_once.join, "sweep", lambda **named: (swept.append(1), sweep(**named)))
    for before in range(START, START + 15 * MINUTE, 5 * MINUTE):
        one_by_one.forget(before, passed=before)
        at_once.leave(before)
        np.testing.assert_array_equal(sums(at_once), sums(one_by_one))
    at_once.sweep(passed=before)
    at_once.sweep(passed=before)
    assert len(swept) == 1
    np.testing.assert_array_equal(sums(at_once), sums(one_by_one))
    assert (at_once.join.used, at_once.join.labels) == (one_by_one.join.used, one_by_one.join.labels)
