"""Where a drift lies, from sampled rows: the daemon and `driftline replay` say the same of the same log."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from monitor.judge.record import to_json
from monitor.reference.file import write
from monitor.sample import REFERENCE_ROWS
from tests.daemon.build import MODEL, await_done, make_reference, shuffled, stream


@pytest.mark.parametrize("private", [False, True])
def test_a_drift_in_one_category_is_named_live_and_in_a_replay(make, private):
    """Amounts are 30 times as large in one country: verdict, incident and page say which, unless the model is private."""
    scene = make()
    write(make_reference(sample=REFERENCE_ROWS), scene.folder / "scores.ref")
    scene.configure(models={MODEL: {"diagnosis": {"sample": 512}, "contract": {"private": private}}})
    sent = shuffled(stream(range(9), drifting=range(5, 7), within="IT"), seed=7)
    with scene.daemon() as daemon:
        scene.send(sent)
        await_done(daemon, len(sent))
        live = [to_json(verdict) for verdict in daemon.evaluate.verdicts(MODEL)]
        (incident,) = daemon.evaluate.models[MODEL].incidents
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "replay", "-c", str(scene.config), "--output", "json"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    again = [{**body, "revision": 0} for body in json.loads(done.stdout)["verdicts"]]
    assert [{**body, "revision": 0} for body in json.loads(json.dumps(live))] == again
    drifting = [body["diagnosis"]["where"] for body in again if body["state"] == "drift"]
    assert len(drifting) == 2
    for where in drifting:
        assert where["features"] == ["country"]
        assert where["text"].startswith("some values of country: " if private else "country = IT: ")
        assert where["share"] > 0.8
    assert incident["evidence"]["diagnosis"]["where"] in {where["text"] for where in drifting}
    assert ("IT" in json.dumps(drifting)) != private
