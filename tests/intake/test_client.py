from __future__ import annotations

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from structlog.testing import capture_logs

from monitor.intake.client import Listener, client_properties


def test_callbacks_never_raise():
    """Every callback keeps what goes wrong for later, even when counting it goes wrong too."""

    def broken(*_):
        raise RuntimeError("no")

    listener = Listener(count=broken, statistics=broken)
    listener.on_statistics("{}")
    assert str(listener.failure()) == "no"
    assert listener.failure() is None
    listener.log(4, "%s [%s] %d", "a", "b")  # too few arguments for the format
    assert isinstance(listener.failure(), TypeError)


MIXED = {
    "session.timeout.ms": 20_000,
    "fetch.wait.max.ms": 100,
    "partition.assignment.strategy": "cooperative-sticky",
    "compression.type": "lz4",
    "linger.ms": 5,
}


@pytest.mark.parametrize("kind", [Consumer, Producer, AdminClient])
def test_what_a_client_has_no_use_for_is_no_warning(kind):
    """Properties of the configuration go to clients of all kinds; each tells at most those who debug of the others'."""
    properties = {**MIXED, "bootstrap.servers": "127.0.0.1:1", "log_level": 4}
    properties |= {"group.id": "g"} if kind is Consumer else {}
    with capture_logs() as lines:
        client = kind(client_properties(properties, Listener()))
        client.poll(0.1)
        if kind is Consumer:
            client.close()
    told = [line for line in lines if "CONFWARN" in line.get("text", "")]
    assert {line["log_level"] for line in told} == {"debug"}
    assert len(told) == (2 if kind is Consumer else 3), told


def test_what_is_wrong_with_a_property_is_a_warning_still():
    """One that the library gives up some day is told, and one that it does not know is refused."""
    with capture_logs() as lines:
        client = Producer(
            client_properties({"bootstrap.servers": "127.0.0.1:1", "socket.blocking.max.ms": 100}, Listener())
        )
        client.poll(0.1)
    assert any("CONFWARN" in line.get("text", "") and line["log_level"] == "warning" for line in lines)
    with pytest.raises(KafkaException):
        Producer(client_properties({"sesion.timeout.ms": 1}, Listener()))
