"""A topic that is configured and is not there."""

from __future__ import annotations

from structlog.testing import capture_logs

from tests.daemon.ask import get, samples, until
from tests.daemon.build import MODEL, merged, stream, verdicts
from tests.daemon.test_labels import LABELLED, WINDOWS, labels_of, measured, predictions, send, settings


def looked(daemon) -> None:
    """Kafka was asked twice more."""
    for _ in range(2):
        before = daemon._expected._looked
        until(lambda before=before: daemon._expected._looked > before, "another look")


def test_labels_whose_topic_is_missing_are_waited_for_aloud(make, broker):
    """The model is judged meanwhile; the log says once which topic it is, the metric as long as it lasts. When somebody creates
    it, the windows that waited are measured."""
    topic = f"outcomes-{id(broker):x}"
    quick = {"kafka": {"properties": {"topic.metadata.refresh.interval.ms": 500}}}
    scene = make(**merged(settings(topic), quick))
    scene.send(stream(WINDOWS))
    with capture_logs() as logs, scene.daemon() as daemon:
        until(lambda: len(verdicts(daemon)) == len(WINDOWS), "predictions to be judged")
        looked(daemon)
        found = samples(daemon.server.url)
        assert (found["input_topic_missing", topic], found["input_topic_missing", scene.topic]) == (1, 0)
        status, text = get(f"{daemon.server.url}/-/ready")
        assert (status, topic in text) == (503, True)
        assert measured(daemon.server.url) == []
        assert [one["topic"] for one in logs if one["event"] == "input_topic_missing"] == [topic]
        broker.create_topic(topic, partitions=LABELLED)
        send(scene, topic, labels_of(predictions(WINDOWS)))
        until(lambda: len(measured(daemon.server.url)) == len(WINDOWS), "labels to be joined")
        until(lambda: samples(daemon.server.url)["input_topic_missing", topic] == 0, "the metric to fall")
        assert get(f"{daemon.server.url}/-/ready")[0] == 200
    assert [one["topic"] for one in logs if one["event"] == "input_topic_found"] == [topic]
    assert [one["topic"] for one in logs if one["event"] == "input_topic_missing"] == [topic]
    assert MODEL in {one.get("model") for one in logs if one["event"] == "window_measured"}
