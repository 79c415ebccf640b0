"""Two installations on one prefix: the second is refused, and where both run already each is told of the other."""

from __future__ import annotations

import json
import time

import pytest

from monitor.clock import ManualClock, SystemClock
from monitor.errors import StateDamaged, StateError, StateFenced, StateForeign
from monitor.state.envelope import Form, seal
from monitor.state.kafka import keys
from monitor.state.kafka.admin import ensure_topics
from monitor.state.kafka.batch import Owner, decode_owner, encode_owner
from monitor.state.kafka.cluster import open_cluster
from monitor.state.kafka.installation import Installation, newest_owner
from monitor.state.kafka.keys import OwnerKey, WriterId
from monitor.state.kafka.log import ASK_AGAIN, KafkaLog, Topics
from monitor.state.kafka.logs import Place, Write
from monitor.state.kafka.owner import LedgerOwner
from monitor.state.kafka.topics import HOUR, specs
from monitor.state.log import Entry
from tests.simulation.logs import SimulatedBroker

TOPICS = Topics("state", "sketches", "progress", "ledger")
PLACE = Place("ledger", 0)
ONE = [Entry("cursor", "1h", {"n": 1})]
PATIENCE = 60.0


def broker() -> SimulatedBroker:
    return SimulatedBroker(0, {"state": 1, "sketches": 1, "progress": 1, "ledger": 1})


def installation(logs, group, *running):
    return Installation(logs, "ledger", group=group, is_joined=lambda name: name in running)


def replica(broker, group, *running, clock=None):
    """A process that has been given the only partition; the evaluators of `running` have members."""
    logs, clock = broker.connect(group), clock or ManualClock(1000)
    log = KafkaLog(
        logs,
        topics=TOPICS,
        owned=lambda: {0: 1},
        clock=clock,
        installation=installation(logs, group, *running),
    )
    log.attend()
    return log


def test_the_group_is_noted_and_missing_in_older_records():
    """Older readers pass over it, as readers of now pass over what they do not know."""
    assert decode_owner(encode_owner(Owner("host", 7, "fraud"))) == Owner("host", 7, "fraud")
    older = seal(Form.OWNER, json.dumps({"at": 7, "member": "host"}).encode())
    assert decode_owner(older) == Owner("host", 7, "")
    newer = seal(Form.OWNER, json.dumps({"at": 7, "member": "host", "group": "g", "more": 1}).encode())
    assert decode_owner(newer) == Owner("host", 7, "g")
    with pytest.raises(StateDamaged):
        decode_owner(seal(Form.OWNER, b"[]"))


def test_the_topics_of_an_installation_that_runs_admit_no_other():
    """Its own processes they do, and another one once it has ended: its group was given another name."""
    topics = broker()
    logs = topics.connect("a")
    installation(logs, "a").admit(0)  # nobody has taken anything
    LedgerOwner.take(logs, PLACE, WriterId(1), clock=ManualClock(), group="a")
    assert newest_owner(logs, PLACE).group == "a"
    installation(logs, "a", "a.eval").admit(0)
    with pytest.raises(
        StateForeign, match=r"kafka\.group a, which runs .* set kafka\.group: a to join it, or"
    ):
        installation(logs, "b", "a.eval").admit(0)
    installation(logs, "b", "b.eval").admit(0)


def test_who_cannot_see_whether_the_other_runs_is_refused():
    """With what would let it see."""
    topics = broker()
    logs = topics.connect("a")
    LedgerOwner.take(logs, PLACE, WriterId(1), clock=ManualClock(), group="a")

    def hidden(_group):
        raise StateError("may not be seen - group a.eval - allow Describe")

    with pytest.raises(
        StateError, match=r"whether it runs is not known \(may not be seen .*allow Describe\)"
    ):
        Installation(logs, "ledger", group="b", is_joined=hidden).admit(0)


