from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from monitor.clock import SystemClock
from monitor.config.values import KafkaPlan
from monitor.intake.protocol import Asked, choose, decide
from monitor.names import CLASSIC, CLASSIC_ONLY, CONSUMER
from tests.kafka.broker import KafkaBroker, KafkaUnavailable

BOTH = frozenset({"classic", "consumer", "streams"})
GROUPS = ("g.ingest", "g.eval")


@pytest.mark.parametrize(
    ("brokers", "spoken", "protocol", "why"),
    [
        ({1: BOTH, 2: BOTH}, {}, CONSUMER, "all brokers"),
        ({1: BOTH, 2: {"classic"}}, {}, CLASSIC, "2"),
        ({1: BOTH, 2: None}, {}, CLASSIC, "2"),
        ({}, {}, CLASSIC, "none that answers"),
        ({1: BOTH}, {"g.eval": CLASSIC}, CLASSIC, "g.eval"),
        ({1: BOTH}, {"g.ingest": CONSUMER, "g.eval": CONSUMER}, CONSUMER, "all brokers"),
        ({1: {"classic"}}, {"g.ingest": CONSUMER}, CLASSIC, "1"),
    ],
)
def test_the_newer_protocol_needs_all_brokers_and_nobody_who_speaks_the_other(brokers, spoken, protocol, why):
    """One broker without it, or one member of an older replica, and all of us speak the older one; the reason names it."""
    chosen = choose(Asked(brokers, spoken))
    assert chosen.protocol == protocol
    assert why in chosen.why


def ask(bootstrap, topic="nobody", **properties):
    """What is chosen, and the lines that tell it."""
    with capture_logs() as lines:
        chosen = decide(
            {"bootstrap.servers": bootstrap, **properties},
            GROUPS, topic=topic, trial="g.trial", clock=SystemClock(),
        )  # fmt: skip
    told = [line for line in lines if line["log_level"] != "debug"]
    assert [(line["event"], line["protocol"], line["why"]) for line in told] == [("group_protocol", *chosen)]
    return chosen


@pytest.mark.parametrize("name", CLASSIC_ONLY)
def test_a_property_of_the_classic_protocol_decides(name):
    """Whoever sets one has chosen, and nobody is asked."""
    chosen = ask("127.0.0.1:1", **{name: "1"})
    assert chosen.protocol == CLASSIC
    assert name in chosen.why


def test_brokers_that_do_not_answer_have_the_classic_protocol(monkeypatch):
    """What cannot be asked is no reason not to start."""
    monkeypatch.setattr("monitor.intake.protocol.ANSWER_SECONDS", 0.3)
    assert ask("127.0.0.1:1").protocol == CLASSIC


def test_embedded_brokers_have_the_classic_protocol(broker):
    """They answer no such question."""
    assert ask(broker.bootstrap).protocol == CLASSIC


def test_until_it_is_decided_no_client_is_given_the_word(monkeypatch):
    """Commands that join no group ask nobody, and the library does not know it."""
    plan = KafkaPlan(("k:1",), properties={"group.protocol": "auto", "linger.ms": "1"})
    assert plan.is_protocol_open
    assert plan.client() == {"bootstrap.servers": "k:1", "linger.ms": "1"}
    assert plan.speaking(CONSUMER).client()["group.protocol"] == CONSUMER
    assert not plan.speaking(CLASSIC).is_protocol_open


@pytest.mark.slow
def test_a_real_kafka_of_the_newer_kind_is_spoken_to_in_the_newer_protocol(kafka):
    """All of its brokers say that they have it, and a member is let in; while somebody speaks the older one in a group of
    ours, so do we."""
    from confluent_kafka import Consumer

    kafka.create_topic("protocol")
    assert ask(kafka.bootstrap, topic="protocol").protocol == CONSUMER
    given = []
    member = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": GROUPS[0], "log_level": 0})
    member.subscribe(["protocol"], on_assign=lambda _client, places: given.append(places))
    while not given:
        member.poll(0.1)
    chosen = ask(kafka.bootstrap, topic="protocol")
    member.close()
    assert (chosen.protocol, "g.ingest" in chosen.why) == (CLASSIC, True)
    assert ask(kafka.bootstrap, topic="protocol").protocol == CONSUMER


class Unready(KafkaBroker):
    """Says that it has the newer protocol; the feature is not switched on, as after an upgrade that is not finished."""

    def _java(self, *command):
        is_formatting = command[0] == "kafka.tools.StorageTool"
        return super()._java(*command, *(("--feature", "group.version=0") if is_formatting else ()))


REFUSING = {
    "no such protocol": (
        KafkaBroker,
        {"group.coordinator.rebalance.protocols": "classic"},
        "not all brokers",
    ),
    "not switched on": (Unready, {}, "let no member of it in"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSING)
def test_brokers_that_refuse_the_newer_protocol(tmp_path, name):
    """They are spoken to in the older one, whether they say so or find out when a member comes."""
    kind, properties, why = REFUSING[name]
    try:
        broker = kind(tmp_path, properties=properties)
    except KafkaUnavailable as error:
        pytest.skip(str(error))
    with broker:
        broker.create_topic("protocol")
        chosen = ask(broker.bootstrap, topic="protocol")
        assert (chosen.protocol, why in chosen.why) == (CLASSIC, True), chosen
