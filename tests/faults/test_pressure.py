"""More records than can be counted, and state that takes long to store: rows 41 and 57."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from tests.daemon.ask import api, get, samples, until
from tests.daemon.build import PARTITIONS, await_done, stream, verdicts
from tests.daemon.recount import differences, recount
from tests.faults.shared_state import shared, wrong
from tests.faults.world import (
    BRISK,
    RUSH,
    counted,
    ends_well,
    has_read,
    is_exact,
    on_kafka,
    partitions_of,
    resident,
)

MOST = 64 << 20
"""Bytes that a process may grow by while it is behind: what it fetches ahead, and the batches in its pipeline."""
WIDE, POLLED = 8000, 256 << 20
"""Bytes of a record, and that it may grow by while these are read as fast as they come: what is fetched ahead, 32 MiB and
what comes on top, and four polls of 16 MiB that are on their way."""
FIRST = 15_000
"""Records that come before reading is paused; those after it wait, whatever the machine's pace."""
TRICKLE = 50
"""Bytes of state a second: the first request goes through, and what comes after it waits for minutes."""


def test_row_41_state_is_stored_slowly_while_records_come_fast(make):
    """Reading waits for the state, not memory: what is held is bounded, and then all of it is counted."""
    scene = make()
    sent = stream(range(10), rows=1500)
    with scene.daemon() as daemon:
        url = daemon.server.url
        until(lambda: get(f"{url}/-/ready")[0] == 200, "readiness")
        store, stored = daemon.state.checkpoint, []

        def slowly(source, sketches, marker):
            time.sleep(0.4)
            stored.append(marker.applied)
            store(source, sketches, marker)

        daemon.state.checkpoint = slowly
        before, peak = resident("self"), 0
        scene.send(sent)
        until(lambda: stored, "the first slow checkpoint")
        while sum(report.applied for report in daemon.view().partitions) < len(sent):
            peak = max(peak, resident("self"))
            assert get(f"{url}/-/healthy")[0] == 200
            time.sleep(0.05)
        assert peak - before < MOST
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []
        assert not any(p["paused"] for p in api(url, "partitions"))
        assert samples(url)["assigned_partitions", scene.topic] == PARTITIONS


@pytest.mark.slow
@pytest.mark.kafka
def test_row_41_the_brokers_let_state_trickle_through(tmp_path, frail, receiver):
    """More comes than the process may hold, while a quota of the brokers lets hardly any state through: a write is given
    up, reading is paused and says why, memory stays where it is; then reading goes on, and all of it is counted."""
    made = shared(tmp_path, frail, receiver=receiver)
    name, peaks = f"slow-{made.topic}", []
    made.configure(kafka={"properties": {"client.id": name}})
    sent = [replace(one, value=one.value.ljust(WIDE)) for one in stream(range(10), rows=1500)]
    with made.process(module=BRISK) as life:
        until(lambda: get(f"{life.url}/-/ready")[0] == 200, "readiness")
        before = resident(life.process.pid)

        def seen(done):
            peaks.append(resident(life.process.pid))
            return done

        frail.throttle(name, TRICKLE)
        made.send(sent[:FIRST])
        paused = "reading to be paused for the state"
        until(lambda: seen([p for p in partitions_of(life) if "not acknowledged" in p["paused"]]), paused)
        made.send(sent[FIRST:])
        until(lambda: seen(lag_of(life) * WIDE > POLLED), "more to wait than may be held")
        assert get(f"{life.url}/-/healthy")[0] == 200
        assert [p for p in partitions_of(life) if "not acknowledged" in p["paused"]]
        frail.throttle(name, None)
        until(lambda: seen(has_read(life, len(sent), idle=0)), "all to be read", seconds=120)
        assert max(peaks) - before < POLLED
        assert not any(p["paused"] for p in partitions_of(life))
        ends_well(life, sent)
    assert wrong(made, sent) == []


def lag_of(life) -> int:
    """Records that are waiting, as the API tells it."""
    return sum(p["lag"] or 0 for p in partitions_of(life))


@pytest.mark.slow
@pytest.mark.kafka
def test_row_57_five_times_as_much_as_can_be_counted(tmp_path, kafka, receiver):
    """The lag grows and is shown, and when it will be caught up with; nothing is rebalanced, memory stays where it is; when
    the rush is over all is counted, exactly."""
    made = on_kafka(tmp_path, kafka, receiver=receiver)
    sent = [replace(one, value=one.value.ljust(3000)) for one in stream(range(8), rows=700)]
    rush = (
        tmp_path / "rush"
    )  # 4,500 of them are in the pipeline when a checkpoint waits for it: seven seconds
    rush.write_text("0.3")
    with made.process(module="tests.faults.brisk", **{RUSH: str(rush)}) as life:
        until(lambda: get(f"{life.url}/-/ready")[0] == 200, "readiness")
        joined, before = counted(life, "rebalances_total"), resident(life.process.pid)
        made.send(sent)
        until(lambda: lag_of(life) > len(sent) / 3, "the lag to be shown")
        lag = [counted(life, "consumer_lag_records", str(p), made.topic) for p in range(PARTITIONS)]
        assert sum(lag) > len(sent) / 4
        arrival = until(lambda: max(p["caughtUpIn"] or 0 for p in partitions_of(life)), "a time of arrival")
        assert 1 < arrival < 600
        until(lambda: "caught up in" in get(f"{life.url}/")[1], "it to be on the page")
        rush.unlink()
        peak = resident(life.process.pid)
        while not has_read(life, len(sent), idle=0):
            peak = max(peak, resident(life.process.pid))
            time.sleep(0.1)
        assert peak - before < MOST
        assert counted(life, "rebalances_total") == joined
        ends_well(life, sent)
    is_exact(made, sent)
