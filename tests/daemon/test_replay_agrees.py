"""The daemon and `driftline replay` say the same of the same log."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from monitor.judge.record import to_json
from monitor.reference.file import write
from monitor.reference.segment_tally import SegmentDeclaration
from tests.daemon.build import MODEL, WINDOW, await_done, make_reference, shuffled, stream

SEGMENTS = (
    SegmentDeclaration("country", "country", top=3),
    SegmentDeclaration("returning", "returning"),
)


SEASONS = {
    "season": "hour_of_day",
    "beside": ["previous_window", "same_window_last_week"],
    "compat": ["evidently", "nannyml", "scouter", "popmon"],
}


@pytest.mark.parametrize(
    ("segments", "more"),
    [((), {}), (SEGMENTS, {}), (SEGMENTS, SEASONS)],
    ids=["whole", "segments", "seasons, beside and compat"],
)
def test_live_and_replayed_verdicts_agree_to_the_last_digit(make, segments, more):
    """Every field of every verdict, and the tallies of the records, but for revisions, which only the living have."""
    scene = make()
    if segments:
        write(make_reference(segments=segments), scene.folder / "scores.ref")
        own = {"segments": {one.name: {"top": one.top or 1} for one in segments}}
        scene.configure(models={MODEL: own | more})
    sent = shuffled(stream(range(14), drifting=range(5, 8)), seed=7)
    with scene.daemon() as daemon:
        scene.send(sent)
        await_done(daemon, len(sent))
        live = [to_json(verdict) for verdict in daemon.evaluate.verdicts(MODEL)]
        view = daemon.evaluate.models[MODEL]
        alarms = [to_json(verdict) for verdict in view.alarms.values()]
        (incident,) = view.incidents
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
    assert json.loads(json.dumps(alarms)) == replayed["early"][-1:]
    opened = next(one["incident"] for one in replayed["incidents"] if one["kind"] == "open")
    assert [incident[name] for name in ("id", "opened", "onset")] == [
        opened[name] for name in ("id", "opened", "onset")
    ]
    drifting = min(body["start"] for body in again if body["state"] == "drift")
    assert incident["onset"] == drifting
    early = "season" not in more
    assert (incident["early"], bool(alarms), incident["opened"] < drifting + WINDOW) == (early, early, early)
    for body in again:
        rows = sum(one["rows"] for one in body["segments"])
        assert rows == (len(segments) * body["rows"] if body["state"] != "unknown" else rows)
    assert any(one["state"] == "drift" for body in again for one in body["segments"]) == bool(segments)
