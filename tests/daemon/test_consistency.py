"""A sample of records compared with an online store: from the topic to figures, incidents and metrics."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from monitor.clock import SystemClock
from monitor.deliver.receiver import Receiver
from tests.consistency.peer import FeatureServer
from tests.daemon import build
from tests.daemon.ask import api, get, samples, until
from tests.daemon.build import MODEL, START, WINDOW, stream, verdicts
from tests.faults.shared_state import shared, topics

FROM = START + 120_000
"""Records from here on are made after it is known how new the store is, however slowly a daemon starts."""
BROKEN = 2
"""The window whose records have other amounts than the store, one in five of them."""


class Then(SystemClock):
    """The machine's clock, as if it had been started when the records began."""

    def __init__(self) -> None:
        self._ahead = SystemClock().now_ms() - START

    def now_ms(self) -> int:
        return super().now_ms() - self._ahead


def logged(sent):
    """Records with a driver each, whose amount the store has; but where something is broken."""
    record = json.loads(sent.value)
    window, partition, row = map(int, record["id"].split("-"))
    driver = 10_000 * window + 1_000 * partition + row
    wrong = (record["ts"] - START) // WINDOW == BROKEN and driver % 5 == 0
    if wrong:
        record["features"]["amount"] = -1.0
    return driver, wrong, replace(sent, value=json.dumps(record | {"driver": driver}).encode())


def settings(url):
    return {
        "models": {
            MODEL: {
                "feature_store": {
                    "url": url, "insecure_http": True, "allow_private": ["127.0.0.1/32"], "timeout": "2s",
                    "entities": {"driver_id": "driver"},
                    "features": {"amount": "driver_stats:amount", "country": "driver_stats:country"},
                    "per_minute": 60_000, "max_age": "1h",
                },
                "rules": {"skew": {"when": "feature_mismatch(amount) > 5%", "do": "page"}},
            }
        },
    }  # fmt: skip


@pytest.fixture
def store():
    with Receiver() as receiver:
        yield receiver, FeatureServer(receiver, ("amount", "country"))


@pytest.fixture
def _brisk_answers(monkeypatch):
    monkeypatch.setattr("monitor.consistency.windows.SETTLE", 1_500)
    monkeypatch.setattr("monitor.consistency.check.EVERY", 0.05)


def windows(url):
    status, text = get(f"{url}/api/v1/models/{MODEL}/consistency")
    return json.loads(text)["data"]["windows"] if status == 200 else []


def told(url):
    data = api(url, f"models/{MODEL}/consistency")
    return data if data["store"]["error"] else None


def drivers(server, made):
    """The store has what records say, where nothing is broken."""
    for driver, wrong, sent in made:
        features = json.loads(sent.value)["features"]
        value = {"amount": 7.0 if wrong else features["amount"], "country": features["country"]}
        server.rows[driver] = (START - 3_600_000, value)


def later():
    return [logged(sent) for sent in stream(range(5)) if sent.timestamp > FROM]


def at_start(sent):
    """The record as if it had been made before the store was asked anything."""
    return replace(sent, value=json.dumps(json.loads(sent.value) | {"ts": START}).encode(), timestamp=START)


def prime(scene, daemon, server):
    """Let it become known how new the store was before all records: by one of each partition."""
    made = [logged(at_start(sent)) for sent in stream([0], rows=1)]
    drivers(server, made)
    scene.send([sent for _, _, sent in made])
    until(lambda: server.asked == len(made), "the first questions")
    assert daemon.clock.now_ms() < FROM
    return len(made)


