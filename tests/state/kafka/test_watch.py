from __future__ import annotations

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from monitor.clock import ManualClock
from monitor.errors import StateError
from monitor.state.kafka import watch
from monitor.state.kafka.admin import Standing
from monitor.state.kafka.commands import create_command
from monitor.state.kafka.topics import TopicState, spec_of_rejects, specs

OWN = specs("p", partitions=3, model_partitions=2, replication=1, retention=0)
LETTERS = spec_of_rejects("letters", partitions=3, replication=1)
WHERE = "--bootstrap-server k:1"


class Cluster:
    """Topics as they are, and what is asked of them."""

    where = WHERE

    def __init__(self):
        self.found = {
            spec.name: TopicState(spec.partitions, dict(spec.config), id=f"{spec.name} 1") for spec in OWN
        }
        self.hidden = ()
        self.asked = []
        self.away = False

    def look(self, wanted):
        self.asked.append([spec.name for spec in wanted])
        if self.away:
            raise StateError("no answer - kafka.brokers - brokers that can be reached")
        return Standing({s.name: self.found[s.name] for s in wanted if s.name in self.found}, self.hidden)


@pytest.fixture
def cluster(monkeypatch):
    made = Cluster()
    monkeypatch.setattr(watch, "TopicAdmin", lambda *_, **__: made)
    return made


def watching(refusal=lambda: "", wanted=OWN):
    return watch.TopicWatch(
        dict, lambda: wanted, clock=ManualClock(), refusal=refusal, beside=lambda: [LETTERS]
    )


def test_a_topic_that_is_lacking_is_told_once_with_the_command(cluster):
    """However often it is looked for; and once more when it is there."""
    watched = watching()
    gone = cluster.found.pop("p.sketches")
    with capture_logs() as lines:
        for _ in range(5):
            watched.look()
    (line,) = lines
    spec = next(spec for spec in OWN if spec.name == "p.sketches")
    assert (line["event"], line["topic"], line["run"]) == (
        "topic_lacking", "p.sketches", create_command(spec, WHERE),
    )  # fmt: skip
    assert watched.lacking == {"p.sketches": line["run"]}
    cluster.found["p.sketches"] = gone
    with capture_logs() as lines:
        for _ in range(3):
            watched.look()
    assert [(one["event"], one["topic"]) for one in lines] == [("topic_lacks_no_more", "p.sketches")]
    assert not watched.lacking


def test_a_topic_that_a_broker_made_in_our_absence_is_told_with_what_is_wrong(cluster):
    """One that is deleted may come back as brokers make topics: with other settings, which would lose state."""
    watched = watching()
    cluster.found["p.state"] = TopicState(3, {**OWN[0].config, "cleanup.policy": "delete"})
    with capture_logs() as lines:
        watched.look()
    assert "cleanup.policy is delete" in lines[0]["text"]
    assert lines[0]["run"].startswith("kafka-configs.sh")


def test_topics_of_others_are_looked_for_only_where_nothing_becomes_durable(cluster):
    """A broker may create one when it is first written to: that it is not there yet is no trouble."""
    refusals = [""]
    watched = watching(refusal=lambda: refusals[0])
    watched.look()
    assert "letters" not in cluster.asked[-1]
    refusals[0] = "30 rejects not acknowledged"
    watched.look()
    assert set(watched.lacking) == {"letters"}
    refusals[0] = ""  # whatever it was, nothing waits for the topic
    watched.look()
    assert not watched.lacking


def test_what_cannot_be_seen_is_not_said_to_be_missing(cluster):
    """Neither a topic that the credentials may not see, nor any while the brokers do not answer."""
    del cluster.found["p.state"]
    cluster.hidden = ("p.state",)
    watched = watching()
    watched.look()
    assert not watched.lacking
    cluster.hidden = ()
    watched.look()
    cluster.away = True
    with capture_logs() as lines:
        watched.look()
    assert set(watched.lacking) == {"p.state"}
    assert [line for line in lines if line["log_level"] != "debug"] == []


def test_without_topics_of_ours_nothing_is_asked(cluster):
    """State on a disk, and rejects too: Kafka is only read."""
    watch.TopicWatch(dict, lambda: (), clock=ManualClock()).look()
    assert cluster.asked == []


def test_a_topic_that_was_made_anew_is_told_until_somebody_has_heeded_it(cluster):
    """Whether it was seen to be missing or not; one that is first seen, and one that stays, is none."""
    heard, refusing = [], [True]

    def renewed(names):
        heard.append(list(names))
        if refusing[0]:
            raise StateError("the loop was busy")

    watched = watch.TopicWatch(dict, lambda: OWN, clock=ManualClock(), renewed=renewed)
    watched.look()
    watched.look()
    assert heard == []
    cluster.found["p.state"] = replace(cluster.found["p.state"], id="p.state 2")
    gone = cluster.found.pop("p.ledger")
    watched.look()
    assert heard == [["p.state"]]
    cluster.found["p.ledger"] = replace(gone, id="p.ledger 2")
    refusing[0] = False
    watched.look()
    watched.look()
    assert heard == [["p.state"], ["p.ledger", "p.state"]]
    cluster.found = {name: replace(state, id="") for name, state in cluster.found.items()}
    watched.look()  # brokers that tell no ids
    assert len(heard) == 2
