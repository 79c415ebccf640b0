"""A running daemon takes a good configuration, keeps its own instead of a bad one, and loses no count."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime

import pytest

from monitor import removed
from monitor.deliver.receiver import Receiver
from monitor.reference.file import write
from tests.daemon.ask import api, get, samples, until
from tests.daemon.build import (
    MODEL,
    PARTITIONS,
    ROWS,
    WINDOW,
    Sent,
    await_done,
    reference,
    rows_of,
    stream,
    verdicts,
)
from tests.daemon.recount import differences, recount

RELOADED = ("config_last_reload_successful",)


def reload(url):
    return get(f"{url}/-/reload", method="POST")


def test_thresholds_budget_and_routes_change_live(make, receiver):
    """After POST /-/reload the new values are shown and used, alerts go to the new receiver, and counts go on."""
    scene = make()
    first, second = stream(range(3)), stream(range(3, 8), drifting=range(3, 6))
    with scene.daemon() as daemon, Receiver() as other:
        url = daemon.server.url
        scene.send(first)
        await_done(daemon, len(first))
        assert api(url, f"models/{MODEL}")["plan"]["min_records"] == 20
        scene.configure(
            models={MODEL: {"min_records": 30, "budget": "4 per 30d"}},
            alerts={"alertmanager": {"urls": [other.url]}},
        )
        assert reload(url) == (200, "")
        until(lambda: api(url, f"models/{MODEL}")["plan"]["min_records"] == 30, "the new plan to be shown")
        assert api(url, f"models/{MODEL}")["budget"]["pages"] == 4
        assert "4 per 30d" in api(url, "status/config")["yaml"]
        assert samples(url)[RELOADED] == 1
        scene.send(second)
        await_done(daemon, len(first) + len(second))
        other.wait_for(1, timeout=30)
        assert not [request for request in receiver.requests if request.path.endswith("/alerts")]
        assert differences(daemon.state, recount([*first, *second]), verdicts(daemon)) == []


def test_a_bad_configuration_changes_nothing(make):
    """The answer names every finding, the metric falls to 0, the old values stay and work; a good one heals it."""
    scene = make()
    sent = stream(range(4))
    with scene.daemon() as daemon:
        url = daemon.server.url
        scene.send(sent[: len(sent) // 2])
        until(lambda: get(f"{url}/-/ready")[0] == 200, "readiness")
        good = scene.config.read_text()
        for bad, said in (
            (good.replace('"5m": {', '"5m": {"sice": 3, '), "sice"),
            (good[:-20], "driftline.yaml"),
            (good.replace("scores.ref", "nowhere.ref"), "nowhere.ref"),
        ):
            scene.config.write_text(bad)
            status, text = reload(url)
            assert (status, text.startswith("failed to reload config: ")) == (500, True)
            assert said in text
            assert samples(url)[RELOADED] == 0
            assert get(f"{url}/-/healthy")[0] == get(f"{url}/-/ready")[0] == 200
        scene.config.write_text(good)
        assert reload(url)[0] == 200
        assert samples(url)[RELOADED] == 1
        scene.send(sent[len(sent) // 2 :])
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []


def test_what_needs_a_restart_is_refused_by_name(make):
    """A change of the consumer group is not applied, nor anything that came with it."""
    scene = make()
    with scene.daemon() as daemon:
        url = daemon.server.url
        scene.configure(kafka={"group": "another"}, models={MODEL: {"min_records": 77}})
        status, text = reload(url)
        assert status == 500
        assert "kafka.group" in text
        assert "restart needed" in text
        assert samples(url)[RELOADED] == 0
        assert daemon.assembly.models[MODEL].plan.min_records == 20


def test_sighup_reloads_and_get_or_a_disabled_lifecycle_do_not(make):
    """SIGHUP takes a new file as POST does; GET is told what is allowed; without enable_lifecycle POST is refused."""
    scene = make(web={"enable_lifecycle": False})
    with scene.process() as life:
        url = life.url
        scene.configure(models={MODEL: {"min_records": 33}})
        assert get(f"{url}/-/reload")[0] == 405
        assert reload(url)[0] == 403
        life.signal(signal.SIGHUP)
        until(lambda: "33" in api(url, "status/config")["yaml"], "the new configuration")
        scene.config.write_text("version: [")
        life.signal(signal.SIGHUP)
        until(lambda: samples(url)[RELOADED] == 0, "the refusal to be shown")
        assert life.end() == 0


def other_stream(windows):
    """The same traffic, for the second model."""
    return [
        Sent(partition, json.dumps({**row, "model": "other"}).encode(), row["ts"])
        for window in windows
        for partition in range(PARTITIONS)
        for row in rows_of(window, partition)
    ]


def both(windows):
    return [record for pair in zip(stream(windows), other_stream(windows), strict=True) for record in pair]


def two_models(make):
    scene = make()
    write(reference(model="other"), scene.folder / "other.ref")
    second = {**scene.settings["models"][MODEL], "reference": {"file": str(scene.folder / "other.ref")}}
    scene.configure(models={"other": second})
    return scene


def checked(daemon, ends):
    """Every window of the other model is complete; the changed one's are complete before and after the change."""
    per_window = PARTITIONS * ROWS
    for verdict in daemon.evaluate.verdicts("other"):
        assert (verdict.rows, verdict.coverage) == (per_window, 1.0)
    found = verdicts(daemon)
    assert sorted(found) == ends
    broken = [end for end in ends if found[end]["rows"] != per_window]
    assert all(found[end]["reason"] == "low_coverage" for end in broken)
    assert all(found[end]["coverage"] == 1.0 for end in ends if end not in broken)
    return broken


