"""A network that loses, delays and cuts: row 56."""

from __future__ import annotations

import time

import pytest

from tests.daemon.ask import get, until
from tests.daemon.build import PARTITIONS, scene, stream
from tests.faults.proxy import Proxy
from tests.faults.world import BRISK, await_read, ends_well, has_read, is_exact, lines_of, pieces
from tests.kafka.broker import KafkaBroker, KafkaUnavailable, Listener, free_ports, ways_in

pytestmark = [pytest.mark.kafka]


@pytest.fixture(scope="module")
def wired(tmp_path_factory, request):
    """A broker, and a wire to it."""
    from tests.conftest import _missing

    (port,) = free_ports(1)
    with Proxy(port) as proxy:
        try:
            wire = Listener("WIRED", "PLAINTEXT", port, proxy.port)
            broker = KafkaBroker(tmp_path_factory.mktemp("wired"), properties=ways_in(wire))
        except KafkaUnavailable as error:
            _missing("kafka", str(error))
        with broker:
            yield broker, proxy


@pytest.fixture
def made(wired, tmp_path, receiver):
    """A scene whose daemon is on the wire, and whose records are produced beside it."""
    broker, proxy = wired
    made = scene(tmp_path, broker, receiver=receiver, create=False)
    broker.create_topic(made.topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
    made.configure(kafka={"brokers": [f"127.0.0.1:{proxy.port}"]})
    yield made
    for way in (proxy.up, proxy.down):
        way.latency, way.loss, way.is_dead = 0.0, 0.0, False


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["up", "down"])
def test_row_56_the_wire_is_dead_in_one_direction(made, wired, direction):
    """For longer than the session: the partitions are lost and taken again, the process lives and is not ready
    meanwhile, and not a record is missing or counted twice."""
    _, proxy = wired
    sent = stream(range(6))
    first, second = pieces(sent, 2)
    made.configure(kafka={"properties": {"socket.timeout.ms": 2000}})
    with made.process(module=BRISK) as life:
        made.send(first)
        until(lambda: has_read(life, len(first)), "the first half")
        getattr(proxy, direction).is_dead = True
        made.send(second)
        until(lambda: get(f"{life.url}/-/ready")[0] == 503, "not to be ready")
        time.sleep(1.5)
        assert get(f"{life.url}/-/healthy")[0] == 200
        getattr(proxy, direction).is_dead = False
        ends_well(life, sent)
    is_exact(made, sent)


@pytest.mark.slow
def test_row_56_a_third_is_lost_and_the_rest_comes_late(made, wired):
    """Thirty per cent of what goes either way is sent again, and each way takes a while: slow, and exact."""
    _, proxy = wired
    for way in (proxy.up, proxy.down):
        way.loss, way.latency = 0.3, 0.05
    made.configure(kafka={"properties": {"session.timeout.ms": 6000, "fetch.message.max.bytes": 20_000}})
    sent = stream(range(4))
    with made.process(module=BRISK) as life:
        for piece in pieces(sent, 4):
            made.send(piece)
            time.sleep(0.2)
        await_read(life, sent)
        assert life.end() == 0
    is_exact(made, sent)


@pytest.mark.slow
def test_row_56_every_answer_takes_two_seconds(made, wired):
    """With a session that allows for it nothing is lost or taken anew."""
    _, proxy = wired
    made.configure(kafka={"properties": {"session.timeout.ms": 30_000, "heartbeat.interval.ms": 1000}})
    sent = stream(range(4))
    first, second = pieces(sent, 2)
    with made.process(module=BRISK) as life:
        made.send(first)
        until(lambda: has_read(life, len(first)), "the first half")
        proxy.up.latency = proxy.down.latency = 1.0
        made.send(second)
        ends_well(life, sent)
        assert not lines_of(life, "partitions_released")[:-1]
    is_exact(made, sent)