@pytest.mark.usefixtures("_brisk_answers")
def test_mismatches_open_an_incident_of_their_window(make, store):
    """Figures are those of a recount of all records, the limit holds in the broken window alone, and all of it is shown
    and outlives a restart."""
    receiver, server = store
    scene = make(**settings(receiver.url))
    made = later()
    with scene.daemon(clock=Then()) as daemon:
        url = daemon.server.url
        before = prime(scene, daemon, server)
        drivers(server, made)
        scene.send([sent for _, _, sent in made])
        until(lambda: len(windows(url)) >= 4, "windows that were compared")
        found = sorted(windows(url), key=lambda one: one["end"])
        shown = samples(url)
        incidents = api(url, "incidents")
        assert get(f"{url}/")[0] == 200
    for number, one in enumerate(found):
        own = [wrong for _, wrong, sent in made if (sent.timestamp - START) // WINDOW == number]
        assert one["records"]["compared"] == len(own)
        assert one["features"]["amount"]["mismatched"] == sum(own)
        assert one["features"]["country"]["ratio"] == 0.0
        assert one["rules"] == (["skew"] if number == BROKEN else [])
    skew = [one for one in incidents if one["rule"] == "skew"]
    assert [(one["severity"], one["opened"]) for one in skew] == [("critical", START + (BROKEN + 1) * WINDOW)]
    assert shown["feature_store_records_total", MODEL, "compared"] == len(made) + before
    assert shown["feature_store_up", MODEL] == 1
    assert shown["feature_mismatch_ratio", "amount", MODEL, "5m"] == 0.0
    with scene.daemon(clock=Then()) as daemon:
        until(lambda: len(windows(daemon.server.url)) >= 4, "what was compared before")


@pytest.mark.usefixtures("_brisk_answers")
def test_a_store_that_nobody_answers_for_holds_nothing_up(make, store):
    """Windows are judged as ever; of the store it is shown why, and no limit holds."""
    receiver, _ = store
    receiver.stop()
    scene = make(**settings(receiver.url))
    with scene.daemon(clock=Then()) as daemon:
        scene.send([sent for _, _, sent in map(logged, stream(range(4)))])
        url = daemon.server.url
        until(lambda: MODEL in daemon.evaluate.models and len(verdicts(daemon)) >= 3, "verdicts")
        data = until(lambda: told(url), "why there are no answers")
        assert {one["reason"] for one in data["windows"]} <= {"no_data"}
        assert "no answer" in data["store"]["error"]
        assert data["store"]["records"]["failed"] > 0
        assert samples(url)["feature_store_up", MODEL] == 0
        assert [one for one in api(url, "incidents") if one["rule"] == "skew"] == []


@pytest.mark.slow
@pytest.mark.usefixtures("_brisk_answers")
def test_two_replicas_add_up_what_each_compared(tmp_path, broker, receiver, store, monkeypatch):
    """Each asks for the records of its own partitions; who judges the model has the counts of all of them."""
    monkeypatch.setattr("monitor.state.kafka.admin.ensure_topics", lambda *_, **__: None)
    monkeypatch.setattr("monitor.elsewhere.EVERY", 0.2)
    fake, server = store
    made = shared(tmp_path, broker, receiver=receiver, make=build.scene, **settings(fake.url))
    for name, partitions in zip(topics(made), (3, 2, 1, 2), strict=True):
        broker.create_topic(name, partitions=partitions)
    with made.daemon(clock=Then()) as one, made.daemon(clock=Then()) as two:

        def judging():
            found = [daemon for daemon in (one, two) if MODEL in daemon.evaluate.models]
            is_shared = all(daemon.ingest.partitions for daemon in (one, two))
            return found[0] if is_shared and len(found) == 1 and not two.view().ready_reason else None

        judge = until(judging, "both to read and one of them to judge")
        prime(made, judge, server)
        records = later()
        drivers(server, records)
        made.send([sent for _, _, sent in records])
        until(lambda: len(windows(judge.server.url)) >= 4, "windows that were compared")
        found = sorted(windows(judge.server.url), key=lambda one: one["end"])
        asked = [daemon._checks.tallies._own[MODEL].outcomes["compared"] for daemon in (one, two)]
    for number, window in enumerate(found):
        own = [wrong for _, wrong, sent in records if (sent.timestamp - START) // WINDOW == number]
        assert (window["records"]["compared"], window["records"]["mismatched"]) == (len(own), sum(own))
    assert all(asked)
