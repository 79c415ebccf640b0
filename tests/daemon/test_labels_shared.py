"""Labels of two models on one topic."""

from __future__ import annotations

import json

from tests.daemon.ask import api, until
from tests.daemon.build import MODEL, Sent, merged, stream
from tests.daemon.test_labels import (
    LABELLED,
    WINDOWS,
    label_of,
    labels_of,
    predictions,
    recounted,
    send,
    settings,
)

OTHER = "other"


def of_both(records: list[Sent]) -> list[Sent]:
    """Each record once for either model: ids and times are the same."""
    found = []
    for one in records:
        body = json.loads(one.value or b"")
        for model in (MODEL, OTHER):
            own = body | {"model": model}
            if "label" in body and model == OTHER:
                own["label"] = 1 - body["label"]
            found.append(Sent(one.partition, json.dumps(own).encode(), one.timestamp))
    return found


def figures(daemon, model: str) -> list[tuple[int, int, int]]:
    """Predictions, labels and right answers of each measured window, oldest first; none before it is shown."""
    if model not in {one["name"] for one in api(daemon.server.url, "models")}:
        return []
    windows = sorted(api(daemon.server.url, f"models/{model}/performance"), key=lambda one: one["end"])
    found = [(one["predictions"], one["figures"][""]) for one in windows]
    return [
        (rows, round(own["labels"]), round(own["labels"] * own["accuracy"]["value"])) for rows, own in found
    ]


def test_two_models_share_a_topic_of_labels_that_name_their_model(make, broker):
    """An id is of one model's prediction and of the other's, and their labels contradict each other: each is joined with its
    own alone."""
    topic = f"shared-{id(broker):x}"
    broker.create_topic(topic, partitions=LABELLED)
    given = settings(topic)
    given["sources"]["outcomes"]["fields"] |= {"model": "model"}
    scene = make(**given)
    own = scene.settings["models"][MODEL]
    scene.configure(models={OTHER: merged(own, {"rules": None})})
    records = predictions(WINDOWS)
    scene.send(of_both(stream(WINDOWS)))
    send(scene, topic, of_both(labels_of(records)))
    with scene.daemon() as daemon:
        for model in (MODEL, OTHER):
            until(lambda model=model: len(figures(daemon, model)) == len(WINDOWS), f"windows of {model}")
        mine, theirs = figures(daemon, MODEL), figures(daemon, OTHER)
    for window, (rows, labels, right) in zip(WINDOWS, mine, strict=True):
        want_rows, want_labels, accuracy = recounted(records, window)
        assert (rows, labels, right) == (want_rows, want_labels, round(want_labels * accuracy))
        assert theirs[window] == (rows, labels, labels - right)
    assert any(label_of(row) is None for row in records)
