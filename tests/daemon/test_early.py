"""An alarm of a window that is still open, from the topic to people, over restarts."""

from __future__ import annotations

import json
import signal

from tests.daemon.ask import get, until
from tests.daemon.build import MODEL, PANE, START, WINDOW, rows_of, stream
from tests.daemon.build import Sent as Record
from tests.daemon.recount import stored_verdicts
from tests.daemon.test_incidents import told

DRIFTS = 3
PATIENT = {
    "models": {MODEL: {"allowed_lateness": "0s"}},
    "sources": {"predictions": {"idle": "10m"}},
}
"""Windows close by what was read alone: never because nothing more has come for a while."""
OPENED = START + DRIFTS * WINDOW


def minutes_of(window: int, until_ms: int) -> list[Record]:
    """The records of a drifting window up to some event time, in all partitions."""
    return [
        Record(partition, json.dumps(row).encode(), row["ts"])
        for partition in range(3)
        for row in rows_of(window, partition, drifting=True, rows=480)
        if row["ts"] < until_ms
    ]


def open_window() -> list[Record]:
    """Three ordinary windows, and all of a fourth, which drifts, but its last 20 s: its close cannot be due."""
    return [*stream(range(DRIFTS), rows=480), *minutes_of(DRIFTS, OPENED + WINDOW - 20_000)]


def shown(url):
    body = json.loads(get(f"{url}/api/v1/models/{MODEL}")[1]).get("data")
    return body if body and body["early"] else None


def test_a_page_comes_before_the_window_closes_and_none_when_it_does(make, receiver):
    """The alert is sent while the window is open; it names the window, the pane since when and offsets, and API,
    metrics and budget tell it from pages of closed windows. The close is told of in the same incident."""
    scene = make(**PATIENT)
    sent = open_window()
    rest = [one for one in stream(range(DRIFTS, 6), rows=480, drifting=range(DRIFTS, 6)) if one.timestamp >= OPENED + WINDOW - 20_000]  # fmt: skip
    with scene.daemon() as daemon:
        scene.send(sent)
        until(lambda: told(receiver), "the alert")
        assert len(daemon.evaluate.verdicts(MODEL)) == DRIFTS
        body = shown(daemon.server.url)
        alarm, (incident,) = body["early"]["5m"], body["incidents"]
        assert (alarm["early"], alarm["state"]) == (True, "drift")
        assert incident["early"]
        assert OPENED <= incident["onset"] < incident["opened"] < OPENED + WINDOW
        assert incident["opened"] % PANE == START % PANE
        assert (body["budget"]["sent"], body["budget"]["sent_early"], body["budget"]["early"]) == (1, 1, 0.2)
        assert 0 < body["budget"]["expected_early"] < body["budget"]["expected"]
        annotations = told(receiver)[-1]["annotations"]
        assert "seen before its window closed: amount" in annotations["summary"]
        assert annotations["offsets"].count("predictions-") == 3
        metrics = get(f"{daemon.server.url}/metrics")[1]
        assert f'driftline_early_pages_total{{model="{MODEL}"}} 1' in metrics
        scene.send(rest)
        until(lambda: daemon.view().models[0].latest["5m"].end >= OPENED + WINDOW, "the close")
        (after,) = daemon.view().models[0].incidents
        assert (after["id"], after["cause"]) == (incident["id"], "missing(amount)")
        assert after["evidence"]["kind"] == "closed"
        assert daemon.view().models[0].pages_sent == 1
    assert {alert["annotations"]["incident"] for alert in told(receiver)} == {incident["id"]}


def test_killed_after_the_alarm_the_next_life_tells_of_the_same(make, receiver):
    """SIGKILL in the middle of the window: the same incident goes on, and the window does not alarm again."""
    scene = make(**PATIENT)
    sent = open_window()
    scene.send(sent)
    with scene.process() as life:
        found = until(lambda: shown(life.url), "the alarm")
        life.signal(signal.SIGKILL)
        life.process.wait(20)
    with scene.process() as life:
        again = until(lambda: shown(life.url), "the alarm, from the ledger")
        assert again["early"]["5m"] == found["early"]["5m"]
        until(lambda: told(receiver), "the alert")
        assert [one["id"] for one in shown(life.url)["incidents"]] == [found["incidents"][0]["id"]]
        assert life.output.count('"early_alarm"') == 0
    assert {alert["annotations"]["incident"] for alert in told(receiver)} == {found["incidents"][0]["id"]}


def test_killed_before_the_alarm_is_durable_it_is_found_again(make):
    """The look is made again at the same counts, with the same verdict and the same id as of a life without a kill."""
    scene = make(**PATIENT)
    scene.send(open_window())
    with scene.process() as life:
        alarms = until(lambda: shown(life.url), "the alarm")
    other = make("killed", **PATIENT)
    other.send(open_window())
    with other.process(point="append.before:5") as life:
        life.process.wait(60)
    state = other.found()
    assert len(stored_verdicts(state)) == DRIFTS  # the three windows before; its fifth append was the alarm
    state.close()
    with other.process() as life:
        again = until(lambda: shown(life.url), "the alarm")

    def plain(body):
        return json.dumps(body).replace(other.topic, scene.topic)

    assert plain(again["early"]["5m"]) == plain(alarms["early"]["5m"])
    assert again["incidents"][0]["id"] == alarms["incidents"][0]["id"]