def test_a_ledger_that_cannot_be_read_yet_is_waited_for(monkeypatch):
    """As just after its topic was created; not longer than a while."""
    topics, clock, refused = broker(), ManualClock(1000), [StateError("not leader")] * 3
    logs = topics.connect("a")
    read = logs.read

    def late(place, start):
        if refused:
            raise refused.pop()
        return read(place, start)

    monkeypatch.setattr(logs, "read", late)
    installation(logs, "a").admit_at_start(clock)
    assert not refused
    monkeypatch.setattr(logs, "read", lambda *_: late("", refused.append(StateError("not leader"))))
    with pytest.raises(StateError, match="not leader"):
        installation(logs, "a").admit_at_start(clock)


@pytest.mark.parametrize("value", [None, b"damaged"])
def test_an_owner_that_cannot_be_read_admits_everybody(value):
    """So does one that was written before groups were noted."""
    topics = broker()
    for write in (Write(PLACE, keys.encode(OwnerKey(WriterId(1))), value), Write(PLACE, b"?", b"?")):
        topics.append(write)
    installation(topics.connect("b"), "b", "a.eval").admit(0)
    LedgerOwner.take(topics.connect("old"), PLACE, WriterId(2), clock=ManualClock())
    installation(topics.connect("b"), "b", "a.eval").admit(0)


def test_who_is_fenced_by_another_installation_is_told_so_and_does_not_take_back():
    """As long as that one runs: else both would go on like that for ever."""
    topics, clock = broker(), ManualClock(1000)
    running = ["b.eval"]
    ours = replica(topics, "a", clock=clock)
    ours._installation._is_joined = lambda name: name in running
    ours.append("fraud", ONE)
    theirs = replica(topics, "b")
    with pytest.raises(
        StateForeign, match=r"another installation, of kafka\.group b, speaks .*state\.kafka\.prefix"
    ):
        ours.append("fraud", ONE)
    for _ in range(3):
        clock.advance(ASK_AGAIN)
        ours.attend()
        assert not ours.terms(["fraud"])
    theirs.append("fraud", ONE)
    running.clear()
    clock.advance(ASK_AGAIN)
    ours.attend()
    assert ours.terms(["fraud"])
    with pytest.raises(StateForeign):
        theirs.append("fraud", ONE)


def test_who_is_fenced_by_its_own_kind_is_told_nothing_of_others():
    """Nor who is fenced by a process of before groups were noted, or knows no group itself."""
    for own, other in (("a", "a"), ("a", ""), ("", "a")):
        topics = broker()
        fenced = LedgerOwner.take(topics.connect("1"), PLACE, WriterId(1), clock=ManualClock(), group=own)
        LedgerOwner.take(topics.connect("2"), PLACE, WriterId(2), clock=ManualClock(), group=other)
        with pytest.raises(StateFenced) as caught:
            fenced.append("fraud", ONE)
        assert not isinstance(caught.value, StateForeign)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_second_installation_does_not_start(kafka, protocol):
    """Whichever protocol the groups speak; and it does once the first has ended."""
    prefix = f"installed-{protocol}"
    properties = {"bootstrap.servers": kafka.bootstrap, "log_level": 0, "group.protocol": protocol}
    clock = SystemClock()
    ensure_topics(
        properties,
        specs(prefix, partitions=1, model_partitions=1, replication=1, retention=HOUR),
        clock=clock,
    )

    def start(group):
        return open_cluster(properties, group=f"{prefix}.{group}", prefix=prefix, clock=clock, stall=1000)

    def until(is_so):
        end = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < end
            time.sleep(0.05)

    def serves(log):
        log.attend()
        return bool(log.terms(["fraud"]))

    first = start("a")
    try:
        until(lambda: serves(first))
        with pytest.raises(StateForeign, match=rf"kafka\.group {prefix}\.a, which runs"):
            start("b")
        start("a").close()
    finally:
        first.close()
    second = start("b")
    try:
        until(lambda: serves(second))
    finally:
        second.close()
