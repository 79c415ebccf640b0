"""Records that cannot be read, all of them at once, and nowhere to put them: rows 35 to 37 and 40."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from confluent_kafka import Consumer

from monitor.names import Reason
from monitor.sketch import NOVEL_KEPT
from monitor.window.cells import GROUPS_PER_PANE
from tests.daemon.ask import api, get, samples, until
from tests.daemon.build import MODEL, START, WINDOW, Sent, applied, await_done, stream, verdicts
from tests.daemon.recount import differences, recount, tallies
from tests.daemon.test_bad_input import GOOD, bad_inputs, poisoned
from tests.faults.world import resident

REFUSED = 29
"""TOPIC_AUTHORIZATION_FAILED: an answer to which a producer does not try again by itself."""
NEVER = {Reason.LATE, Reason.FUTURE}
"""Reasons of rows that are counted and have nothing that a dead letter would tell."""
ODD = [
    (
        "NaN as a text",
        json.dumps({**GOOD, "features": {**GOOD["features"], "amount": "NaN"}}).encode(),
        Reason.WRONG_TYPE,
    ),
    ("huge time", json.dumps({**GOOD, "ts": 10**400}).encode(), Reason.BAD_TIME),
]


def letters(broker, topic, count):
    """What stands in the topic of dead letters."""
    settings = {
        "bootstrap.servers": broker.bootstrap,
        "group.id": topic,
        "auto.offset.reset": "earliest",
        "log_level": 0,
    }
    consumer, found = Consumer(settings), []
    consumer.subscribe([topic])
    until(lambda: found.extend(consumer.consume(100, 0.2)) or len(found) >= count, f"{count} dead letters")
    consumer.close()
    return found


def to_topic(topic, **more):
    return {
        "predictions": {
            "max_bytes": "64KiB",
            "dead_letter": {"to": "topic", "topic": topic, "path": None, **more},
        }
    }


def test_row_35_every_poison_pill_is_a_dead_letter_before_its_offset_is_covered(make, broker):
    """Bytes, key and headers as they were, the reason beside them and in the counts. While the topic of dead letters
    refuses them no checkpoint passes the first of them."""
    broker.create_topic("dead", partitions=1)
    broker.call("rd_kafka_mock_topic_set_error", b"dead", REFUSED)
    scene = make(sources=to_topic("dead"))
    bad = [*bad_inputs(100_000), *ODD]
    expected = Counter(str(reason) for _, _, reason in bad)
    rejected = {name: (value, reason) for name, value, reason in bad if reason not in NEVER}
    good = stream(range(4))
    sent = poisoned(good, bad)
    scene.send(sent)
    first = {
        p: next(at for at, one in enumerate(s for s in sent if s.partition == p) if one.headers)
        for p in (0, 1, 2)
    }
    with scene.daemon() as daemon:
        url = daemon.server.url
        until(
            lambda: all("topic dead" in p["paused"] for p in api(url, "partitions")), "the reason to be shown"
        )
        assert all(report.applied <= first[report.source.partition] for report in daemon.view().partitions)
        assert get(f"{url}/-/healthy")[0] == 200
        broker.call("rd_kafka_mock_topic_set_error", b"dead", 0)
        await_done(daemon, len(sent))
        found = samples(url)
        for reason, count in expected.items():
            if reason not in NEVER:
                assert found["records_rejected_total", reason, scene.topic] == count, reason
        truth = recount(good)
        assert {end: v["rows"] for end, v in verdicts(daemon).items()} == {
            e: truth.of_window(e) for e in truth.ends
        }
        total = Counter()
        for name, count in tallies(daemon.state).items():
            total[name.partition("|")[2]] += count
        assert total == expected
    found = {letter.key().decode(): letter for letter in letters(broker, "dead", len(rejected))}
    assert found.keys() == rejected.keys()
    for name, (value, reason) in rejected.items():
        headers = dict(found[name].headers())
        assert (found[name].value(), headers["trace"]) == (value, b"\x00\xff")
        assert headers["__driftline.errors.reason"] == str(reason).encode()


def test_row_36_nothing_but_poison_after_a_deploy(make):
    """The partition stops before it and says so, in metrics too; a reload with another limit goes on, and not one
    record is missing."""
    scene = make(sources={"predictions": {"dead_letter": {"limit": "5%", "over": 1000}}})
    good, poison = stream(range(2)), [Sent(0, b"{broken", START + 2 * WINDOW) for _ in range(3000)]
    with scene.daemon() as daemon:
        url = daemon.server.url
        scene.send(good)
        await_done(daemon, len(good))
        scene.send(poison)
        until(lambda: "too many rejects" in api(url, "partitions")[0]["paused"], "the pause to be shown")
        assert samples(url)["partition_paused", "0", scene.topic] == 1
        assert get(f"{url}/-/healthy")[0] == 200
        rest = stream(range(2, 4))
        scene.send(rest)
        scene.configure(sources={"predictions": {"dead_letter": {"limit": "100%"}}})
        assert get(f"{url}/-/reload", method="POST")[0] == 200
        sent = [*good, *poison, *rest]
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []
        assert samples(url)["dead_letters_total", scene.topic] == len(poison)


def test_row_37_the_topic_of_dead_letters_is_away(make, broker):
    """The partitions wait, and nothing is dropped in silence; told to count rejects only, they go on without."""
    broker.create_topic("dead", partitions=1)
    broker.call("rd_kafka_mock_topic_set_error", b"dead", REFUSED)
    scene = make(sources=to_topic("dead"))
    sent = stream(range(4))
    sent.insert(700, Sent(0, b"{broken", START))
    scene.send(sent)
    with scene.daemon() as daemon:
        url = daemon.server.url
        until(lambda: any(p["paused"] for p in api(url, "partitions")), "the reason to be shown")
        until(lambda: samples(url)["dead_letters_failed_total", "dead"] > 1, "the attempts to be counted")
        assert sum(report.applied for report in daemon.view().partitions) < len(sent)
    scene.configure(sources={"predictions": {"dead_letter": {"to": "count", "topic": None}}})
    with scene.daemon() as daemon:
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []
        assert samples(daemon.server.url)["records_rejected_total", "decode", scene.topic] >= 1


ONE_OF_MANY = (
    b'{"id": "x", "ts": %d, "model": "scores", "version": "%x", '
    b'"features": {"amount": 12.5, "country": "c%x", "returning": true}, "score": 0.25}'
)
PART = 50_000


def many(seed):
    """Records of which no two have a version or a country in common."""
    numbers = np.random.default_rng(seed).integers(0, 1 << 62, PART).tolist()
    return [Sent(at % 3, ONE_OF_MANY % (START + at % 3_000, n, n), START) for at, n in enumerate(numbers)]


@pytest.mark.parametrize("parts", [4, pytest.param(20, marks=pytest.mark.night)])
def test_row_40_a_million_categories_and_versions(make, parts):
    """They share one slot and two cells; what is kept of them is bounded, and so is memory."""
    scene = make()
    with scene.daemon() as daemon:
        sizes = []
        for part in range(1, parts + 1):
            scene.send(many(part))
            until(lambda part=part: applied(daemon) == part * PART, f"part {part}")
            sizes.append(resident("self"))
        sketches = [sketch for sketch in daemon.state.changes([MODEL], 0)[1] if sketch.rows]
        assert sum(sketch.rows for sketch in sketches) == parts * PART
        assert len(sketches) <= 3 * (GROUPS_PER_PANE + 2)
        assert max(len(found) for sketch in sketches for found in sketch.novel.values()) <= NOVEL_KEPT
        assert sizes[-1] - sizes[len(sizes) // 2] < 40 << 20  # what they hold themselves is more than that
