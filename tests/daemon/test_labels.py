"""Labels on another topic: from both topics to figures, incidents and metrics."""

from __future__ import annotations

import json
import random
import signal
import time

import numpy as np
import pytest

from tests.daemon.ask import api, get, samples, until
from tests.daemon.build import MODEL, PARTITIONS, START, WINDOW, Sent, rows_of, stream
from tests.daemon.test_vectors import command

WAIT = 600_000
WINDOWS = range(6)
LABELLED = 2
"""Partitions of the topic of labels: fewer than that of predictions, as ids go where their hash says."""


def label_of(record, *, broken=False):
    """Mostly what the score says, in every twentieth row missing."""
    rng = np.random.default_rng(sum(map(ord, record["id"])))
    if rng.random() < 0.05:
        return None
    likely = record["score"] > 0.3
    return bool(likely ^ (rng.random() < (0.6 if broken else 0.1)))


def predictions(windows):
    return [
        record
        for window in windows
        for partition in range(PARTITIONS)
        for record in rows_of(window, partition)
    ]


def labels_of(records, *, broken=()):
    """Each label some minutes after its prediction; one in ten is told twice, and corrected the second time."""
    found = []
    for record in records:
        window = (record["ts"] - START) // WINDOW
        label = label_of(record, broken=window in broken)
        if label is None:
            continue
        partition = sum(map(ord, record["id"])) % LABELLED
        at = record["ts"] + 120_000
        if sum(map(ord, record["id"])) % 10 == 0:
            found.append((at, partition, {"id": record["id"], "label": int(not label)}))
            at += 60_000
        found.append((at, partition, {"id": record["id"], "label": int(label)}))
    found += [(START + n * WINDOW, n % LABELLED, {"id": f"nobody-{n}", "label": 1}) for n in range(20)]
    end = START + len(WINDOWS) * WINDOW + WAIT + 120_000
    found += [(end + n, n % LABELLED, {"id": f"late-{n}", "label": 1}) for n in range(60)]  # time goes on
    return [
        Sent(partition, json.dumps(body).encode(), at)
        for at, partition, body in sorted(found, key=lambda one: one[0])
    ]


