"""The daemon and `driftline replay` say the same of the same log."""

from __future__ import annotations

import json
import subprocess
import sys

from monitor.judge.record import to_json
from tests.daemon.build import MODEL, await_done, shuffled, stream


def test_live_and_replayed_verdicts_agree_to_the_last_digit(make):
    """Every field of every verdict, and the tallies of the records, but for revisions, which only the living have."""
    scene = make()
    sent = shuffled(stream(range(14), drifting=range(5, 8)), seed=7)
    with scene.daemon() as daemon:
        scene.send(sent)
        await_done(daemon, len(sent))
        live = [to_json(verdict) for verdict in daemon.evaluate.verdicts(MODEL)]
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "replay", "-c", str(scene.config), "--output", "json"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    replayed = json.loads(done.stdout)
    live, again = ([{**body, "revision": 0} for body in bodies] for bodies in (live, replayed["verdicts"]))
    assert len(live) == len(again) == 14
    assert json.loads(json.dumps(live)) == again
    assert {body["state"] for body in again} >= {"ok", "drift"}
    assert replayed["records"] == len(sent)
    assert replayed["rows"] + replayed["late"] + replayed["future"] + sum(
        replayed["rejects"].values()
    ) == len(sent)
    assert replayed["pages"] == 1
