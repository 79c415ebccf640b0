"""What a daemon shows of windows while their labels come, and of errors that rise: API, page and incidents."""

from __future__ import annotations

import json

import pytest

from tests.daemon.ask import api, get, samples, until
from tests.daemon.build import MODEL, START, WINDOW, stream
from tests.daemon.test_labels import LABELLED, WINDOWS, labels_of, measured, predictions, send, settings

WAITING = 2
"""Windows at the end whose labels have not all come."""


@pytest.mark.slow
def test_windows_are_shown_while_their_labels_come(make, broker):
    """Labels of the last windows have come in part: these are provisional, and everything before is measured; the page
    draws both. A limit that two of the last three windows break opens an incident that names it."""
    broker.create_topic("outcomes-coming", partitions=LABELLED)
    change = settings("outcomes-coming")
    model = change["models"][MODEL]
    model["labels"] |= {"detectors": ["adwin"]}
    model["rules"] = {"harm": {"when": "accuracy < 0.7 for 2 of 3 windows", "clear": 0.8}}
    scene = make("coming", **change)
    until_then = START + (len(WINDOWS) - WAITING) * WINDOW + 600_000 + 60_000
    records = predictions(WINDOWS)
    scene.send(stream(WINDOWS))
    came = [one for one in labels_of(records, broken=(1, 2)) if one.timestamp <= until_then]
    send(scene, "outcomes-coming", came)
    with scene.daemon() as daemon:
        url = daemon.server.url

        def coming():
            status, text = get(f"{url}/api/v1/models/{MODEL}/provisional")
            return json.loads(text)["data"] if status == 200 else []

        until(
            lambda: len(measured(url)) >= len(WINDOWS) - WAITING - 1 and coming(),
            "windows that wait for labels",
        )
        until(lambda: api(url, "incidents"), "an incident")

        def settled():  # one more window may be measured meanwhile: its partition is idle
            found, waiting, shown = measured(url), coming(), samples(url)
            late, labels = (
                api(url, f"models/{MODEL}/delays"),
                sum(one["figures"][""]["labels"] for one in found),
            )
            alike = late["labels"] == labels and shown["label_delay_seconds", MODEL, "0.5"] == late["all"][0]
            return (found, waiting) if alike else None

        found, waiting = until(settled, "delays of the labels that were measured, and of no others")
        incidents, page = api(url, "incidents"), get(f"{url}/")[1]
    assert {one["end"] for one in found}.isdisjoint(one["end"] for one in waiting)
    assert all(0 < one["labels"] <= one["predictions"] for one in waiting)
    assert "How well it does in 5m" in page
    (harm,) = (one for one in incidents if one["rule"] == "harm")
    assert harm["evidence"]["rule"]["when"] == "accuracy < 0.7 for 2 of 3 windows"
    assert harm["severity"] == "warning"