def recounted(records, window, *, broken=()):
    """Accuracy and labels of one window, row by row."""
    own = [record for record in records if (record["ts"] - START) // WINDOW == window]
    pairs = [(r["score"] >= 0.3, label_of(r, broken=window in broken)) for r in own]
    known = [(a, b) for a, b in pairs if b is not None]
    return len(own), len(known), sum(a == b for a, b in known) / len(known)


def settings(topic):
    return {
        "sources": {
            "outcomes": {
                "topic": topic,
                "fields": {"id": "id"},
                "idle": "1s",
                "watermark_bound": "10s",
            }
        },
        "models": {
            MODEL: {
                "prediction": {"path": "score", "kind": "score"},
                "labels": {"source": "outcomes", "path": "label", "wait": "10m", "threshold": 0.3},
                "rules": {"harm": {"when": "accuracy < 0.7 for 10m", "do": "page"}},
            }
        },
    }


def send(scene, topic, records):
    own, scene.topic = scene.topic, topic
    scene.send(records)
    scene.topic = own


def measured(url):
    """Windows whose labels are in; none while the daemon does not know the model yet."""
    status, text = get(f"{url}/api/v1/models/{MODEL}/performance")
    return json.loads(text)["data"] if status == 200 else []


def followed(scene, topic, *, cuts, labelled):
    """What daemons that stop after each share of both logs come to: windows, incidents and metrics."""
    predicted, sent = stream(WINDOWS), [0, 0]
    for cut in cuts:
        for at, (place, rows) in enumerate(((scene.topic, predicted), (topic, labelled))):
            upto = int(len(rows) * cut)
            send(scene, place, rows[sent[at] : upto])
            sent[at] = upto
        # where a log goes on, its end is no end, however long a life takes
        idle = "1s" if cut == 1 else "10m"
        scene.configure(sources={name: {"idle": idle} for name in ("predictions", "outcomes")})
        with scene.daemon() as daemon:
            url = daemon.server.url
            wanted = len(WINDOWS) if cut == 1 else 1
            until(lambda url=url, wanted=wanted: len(measured(url)) >= wanted, "windows whose labels are in")
            found = measured(url), api(url, "incidents"), samples(url), get(f"{url}/")[0]
    return found


@pytest.mark.slow
def test_performance_over_a_restart(make, broker):
    """Figures are those of a recount, corrected labels among them; a limit that holds for two windows opens an
    incident, and a daemon that stopped in the middle says the same as one that did not."""
    records, broken, found = predictions(WINDOWS), (3, 4), {}
    for name, cuts in (("whole", (1.0,)), ("cut", (0.45, 1.0))):
        topic = f"outcomes-{name}"
        broker.create_topic(topic, partitions=LABELLED)
        scene = make(name, **settings(topic))
        found[name], incidents, shown, status = followed(
            scene, topic, cuts=cuts, labelled=labels_of(records, broken=broken)
        )
    assert found["whole"] == found["cut"]
    for one, window in zip(reversed(found["whole"]), WINDOWS, strict=True):
        count, labels, accuracy = recounted(records, window, broken=broken)
        figures = one["figures"][""]
        assert (one["predictions"], figures["labels"]) == (count, labels)
        assert figures["accuracy"]["value"] == pytest.approx(accuracy, abs=1e-12)
        assert figures["accuracy"]["low"] < accuracy < figures["accuracy"]["high"]
    assert [(one["rule"], one["state"], one["severity"]) for one in incidents] == [
        ("harm", "firing", "critical")
    ]
    assert status == 200
    assert shown["join_ids", MODEL, "labelled"] >= 60  # of nobody, and of times that are yet to come
    code, out = command("replay", "-c", str(scene.config), "--output", "json")
    assert code == 0, out
    assert len(json.loads(out)["verdicts"]) == len(WINDOWS)
    code, out = command("replay", "-c", str(scene.config), "--labels", "--output", "json")
    assert code == 0, out
    replayed = json.loads(out)["performance"]
    assert len(replayed) == len(WINDOWS)
    for one, live in zip(replayed, reversed(found["whole"]), strict=True):
        same = ("start", "end", "predictions", "versions", "rules", "figures")
        assert [one[name] for name in same] == [live[name] for name in same]
    code, out = command("check", "--no-network", "-c", str(scene.config))
    assert code == 0, out
    assert shown["label_coverage_ratio", MODEL, "5m"] == labels / count
    assert shown["performance", "accuracy", MODEL, "", "5m"] == pytest.approx(accuracy, abs=1e-12)


@pytest.mark.slow
def test_killed_lives_join_the_same_pairs(make, broker):
    """Processes are killed at times drawn from a seed, between and inside checkpoints; what is measured in the end is
    what a recount of both logs says."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng, records = random.Random(seed), predictions(WINDOWS)
    broker.create_topic("outcomes-killed", partitions=LABELLED)
    scene = make("killed", **settings("outcomes-killed"))
    scene.configure(state={"checkpoint_every": "1s"})
    scene.send(stream(WINDOWS))
    send(scene, "outcomes-killed", labels_of(records))
    for _ in range(3):
        with scene.process() as life:
            assert life.url
            time.sleep(rng.uniform(0.0, 3.0))
            life.signal(signal.SIGKILL)
    with scene.daemon() as daemon:
        until(lambda: len(measured(daemon.server.url)) >= len(WINDOWS), "windows whose labels are in")
        found = measured(daemon.server.url)
    for one, window in zip(reversed(found), WINDOWS, strict=True):
        count, labels, accuracy = recounted(records, window)
        assert (one["predictions"], one["figures"][""]["labels"]) == (count, labels)
        assert one["figures"][""]["accuracy"]["value"] == pytest.approx(accuracy, abs=1e-12)


@pytest.mark.slow
def test_labels_in_the_records_of_the_predictions(make):
    """Measured as soon as they are judged, by the same figures, over a restart; the source needs no second topic and no id."""
    records = predictions(WINDOWS)
    for record in records:
        record["label"] = label_of(record)
    model = {"prediction": {"path": "score", "kind": "score"}, "labels": {"path": "label", "threshold": 0.3}}
    fields = {"id": None, "time": {"path": "ts", "unit": "ms"}, "model": "model", "version": "version"}
    scene = make(
        "beside", models={MODEL: model}, sources={"predictions": {"fields": fields}},
    )  # fmt: skip
    sent = [
        Sent(int(record["id"].split("-")[1]), json.dumps(record).encode(), record["ts"]) for record in records
    ]
    half = len(sent) // 2
    for part, wanted in ((sent[:half], 1), (sent[half:], len(WINDOWS))):
        scene.send(part)
        with scene.daemon() as daemon:
            url = daemon.server.url
            until(lambda url=url, wanted=wanted: len(measured(url)) >= wanted, "windows to be measured")
            found = measured(url)
    for one, window in zip(reversed(found), WINDOWS, strict=True):
        count, labels, accuracy = recounted(records, window)
        assert (one["predictions"], one["figures"][""]["labels"]) == (count, labels)
        assert one["figures"][""]["accuracy"]["value"] == pytest.approx(accuracy, abs=1e-12)
    code, out = command("check", "--no-network", "-c", str(scene.config))
    assert code == 0, out