def sketch_configs(daemon):
    return {sketch.key.config for sketch in daemon.state.changes([MODEL], 0)[1]}


def test_other_bins_start_new_sketches_and_leave_the_other_model_alone(make):
    """A reference with other bins is taken over by a reload in the middle of a window: windows that are open are
    unknown for lack of coverage, those before keep their verdicts, those after are exact, the other model notices nothing."""
    scene = two_models(make)
    records = both(range(8))
    cut = len(records) // 2 + 100  # in the fifth window; the fourth waits for the other partitions
    ends = [1_760_000_100_000 + (window + 1) * WINDOW for window in range(8)]
    with scene.daemon() as daemon:
        scene.send(records[:cut])
        until(lambda: sum(r.applied for r in daemon.view().partitions) == cut, "the first half")
        before = verdicts(daemon)
        write(reference(bins=16), scene.folder / "scores.ref")
        assert reload(daemon.server.url) == (200, "")
        scene.send(records[cut:])
        await_done(daemon, len(records))
        broken = checked(daemon, ends)
        assert set(broken) <= set(ends[3:6])
        assert {end: found for end, found in verdicts(daemon).items() if end in before and end < ends[4]} == {
            end: found for end, found in before.items() if end < ends[4]
        }
        assert len(sketch_configs(daemon)) == 2


def test_a_restart_with_other_bins_is_like_a_reload(make):
    """The usual way to change a configuration: stop, change, start. Nothing is judged on half of its rows."""
    scene = two_models(make)
    records = both(range(8))
    cut = len(records) // 2 + 100
    ends = [1_760_000_100_000 + (window + 1) * WINDOW for window in range(8)]
    with scene.daemon() as daemon:
        scene.send(records[:cut])
        until(lambda: sum(r.applied for r in daemon.view().partitions) == cut, "the first half")
    write(reference(bins=16), scene.folder / "scores.ref")
    with scene.daemon() as daemon:
        scene.send(records[cut:])
        await_done(daemon, len(records))
        assert set(checked(daemon, ends)) <= set(ends[3:6])


def test_a_model_removed_by_a_restart_is_resolved_at_the_receiver(make, receiver, monkeypatch):
    """The usual way to remove one: stop, change, start. Nobody judges it any more, and whoever was told of its
    incident is told that it is over."""
    monkeypatch.setattr(removed, "SETTLED", 1.0)
    monkeypatch.setattr(removed, "LOOK_EVERY", 0.5)
    scene = two_models(make)
    records = stream(range(8), drifting=range(3, 8))
    with scene.daemon() as daemon:
        scene.send(records)
        await_done(daemon, len(records))
        receiver.wait_for(1, timeout=30)
        (body,) = daemon.state.ledger(MODEL).of("incident").values()
        assert body["state"] == "firing"
    del scene.settings["models"][MODEL]
    scene.configure()
    with scene.daemon() as daemon:
        until(lambda: daemon.state.ledger(MODEL).of("incident")[body["id"]]["state"] == "resolved", "its end")
        told = len(receiver.requests)
        until(lambda: len(receiver.requests) > told, "the receiver to be told")
        ends = [alert["endsAt"] for request in receiver.requests[told:] for alert in request.json()]
        assert min(ends) < datetime.now(UTC).isoformat()


@pytest.mark.slow
def test_a_model_added_by_a_reload_counts_from_then_on(make):
    """Its first window, which began before it was there, is not judged as if it were whole."""
    scene = make()
    write(reference(model="other"), scene.folder / "other.ref")
    records = both(range(6))
    cut = len(records) // 2 + 100
    with scene.daemon() as daemon:
        scene.configure(sources={"predictions": {"dead_letter": {"to": "count", "path": None}}})
        scene.send([record for record in records[:cut] if b'"other"' not in record.value])
        count = sum(b'"other"' not in record.value for record in records[:cut])
        until(lambda: sum(r.applied for r in daemon.view().partitions) == count, "the first half")
    second = {**scene.settings["models"][MODEL], "reference": {"file": str(scene.folder / "other.ref")}}
    with scene.daemon() as daemon:
        scene.configure(models={"other": second})
        assert reload(daemon.server.url) == (200, "")
        scene.send(records[cut:])
        await_done(daemon, count + len(records) - cut)
        until(lambda: len(daemon.evaluate.verdicts("other")) >= 3, "the other model to be judged")
        for verdict in daemon.evaluate.verdicts("other"):
            assert verdict.rows == PARTITIONS * ROWS or verdict.reason == "low_coverage"
