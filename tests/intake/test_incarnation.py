from __future__ import annotations

import time
import uuid

import pytest
from confluent_kafka.admin import AdminClient

from monitor.clock import SystemClock
from monitor.intake.incarnation import Incarnations
from tests.intake.keeper import until


def test_who_has_no_ids_to_tell_is_not_waited_for(broker, topic):
    """The embedded broker does not answer such a question: nothing is known, and nobody is held up."""
    asked = Incarnations({"bootstrap.servers": broker.bootstrap}, [topic], SystemClock())
    begin = time.monotonic()
    assert [asked.of([topic]) for _ in range(10)] == [{}] * 10
    assert asked.of([]) == {}
    assert time.monotonic() - begin < 1


def test_properties_that_are_refused_are_a_line_in_the_log():
    """The consumer, which has the same, is who ends the process."""
    asked = Incarnations(
        {"bootstrap.servers": "127.0.0.1:9", "security.protocol": "none"}, ["t"], SystemClock()
    )
    assert asked.of(["t"]) == {}


@pytest.mark.kafka
def test_a_topic_that_is_made_anew_has_another_id(kafka):
    """The same one as long as it is there; none for a topic that is not."""
    name = f"ids-{uuid.uuid4().hex}"
    kafka.create_topic(name)
    properties = {"bootstrap.servers": kafka.bootstrap, "session.timeout.ms": 6000, "fetch.wait.max.ms": 10}
    asked = Incarnations(properties, [name, "no-such"], SystemClock())
    until(lambda: asked.of([name, "no-such"]), lambda: time.sleep(0.05))
    found = asked.of([name, "no-such"])
    assert found.keys() == {name}
    assert asked.of([name]) == found
    client = AdminClient({"bootstrap.servers": kafka.bootstrap})
    client.delete_topics([name])[name].result(30)
    until(lambda: asked.of([name]) == {} or asked.of([name]) != found, lambda: time.sleep(0.1))
