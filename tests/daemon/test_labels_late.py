"""Labels that come to a partition that was idle, and more predictions than may wait."""

from __future__ import annotations

import json

import pytest

from tests.daemon.ask import get, samples, until
from tests.daemon.build import MODEL, PARTITIONS, Sent, rows_of, stream
from tests.daemon.test_labels import (
    LABELLED,
    WINDOWS,
    labels_of,
    measured,
    predictions,
    recounted,
    send,
    settings,
)

ROWS = 400
"""Of a window and partition: 80 a minute for 22 minutes are more than 1,000."""


@pytest.mark.slow
def test_labels_of_a_partition_that_was_idle_revise_what_was_measured(make, broker):
    """Measured without them, as one partition was past all windows and the other had nothing; each window has the figures
    of a recount once they are there, and says that it was revised."""
    records = predictions(WINDOWS)
    broker.create_topic("outcomes-idle", partitions=LABELLED)
    scene = make("idle", **settings("outcomes-idle"))
    labels = labels_of(records)
    scene.send(stream(WINDOWS))
    send(scene, "outcomes-idle", [one for one in labels if one.partition == 0])
    with scene.daemon() as daemon:
        url = daemon.server.url
        until(lambda: len(measured(url)) == len(WINDOWS), "windows to be measured")
        assert {one["revision"] for one in measured(url)} == {0}
        send(scene, "outcomes-idle", [one for one in labels if one.partition == 1])
        want = [recounted(records, window)[:2] for window in WINDOWS]
        until(
            lambda: [(one["predictions"], one["figures"][""]["labels"]) for one in reversed(measured(url))] == want,
            "windows to be revised", seconds=150,
        )  # fmt: skip
        for one, window in zip(reversed(measured(url)), WINDOWS, strict=True):
            assert one["revision"] >= 1
            accuracy = recounted(records, window)[2]
            assert one["figures"][""]["accuracy"]["value"] == pytest.approx(accuracy, abs=1e-12)


@pytest.mark.slow
def test_more_predictions_than_may_wait(make, broker):
    """A half of the ids is held, chosen by their hash: figures say so, and are near those of all."""
    records = [
        record
        for window in WINDOWS
        for partition in range(PARTITIONS)
        for record in rows_of(window, partition, rows=ROWS)
    ]
    broker.create_topic("outcomes-many", partitions=LABELLED)
    own = settings("outcomes-many")
    own["models"][MODEL]["labels"]["max_open"] = 1_000
    scene = make("many", **own)
    scene.send([
        Sent(int(record["id"].split("-")[1]), json.dumps(record).encode(), record["ts"]) for record in records
    ])  # fmt: skip
    send(scene, "outcomes-many", labels_of(records))
    with scene.daemon() as daemon:
        url = daemon.server.url
        until(lambda: len(measured(url)) == len(WINDOWS), "windows to be measured")
        found, shown = list(reversed(measured(url))), samples(url)
        page = get(f"{url}/")
    for one, window in zip(found[1:], WINDOWS[1:], strict=True):
        count, _, accuracy = recounted(records, window)
        figures = one["figures"][""]
        assert 0.3 < figures["sampled"] < 0.6
        assert one["predictions"] == pytest.approx(count, rel=0.2)
        assert figures["accuracy"]["low"] < accuracy < figures["accuracy"]["high"]
        assert "A sample of" in one["detail"]
    assert shown["join_sampled_ratio", MODEL, "5m"] == pytest.approx(found[-1]["figures"][""]["sampled"])
    assert page[0] == 200
