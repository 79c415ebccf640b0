"""`group.protocol: auto`: both groups of a daemon speak what the brokers have."""

from __future__ import annotations

import pytest
from confluent_kafka import ConsumerGroupType
from confluent_kafka.admin import AdminClient

from tests.daemon.build import stream
from tests.faults.shared_state import await_judged, running, shared, wrong

pytestmark = pytest.mark.slow

LEFT_OUT = dict.fromkeys(("session.timeout.ms", "heartbeat.interval.ms"))
CHOSEN = {
    "consumer": (LEFT_OUT, ConsumerGroupType.CONSUMER),
    "classic": ({}, ConsumerGroupType.CLASSIC),
}
"""Properties beside `auto`, those of a quick session taken out or not, and what comes of it."""


@pytest.mark.parametrize("name", CHOSEN)
def test_both_groups_speak_what_was_chosen(kafka, tmp_path, receiver, name):
    """That of the readers and that of those who judge, whichever it is; and every record is counted once."""
    properties, kind = CHOSEN[name]
    scene = shared(
        tmp_path, kafka, receiver=receiver, kafka={"properties": {"group.protocol": "auto", **properties}}
    )
    sent = stream(range(3))
    scene.send(sent)
    with running(scene) as daemon:
        await_judged(daemon, sent, idle=3)
        group = daemon.assembly.plans.kafka.group
        client = AdminClient({"bootstrap.servers": kafka.bootstrap})
        client.list_topics(timeout=10)  # groups are asked of the brokers that it knows
        kinds = {one.group_id: one.type for one in client.list_consumer_groups().result(10).valid}
        assert {kinds[f"{group}.ingest"], kinds[f"{group}.eval"]} == {kind}
    assert wrong(scene, sent) == []
