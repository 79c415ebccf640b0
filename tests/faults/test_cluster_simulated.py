"""Replicas that are killed, stopped and believed dead, in an order drawn from a seed: rows 1 to 3 and 49 without Kafka."""

from __future__ import annotations

from collections import Counter

import pytest

from monitor.errors import StateFenced
from monitor.state.kafka.description import read_ledger
from monitor.state.kafka.recover import markers
from monitor.state.log import Entry
from tests.faults.cluster import COUNTS, MODEL, SOURCES, TOPICS, Cluster, Replica
from tests.simulation.logs import Faults, SimulatedBroker
from tests.state.kafka.oracle import check

FAULTS = Faults(unsettled=0.03, unread=0.01, dropped=0.05, late=0.1, compact=0.02)
STEPS = 400_000
"""Of the scheduler, until what was disturbed has to be whole again."""


def finish(cluster):
    """Let it come to the end of its input undisturbed, and look at what is left."""
    cluster.broker.faults = Faults()
    look = cluster.broker.connect("look")
    due = cluster.due(cluster.upto)
    assert len(due) > 5
    for _ in range(STEPS // 1000):
        cluster.schedule.run(1000)
        ledger = read_ledger(look, TOPICS, MODEL, kinds=None)
        ends = {source: marker.applied for source, marker in markers(look, TOPICS.state).items()}
        is_through = ends == dict.fromkeys(SOURCES, cluster.upto) and not ledger.of("intent")
        if is_through and ledger.of("verdict").keys() >= due.keys():
            break
    else:
        raise AssertionError(f"{ends}, {ledger.of('verdict').keys()} of {due.keys()}, {ledger.of('intent')}")
    cluster.schedule.close()
    assert {pane: body["rows"] for pane, body in ledger.of("verdict").items()} == due
    reader = Replica(cluster.broker, "reader")
    for source in SOURCES:
        check(reader.log.recover(source), source)
    assert {intent for intent, _ in cluster.sent} == {f"page-{pane}" for pane in due}
    assert max(Counter(cluster.sent).values()) == 1
    assert sum(replica.log.divergences for replica in (*cluster.former, *cluster.replicas.values())) == 0
    return ledger


def storm(seed, event, *, events=12):
    """A cluster of three that something happens to again and again while it works."""
    cluster = Cluster(seed, FAULTS)
    for _ in range(3):
        cluster.start()
    for number in range(events):
        cluster.schedule.run(cluster.chance.randint(20, 1500))
        event(cluster, number)
    return cluster


@pytest.mark.parametrize("seed", range(6))
def test_row_01_killed_between_any_two_records(seed):
    """A replica dies wherever it is, and another begins: nothing is lost, counted twice or told under another id."""

    def event(cluster, _number):
        cluster.kill(cluster.chance.choice(sorted(cluster.tasks)))
        cluster.start()

    finish(storm(seed, event))


@pytest.mark.parametrize("seed", range(3))
def test_row_02_all_are_killed_and_others_begin(seed):
    """Fewer or more than there were: what they count and tell is what one that nobody disturbed would."""

    def event(cluster, number):
        for name in sorted(cluster.tasks):
            cluster.kill(name)
        for _ in range((1, 4, 2, 3)[number]):
            cluster.start()

    finish(storm(seed, event, events=4))


@pytest.mark.parametrize("seed", range(6))
def test_row_03_a_replica_sleeps_while_others_do_its_work(seed):
    """It wakes up believing all that it believed, writes, judges and sends: nothing of it counts beside what the
    others did, and it does its part again once it has heard."""
    slept = []

    def event(cluster, number):
        if number % 2 == 0:
            name = cluster.chance.choice(sorted(cluster.tasks))
            slept.append(name)
            cluster.schedule.stop(cluster.tasks[name])
            cluster.share(without=[name])
        else:
            cluster.schedule.go_on(cluster.tasks[slept[-1]])
            cluster.schedule.run(cluster.chance.randint(20, 600))  # as a zombie
            cluster.share()

    cluster = storm(seed, event)
    finish(cluster)
    assert len(slept) == 6


def test_row_49_two_speak_for_one_model():
    """Of two that both believe that a model is theirs one is heard: the same intent is never claimed by both, a
    request is made once, and the other one is told that it does not speak any more."""
    broker = SimulatedBroker(1, COUNTS)
    first, second = (Replica(broker, name) for name in ("first", "second"))
    first.log.attend()
    intent = Entry("intent", "retrain-7", {"target": "pipeline"})
    first.log.append(MODEL, [Entry("verdict", "7", {"rows": 5}), intent])
    assert first.log.claim(MODEL, "retrain-7", 0)
    second.log.attend()
    assert second.log.ledger(MODEL).of("intent").keys() == {"retrain-7"}
    assert not second.log.claim(MODEL, "retrain-7", 0)
    for late in (
        lambda: first.log.claim(MODEL, "retrain-7", 1),
        lambda: first.log.append(MODEL, [Entry("verdict", "7", {"rows": 6})]),
        lambda: first.log.ledger(MODEL),
    ):
        with pytest.raises(StateFenced, match=r"another process speaks for .* - ask that one"):
            late()
    assert first.log.terms([MODEL]) == {}
    assert second.log.claim(MODEL, "retrain-7", 1)
    assert second.log.ledger(MODEL, kinds=None).of("verdict") == {"7": {"rows": 5}}
