"""A model two features of which go together, from its records to its verdicts."""

from __future__ import annotations

import json

import numpy as np
import pytest

from monitor.plan import Kind
from monitor.reference.build import BuildSettings, build
from monitor.reference.file import write
from monitor.reference.grouped import GroupDeclaration
from monitor.reference.table import FeatureDeclaration, Table
from tests.daemon.ask import get
from tests.daemon.build import MODEL, PANE, PARTITIONS, START, WINDOW, Sent, await_done, verdicts
from tests.daemon.test_vectors import command, plain

ROWS, PAST, GROUP = 150, 90, "money"
NAMES = ("income", "debt")


def pairs(window, partition, *, flipped=False):
    """Correlated by 0.8, or -0.8; one in fifty values is missing."""
    rng = np.random.default_rng((window + 1_000, partition))
    found = rng.normal(size=(ROWS, 2))
    found[:, 1] = (-0.8 if flipped else 0.8) * found[:, 0] + 0.6 * found[:, 1]
    found[rng.random((ROWS, 2)) < 0.02] = np.nan
    return np.round(found, 4)


def stream(windows, *, flipped=()):
    found = []
    for window in windows:
        for partition in range(PARTITIONS):
            for row, values in enumerate(pairs(window, partition, flipped=window in flipped).tolist()):
                event = START + window * WINDOW + row * (WINDOW // ROWS)
                features = {
                    name: None if value != value else value for name, value in zip(NAMES, values, strict=True)
                }
                if row % 7 == 0:  # what the compiled scanner leaves to the slower decoder
                    features["note"] = "\ud83d\ude00"
                body = {
                    "id": f"{window}-{partition}-{row}",
                    "ts": event,
                    "model": MODEL,
                    "features": features,
                }
                found.append(Sent(partition, json.dumps(body).encode(), event))
    return found


def make_reference():
    windows = [(window, partition) for window in range(-PAST, 0) for partition in range(PARTITIONS)]
    values = np.concatenate([pairs(*one) for one in windows])
    events = np.concatenate([START + w * WINDOW + np.arange(ROWS) * (WINDOW // ROWS) for w, _ in windows])
    declared = tuple(FeatureDeclaration(name, ("features", name), Kind.NUMERIC) for name in NAMES)
    return build(
        Table(dict(zip(NAMES, values.T, strict=True)), events=events),
        model=MODEL, name="r", features=declared, pane=PANE, groups=(GroupDeclaration(GROUP, NAMES),),
        settings=BuildSettings(sample=5_000),
    )  # fmt: skip


@pytest.mark.slow
def test_a_flipped_correlation_is_seen_over_a_restart(make):
    """The windows in which it flipped are drift by the group alone, in the API, on the page and in metrics too. A
    daemon that stopped in the middle and a replay of the whole log say the same to the last digit, and `check`
    takes the model; without the group named nothing is seen."""
    sent = stream(range(8), flipped=(4, 5))
    scene = make("scene")
    write(make_reference(), scene.folder / "scores.ref")
    model = {
        "budget": "200 per 30d",
        "tolerance": None,
        "groups": {GROUP: list(NAMES)},
        "diagnosis": {"sample": 256},
    }
    scene.configure(models={MODEL: model})
    for low, high in ((0, len(sent) // 2 + 31), (len(sent) // 2 + 31, len(sent))):
        scene.send(sent[low:high])
        with scene.daemon() as daemon:
            await_done(daemon, high)
            found = plain(verdicts(daemon).values())
            _, body = get(f"{daemon.server.url}/api/v1/models/{MODEL}/verdicts")
            shown = [
                get(f"{daemon.server.url}{path}")
                for path in (
                    "/",
                    "/metrics",
                    f"/api/v1/models/{MODEL}",
                    f"/api/v1/models/{MODEL}/features/{GROUP}",
                )
            ]
    assert [one["state"] == "drift" for _, one in sorted(found.items())] == [False] * 4 + [True] * 2 + [
        False
    ] * 2
    drift = found[START + 5 * WINDOW]
    assert [(test["feature"], test["test"]) for test in drift["tests"] if test["x"] > 1] == [(GROUP, "joint")]
    assert 0.01 < drift["scores"][GROUP]["incomplete"] < 0.08
    first = drift["diagnosis"]["features"][0]
    assert (first["kind"], first["figures"]["pair"]) == ("joint", list(NAMES))
    assert "rank correlation of income and debt 0.7" in first["text"]
    assert "→ -0.7" in first["text"]
    assert "joint(money)" in body
    assert [status for status, _ in shown] == [200] * 4
    assert f'driftline_feature_mmd{{model="{MODEL}",feature="{GROUP}",window="5m"}}' in shown[1][1]
    assert "incomplete" in shown[3][1]
    code, out = command("replay", "-c", str(scene.config), "--output", "json")
    assert code == 0
    assert plain(json.loads(out)["verdicts"]) == found
    code, out = command("check", "--no-network", "-c", str(scene.config))
    assert code == 0, out
    scene.configure(models={MODEL: {**model, "groups": None}})
    code, out = command("replay", "-c", str(scene.config), "--output", "json")
    assert "drift" not in {one["state"] for one in json.loads(out)["verdicts"]}
