"""A model whose one feature is an embedding, from its records to its verdicts."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from monitor.plan import Kind
from monitor.reference.build import build
from monitor.reference.file import write
from monitor.reference.table import FeatureDeclaration, Table
from tests.daemon.ask import get
from tests.daemon.build import MODEL, PANE, PARTITIONS, START, WINDOW, Sent, await_done, verdicts

LENGTH, ROWS, PAST = 24, 60, 80
VOTING = {"budget": "200 per 30d", "detectors": ["mmd", "mean_shift"], "tolerance": None}


def vectors(window, partition, *, drifting=False):
    """Those of a drifting window keep every mean and deviation: half of them change sign together."""
    rng = np.random.default_rng((window + 1_000, partition))
    found = rng.normal(size=(ROWS, LENGTH))
    if drifting:
        found = np.abs(found) * rng.choice([-1.0, 1.0], (ROWS, 1))
    return [None if rng.random() < 0.05 else np.round(row, 4).tolist() for row in found]


def rows_of(window, partition, *, drifting=False):
    step = WINDOW // ROWS
    return [
        {"id": f"{window}-{partition}-{row}", "ts": START + window * WINDOW + row * step, "model": MODEL,
         "features": {"e": vector}}
        for row, vector in enumerate(vectors(window, partition, drifting=drifting))
    ]  # fmt: skip


def make_reference():
    rows = [
        row
        for window in range(-PAST, 0)
        for partition in range(PARTITIONS)
        for row in rows_of(window, partition)
    ]
    column = np.empty(len(rows), object)
    column[:] = [row["features"]["e"] for row in rows]
    declared = (FeatureDeclaration("e", ("features", "e"), Kind.VECTOR),)
    events = np.array([row["ts"] for row in rows], np.int64)
    return build(Table({"e": column}, events=events), model=MODEL, name="r", features=declared, pane=PANE)


def stream(windows, *, drifting=()):
    return [
        Sent(partition, json.dumps(row).encode(), row["ts"])
        for window in windows
        for partition in range(PARTITIONS)
        for row in rows_of(window, partition, drifting=window in drifting)
    ]


def ready(make, name, **model):
    scene = make(name)
    write(make_reference(), scene.folder / "scores.ref")
    scene.configure(models={MODEL: model})
    return scene


def command(*arguments):
    """The exit status and stdout of one driftline command."""
    done = subprocess.run(
        [sys.executable, "-m", "monitor", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout


def plain(bodies):
    """By end of the window; revisions are the living's alone."""
    return {body["end"]: json.loads(json.dumps({**body, "revision": 0})) for body in bodies}


@pytest.mark.slow
def test_an_embedding_that_drifts_is_seen_over_a_restart(make):
    """The windows that moved are drift by their distance, in the API too. A daemon that stopped in the middle and a
    replay of the whole log say the same to the last digit, and `check` takes the model."""
    sent = stream(range(8), drifting=(4, 5))
    scene = ready(make, "scene", **VOTING)
    for low, high in ((0, len(sent) // 2 + 31), (len(sent) // 2 + 31, len(sent))):
        scene.send(sent[low:high])
        with scene.daemon() as daemon:
            await_done(daemon, high)
            found = plain(verdicts(daemon).values())
            _, body = get(f"{daemon.server.url}/api/v1/models/{MODEL}/verdicts")
            shown = [
                get(f"{daemon.server.url}{path}") for path in ("/", "/metrics", f"/api/v1/models/{MODEL}")
            ]
    drifting = [body["state"] == "drift" for _, body in sorted(found.items())]
    assert drifting == [False] * 4 + [True] * 2 + [False] * 2
    drift = found[START + 5 * WINDOW]
    assert (drift["tests"][0]["feature"], drift["tests"][0]["test"]) == ("e", "mmd")
    assert drift["scores"]["e"]["mmd"] > 3 * drift["scores"]["e"]["mmd_noise"]
    assert 0 < drift["scores"]["e"]["missing_ratio"] < 0.1
    assert "mmd_noise" in body
    assert [status for status, _ in shown] == [200, 200, 200]
    assert f'driftline_feature_mmd{{model="{MODEL}",feature="e",window="5m"}}' in shown[1][1]
    code, out = command("replay", "-c", str(scene.config), "--output", "json")
    assert code == 0
    assert plain(json.loads(out)["verdicts"]) == found
    code, out = command("check", "--no-network", "-c", str(scene.config))
    assert code == 0, out


def test_without_detectors_scores_are_shown_and_do_not_vote(make):
    """The same drift is in the scores of a window that is ok."""
    sent = stream(range(3), drifting=(1,))
    scene = ready(make, "shown", budget="200 per 30d", tolerance=None)
    scene.send(sent)
    with scene.daemon() as daemon:
        await_done(daemon, len(sent))
        found = [body for _, body in sorted(verdicts(daemon).items())]
    assert [body["state"] for body in found] == ["ok"] * 3
    assert found[1]["scores"]["e"]["mmd"] > 3 * found[0]["scores"]["e"]["mmd"]


def test_without_a_reference_vectors_are_counted_and_nothing_is_said_of_them(make):
    """The model is unknown; its sketches hold presence and moments, ready for a reference to come."""
    sent = stream(range(2))
    scene = make("bare")
    feature = {"path": "features.e", "kind": "vector", "length": LENGTH, "nullable": False}
    scene.configure(models={MODEL: {"reference": None, "features": {"e": feature}, "tolerance": None}})
    scene.send(sent)
    with scene.daemon() as daemon:
        await_done(daemon, len(sent))
        found = [body for _, body in sorted(verdicts(daemon).items())]
        sketches = [one for one in daemon.state.changes([MODEL], 0)[1] if one.rows]
    assert [(body["state"], body["reason"]) for body in found] == [("unknown", "no_reference")] * 2
    missing = sum(json.loads(one.value)["features"]["e"] is None for one in sent)
    assert sum(one.counts for one in sketches).tolist() == [missing, 0, 0, len(sent) - missing]
    assert sum(one.violations for one in sketches).tolist() == [missing]
    assert {one.vectors.shape for one in sketches} == {(3 * LENGTH,)}
