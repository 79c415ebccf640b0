"""Offsets that mean other records than they did: rows 24 and 25."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from monitor.intake.embedded import EmbeddedBroker
from tests.daemon.ask import api, get, until
from tests.daemon.build import PARTITIONS, await_done, stream
from tests.daemon.recount import differences, recount
from tests.faults.world import (
    BRISK,
    await_read,
    ends_well,
    is_exact,
    lines_of,
    on_kafka,
    partitions_of,
    pieces,
)

pytestmark = pytest.mark.kafka


def renew(kafka, made):
    """Delete the topic, and create it again under the same name."""
    client = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    client.delete_topics([made.topic])[made.topic].result(30)

    def created():
        try:
            kafka.create_topic(made.topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
        except KafkaException:
            return False
        return True

    until(created, "the topic to be made anew")


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["running", "stopped"])
@pytest.mark.parametrize("length", ["longer", "shorter"])
def test_row_24_the_topic_is_made_anew(tmp_path, kafka, receiver, moment, length):
    """Whether it ends before the offset that was read or behind it: the partitions stop with the reason, nothing of the
    new topic is counted among the old, and what was counted stays."""
    made = on_kafka(tmp_path, kafka, receiver=receiver)
    old, new = pieces(stream(range(6)), 2)
    made.send(old)
    new = new * 2 if length == "longer" else new[: len(new) // 4]
    with made.process(module=BRISK) as life:
        await_read(life, old)
        if moment == "running":
            renew(kafka, made)
            made.send(new)
            stopped(life)
        else:
            ends_well(life, old)
            renew(kafka, made)
            made.send(new)
    if moment == "stopped":
        with made.process(module=BRISK) as life:
            stopped(life)
    is_exact(made, old)


def stopped(life):
    """All partitions say that their offsets mean other records; the process goes on, and ends well."""
    reasons = ("created anew", "the log ends before")
    until(
        lambda: sum(any(one in p["paused"] for one in reasons) for p in partitions_of(life)) == PARTITIONS,
        "the reason",
    )
    assert get(f"{life.url}/-/healthy")[0] == 200
    assert life.end() == 0, life.output


@pytest.mark.slow
def test_row_25_the_log_was_cut(tmp_path, frail, receiver):
    """A broker lost what it had not written when it was killed, and has a log that ends before what was read of it. That
    partition stops with the reason and counts nothing more; the others go on."""
    made = on_kafka(tmp_path, frail, receiver=receiver)
    old, new = pieces(stream(range(4)), 2)
    for piece in pieces(old, 6):
        made.send(piece)
    with made.process(module=BRISK) as life:
        await_read(life, old)
        frail.kill()
        frail.cut(made.topic, 0)
        frail.start()
        until(lambda: any("the log ends before" in p["paused"] for p in partitions_of(life)), "the reason")
        made.send(new)
        each = len(old) // PARTITIONS
        until(lambda: [p["applied"] for p in partitions_of(life)] == [each, 2 * each, 2 * each], "the others")
        (gap,) = lines_of(life, "coverage_gap")
        assert (gap["reason"], gap["source"], gap["expected"]) == ("truncated", f"{made.topic}/0", each)
        assert life.end() == 0
    state = made.found()
    assert differences(state, recount([*old, *(one for one in new if one.partition)]), None) == []
    state.close()


def test_row_25_another_cluster_has_less(make, receiver):
    """The topic of this name that is read now ends before what was read: nothing of it is counted among the old."""
    scene = make()
    sent = stream(range(3))
    with scene.daemon() as daemon:
        scene.send(sent)
        await_done(daemon, len(sent))
    with EmbeddedBroker() as other:
        other.create_topic(scene.topic, partitions=PARTITIONS)
        scene.bootstrap = other.bootstrap
        scene.configure(kafka={"brokers": [other.bootstrap]})
        scene.send(stream(range(4, 5)))
        with scene.daemon() as daemon:
            url = daemon.server.url
            until(
                lambda: (
                    sum("the log ends before" in p["paused"] for p in api(url, "partitions")) == PARTITIONS
                ),
                "the reason",
            )
            assert get(f"{url}/-/healthy")[0] == 200
            assert differences(daemon.state, recount(sent), None) == []
