"""The group shares the partitions out, each to one member, also when members come, go and freeze."""

from __future__ import annotations

import itertools
import json
import time

import pytest

from monitor.clock import SystemClock
from monitor.errors import StateError
from monitor.state.kafka.broker import Broker
from monitor.state.kafka.logs import Place, Write
from monitor.state.kafka.membership import Membership

PATIENCE = 60.0
SESSIONS = {
    "classic": {"session.timeout.ms": "3000", "heartbeat.interval.ms": "500"},
    "consumer": {"group.protocol": "consumer"},
}


@pytest.fixture(params=list(SESSIONS))
def protocol(request):
    return request.param


@pytest.fixture
def members(protocol):
    """Makes members of one group, and closes them."""
    made = []

    def join(bootstrap, topic, *, protocol=protocol, **given) -> Membership:
        properties = {"bootstrap.servers": bootstrap, "log_level": 0, **SESSIONS[protocol], **given}
        made.append(Membership(properties, group=f"{topic}.eval", topic=topic, clock=SystemClock()))
        return made[-1]

    yield join
    for member in made:
        member.close()


@pytest.fixture
def topic(kafka, request):
    name = f"member.{request.node.name.replace('[', '-').strip(']')}"
    kafka.create_topic(name, partitions=4)
    return name


def until(is_so) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def shared(*members: Membership) -> bool:
    """Whether each partition has exactly one of them."""
    found = sorted(itertools.chain.from_iterable(member.owned() for member in members))
    return found == [0, 1, 2, 3] and all(member.joined for member in members)


def test_partitions_go_from_one_to_another_and_back(kafka, topic, members):
    """A member alone has all; what it keeps keeps its assignment, and what comes back has another."""
    first = members(kafka.bootstrap, topic)
    until(lambda: shared(first))
    alone = dict(first.owned())
    second = members(kafka.bootstrap, topic)
    until(lambda: shared(first, second) and len(second.owned()) == 2)
    kept = dict(first.owned())
    assert kept.items() <= alone.items()
    began = time.monotonic()
    second.close()
    assert not second.owned()
    assert not second.joined
    until(lambda: shared(first))
    assert time.monotonic() - began < 20
    again = dict(first.owned())
    assert again.items() >= kept.items()
    assert all(again[partition] not in alone.values() for partition in again.keys() - kept.keys())


@pytest.mark.parametrize("protocol", ["consumer"], indirect=True)
def test_the_newer_protocol_is_left_member_by_member(kafka, topic, members):
    """As replicas do that are replaced while the setting changes: each partition has one of them after every step."""
    first, second = (members(kafka.bootstrap, topic) for _ in range(2))
    until(lambda: shared(first, second))
    first.close()
    first = members(kafka.bootstrap, topic, protocol="classic")
    until(lambda: shared(first, second))
    second.close()
    second = members(kafka.bootstrap, topic, protocol="classic")
    until(lambda: shared(first, second))


@pytest.mark.parametrize("protocol", ["classic"], indirect=True)
def test_the_newer_protocol_waits_for_the_last_member_of_the_older(kafka, topic, members, monkeypatch):
    """Kafka refuses it beside cooperative-sticky ("userData from a custom assignor would be lost"), for which the
    client stops for good. Who was refused owns nothing, and is taken in once the others have left."""
    monkeypatch.setattr("monitor.state.kafka.membership._AGAIN_SECONDS", 0.5)
    first, second = (members(kafka.bootstrap, topic) for _ in range(2))
    until(lambda: shared(first, second))
    first.close()
    until(lambda: shared(second))
    first = members(kafka.bootstrap, topic, protocol="consumer")
    before = first._listener
    until(lambda: first._listener is not before)
    assert not first.owned()
    assert shared(second)
    second.close()
    until(lambda: shared(first))


def test_a_member_without_partitions_has_joined(kafka, topic, members):
    """More members than partitions: some wait, and know that they do."""
    all_of_them = [members(kafka.bootstrap, topic) for _ in range(5)]
    until(lambda: shared(*all_of_them) and min_max(all_of_them) == (0, 1))


def min_max(members) -> tuple[int, int]:
    counts = [len(member.owned()) for member in members]
    return min(counts), max(counts)


def test_nothing_is_read(kafka, topic, members):
    """Records of the topic are none of its business: of those that come once it has settled not one is fetched."""
    member = members(kafka.bootstrap, topic, **{"statistics.interval.ms": "100"})
    until(lambda: shared(member))
    seen = []
    member._listener._statistics = seen.append
    until(lambda: len(seen) >= 5)  # the client looks for the ends of partitions on a thread of its own
    broker = Broker({"bootstrap.servers": kafka.bootstrap}, clock=SystemClock())
    broker.write([Write(Place(topic, n % 4), b"k", b"v") for n in range(1000)])
    broker.close()
    seen.clear()
    until(lambda: len(seen) >= 5)
    partitions = json.loads(seen[-1])["topics"][topic]["partitions"]
    assert [partitions[str(n)]["rxmsgs"] for n in range(4)] == [0, 0, 0, 0]


def test_properties_that_the_library_refuses(kafka):
    """StateError when it is made."""
    with pytest.raises(StateError, match="no kafka client - kafka - No such configuration property"):
        Membership({"no.such": "1"}, group="g", topic="t", clock=SystemClock())


@pytest.mark.parametrize("protocol", ["classic"], indirect=True)
def test_who_hears_nothing_of_the_group_owns_nothing(frail, members):
    """Others may have been given its partitions meanwhile. It has them again, newly, as soon as it can."""
    frail.create_topic("frozen", partitions=4)
    member = members(frail.bootstrap, "frozen")
    until(lambda: shared(member))
    before = set(member.owned().values())
    frail.pause()
    try:
        until(lambda: not member.owned())
    finally:
        frail.resume()
    until(lambda: shared(member))
    assert not before & set(member.owned().values())


def test_a_member_whose_client_has_stopped_joins_anew(kafka, topic, members, monkeypatch):
    """Nothing is owned in between."""
    monkeypatch.setattr("monitor.state.kafka.membership._AGAIN_SECONDS", 0.5)
    member = members(kafka.bootstrap, topic)
    until(lambda: shared(member))
    before = set(member.owned().values())
    member._listener.fatal = type("Fatal", (), {"str": lambda self: "as if"})()
    until(lambda: not member.owned())
    until(lambda: shared(member))
    assert not before & set(member.owned().values())
