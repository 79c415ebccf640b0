"""Labels that stand in the records of the predictions: the same figures, without a second topic and without an id."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from kernels.layout import CATEGORICAL, FIRST_BIN, NUMERIC, Layout
from monitor.columns import Batch
from monitor.intake.decode import Decoder
from monitor.joinable import COUNTED, RowsDamaged, check, pack_sums
from monitor.labelled import Labelled
from monitor.labels.versions import recorded
from monitor.names import Source
from monitor.partition import Model, Partition
from monitor.plan import FeaturePlan, JoinPlan, Kind, SourcePlan
from monitor.state.codec import decode_sketch, encode
from monitor.state.log import Checkpoint, Ledger
from monitor.window.completeness import Patience
from tests.labels.hourly import heard_until
from tests.labels.rows import naive_binary, naive_multiclass
from tests.labels.test_outcomes import MINUTE, PLAN, START

END = START + 5 * MINUTE
SOURCE = SourcePlan(name="s", topic="p", version=("v",), models=("m",), bound=10_000)


def plan_of(kind):
    feature = FeaturePlan("prediction", ("score",), Kind.CATEGORICAL if kind == "class" else Kind.NUMERIC)
    classes = {"score": ("1", "true"), "class": ("a", "b"), "number": ()}[kind]
    join = JoinPlan("", kind, 0, b"8 bytes!", classes, 0.5, 1.0, path=("truth", "label"))
    return replace(PLAN, features=(feature,), join=join, min_records=5)


def layout_of(plan):
    numeric = plan.features[0].kind is Kind.NUMERIC
    slots = 5 if numeric else FIRST_BIN
    return Layout(
        kind=np.array([NUMERIC if numeric else CATEGORICAL], np.int8), column=np.zeros(1, np.int32),
        start=np.array([0, slots], np.int32), edges=np.array([0.0, 1.0] if numeric else []),
        edge_start=np.array([0, 2] if numeric else [0], np.int32), center=np.zeros(int(numeric)),
        scale=np.ones(int(numeric)),
    )  # fmt: skip


def log_of(kind, rows=400):
    """A window of predictions: labels of every kind, null, missing and of the wrong type among them."""
    rng, found = np.random.default_rng(3), []
    for row in range(rows):
        score = round(float(rng.random()), 3) if kind != "class" else "abc"[rng.integers(0, 3)]
        label = {
            "score": [0, 1, True, False, "1"], "class": ["a", "b", "c", "a", "b"], "number": [0.5, 1, 0, 0.25, 0.75],
        }[kind][rng.integers(0, 5)]  # fmt: skip
        record = {"score": score, "v": str(row % 2), "k": "abc"[row % 3], "truth": {"label": label}}
        if row % 10 == 0:
            record["truth"] = [{}, {"label": None}][row % 20 == 0]
        found.append((START + row * 5 * MINUTE // rows, record))
    return found


def sketches_of(plan, log, cuts, *, crash=False):
    """What is durable in the end, of checkpoints at each cut; the partition dies after each where `crash`."""
    source = Source("p", 0)
    decoder, model = Decoder(SOURCE, {"m": plan}, {}), Model(plan, layout_of(plan))
    partition, held = Partition(source, SOURCE, {"m": model}, position=0), {}
    for high in cuts:
        rows, low = log[partition.position : high], partition.position
        none = [None] * len(rows)
        batch = Batch(
            source, [json.dumps(record).encode() for _, record in rows], none, none,
            np.arange(low, high), np.array([at for at, _ in rows], np.int64),
        )  # fmt: skip
        scanned = decoder.scan(batch)
        assert not scanned.rejects
        partition.fold(batch, scanned.columns, scanned.rejects)
        sketches, marker = partition.checkpoint()
        partition.confirm(marker)
        held |= {sketch.key: decode_sketch(encode(sketch)) for sketch in sketches}
        if crash:
            partition = Partition(source, SOURCE, {"m": model}, position=0)
            partition.restore(
                Checkpoint(marker, tuple(s for key, s in held.items() if key.pane >= marker.live["m"]))
            )
    return list(held.values())


def measured(plan, sketches, entries=None):
    labelled = Labelled(plan, patience=Patience())
    if entries:
        labelled.restore(Ledger("m", 0, entries))
    labelled.observe(sketches)
    return labelled, list(due(labelled))


def due(labelled):
    for one in labelled.due(dict, judged={"5m": END}, heard=heard_until(END), now=END):
        labelled.accept(one)
        yield one


def naive(kind, rows):
    known = [r for r in rows if r["truth"].get("label") is not None]
    if kind == "number":
        return {"mae": float(np.mean([abs(r["score"] - r["truth"]["label"]) for r in known]))}
    if kind == "class":
        number = {"a": 0, "b": 1, "c": 2}
        return naive_multiclass(
            np.array([number[r["score"]] for r in known]),
            np.array([number[r["truth"]["label"]] for r in known]),
            2,
        )
    is_one = np.array([r["truth"]["label"] in (1, True, "1") for r in known]).astype(int)
    figures = naive_binary(np.array([r["score"] for r in known]), is_one, 0.5)
    return {name: value for name, value in figures.items() if name != "auc"}  # by bins


@pytest.mark.parametrize("kind", ["score", "class", "number"])
def test_figures_are_those_of_a_recount(kind):
    """Of the whole and of each segment, measured as soon as the window is judged, over any checkpoints and crashes."""
    plan, log = plan_of(kind), log_of(kind)
    stored = sketches_of(plan, log, [len(log)])
    _, (one,) = measured(plan, stored)
    for segment in ("", "k=a", "k=b", "k=other"):
        of = {"": "abc", "k=a": "a", "k=b": "b", "k=other": "c"}[segment]
        rows = [record for _, record in log if record["k"] in of]
        scores = one.verdict.scores[segment]
        assert scores["labels"] == sum(r["truth"].get("label") is not None for r in rows)
        for name, value in naive(kind, rows).items():
            assert scores[name] == pytest.approx(value, abs=2e-5), (segment, name)
    assert one.verdict.rows == len(log)
    assert one.verdict.versions == {"0": 200, "1": 200}
    for version, scores in recorded(one.verdict).items():
        own = [record for _, record in log if record["v"] == version]
        assert scores["labels"] == sum(r["truth"].get("label") is not None for r in own)
        for name, value in naive(kind, own).items():
            assert scores[name] == pytest.approx(value, abs=2e-5), (version, name)
    assert len(recorded(one.verdict)) == 2
    for cuts in ([1, 7, 250, 399, 400], [200, 400]):
        for crash in (False, True):
            parts = sketches_of(plan, log, cuts, crash=crash)
            _, (again,) = measured(plan, parts)
            assert again.verdict.scores == one.verdict.scores
            assert recorded(again.verdict) == recorded(one.verdict)


def test_a_row_that_comes_later_revises():
    """As late corrections do of verdicts."""
    plan, log = plan_of("score"), log_of("score")
    labelled, (one,) = measured(plan, sketches_of(plan, log, [len(log) - 1]))
    whole = sketches_of(plan, log, [len(log)])
    labelled.observe(whole)
    assert labelled.begin_anew(0)
    labelled.observe(whole)
    (revised,) = due(labelled)
    assert (one.verdict.rows, revised.verdict.rows, revised.verdict.revision) == (399, 400, 1)
    assert labelled.shown()["bytes"] == 0  # it is forgotten once more


def test_damaged_sums_are_refused():
    """Stored bytes are untrusted."""
    join = plan_of("score").join
    good = pack_sums(np.arange(9), join)
    check(good)
    for bad in (
        good[:-1],
        good[:9],
        bytes([COUNTED, 0]) + bytes(8) + (2**31 - 1).to_bytes(4, "little") + bytes(8),
    ):
        with pytest.raises(RowsDamaged):
            check(bad)
    assert pack_sums(np.zeros(9, np.int64), join) == b""
