"""Partitions that are paused, that nobody reads, or that are empty: rows 30 to 32."""

from __future__ import annotations

import math

import pytest

from tests.daemon.ask import api, get, samples, until
from tests.daemon.build import MODEL, PARTITIONS, ROWS, START, WINDOW, Sent, await_done, stream, verdicts
from tests.daemon.recount import differences, recount

WHOLE = PARTITIONS * ROWS


def of(sent, *partitions):
    return [record for record in sent if record.partition in partitions]


def ended(daemon):
    """End of window → (rows, coverage) of what was judged so far."""
    return {end: (verdict["rows"], verdict["coverage"]) for end, verdict in verdicts(daemon).items()}


def test_row_30_a_paused_partition_is_not_idle(make):
    """One that is held back by its rejects has a lag that is known: no window closes without it, however long the
    others are done; then all is there."""
    scene = make(sources={"predictions": {"dead_letter": {"limit": "5%", "over": 1000}}})
    sent = [*stream(range(2)), *[Sent(0, b"{broken", START) for _ in range(300)], *stream(range(2, 5))]
    with scene.daemon() as daemon:
        url = daemon.server.url
        scene.send(sent)
        until(lambda: any(p["paused"] for p in api(url, "partitions")), "the pause")
        until(
            lambda: [p["idle"] for p in api(url, "partitions")] == [False, True, True],
            "the others to be idle",
        )
        looks = daemon.evaluate.last_tick
        until(lambda: daemon.evaluate.last_tick > looks + 3.0, "three times the idle time")
        assert len(verdicts(daemon)) <= 1  # of what came before the pause
        assert not api(url, "partitions")[0]["idle"]
        scene.configure(sources={"predictions": {"dead_letter": {"limit": "100%"}}})
        assert get(f"{url}/-/reload", method="POST")[0] == 200
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []


def test_row_32_an_empty_topic_and_partitions_that_are_all_idle(make):
    """Ready and healthy without one record, and no figure that is none; the first records are judged when they are
    old, though all partitions are idle then."""
    scene = make()
    with scene.daemon() as daemon:
        url = daemon.server.url
        until(lambda: sum(p["idle"] for p in api(url, "partitions")) == PARTITIONS, "three idle partitions")
        assert get(f"{url}/-/ready")[0] == get(f"{url}/-/healthy")[0] == 200
        assert {p["lag"] for p in api(url, "partitions")} == {0}
        assert not any(map(math.isnan, samples(url).values()))
        assert api(url, f"models/{MODEL}")["detail"] == "No window has closed yet."
        sent = of(stream(range(1)), 1)[:50]
        scene.send(sent)
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []
        assert not any(map(math.isnan, samples(url).values()))


def test_row_31_a_partition_that_nobody_reads_for_long(make):
    """Its windows are judged without it when they were held long enough, and say so; when it is read on, the verdict is
    revised and whole. What was judged meanwhile is no drift."""
    scene = make(
        sources={"predictions": {"dead_letter": {"limit": "5%", "over": 1000}}},
        state={"max_hold": "1s", "stall": "1s"},
    )
    sent = [*stream(range(2)), *[Sent(0, b"{broken", START) for _ in range(300)], *stream(range(2, 3))]
    with scene.daemon() as daemon:
        url, last = daemon.server.url, START + 3 * WINDOW
        scene.send(sent)
        until(lambda: last in ended(daemon), "the last window to be judged without the partition")
        assert ended(daemon)[last] == (2 * ROWS, pytest.approx(2 / 3))
        assert verdicts(daemon)[last]["state"] in {"ok", "unknown"}
        scene.configure(sources={"predictions": {"dead_letter": {"limit": "100%"}}})
        assert get(f"{url}/-/reload", method="POST")[0] == 200
        await_done(daemon, len(sent))
        until(lambda: ended(daemon)[last] == (WHOLE, 1.0), "the revision")
        assert differences(daemon.state, recount(sent), None) == []
