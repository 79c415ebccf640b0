"""More records than can be counted, and state that takes long to store: rows 41 and 57."""

from __future__ import annotations

import time

import pytest

from tests.daemon.ask import api, get, samples, until
from tests.daemon.build import PARTITIONS, await_done, stream, verdicts
from tests.daemon.recount import differences, recount
from tests.faults.world import (
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


def lag_of(life) -> int:
    """Records that are waiting, as the API tells it."""
    found = partitions_of(life)
    print([(p["lag"], p["applied"], p["paused"]) for p in found])
    return sum(p["lag"] or 0 for p in found)


@pytest.mark.slow
@pytest.mark.kafka
def test_row_57_five_times_as_much_as_can_be_counted(tmp_path, kafka, receiver):
    """The lag grows and is shown, nothing is rebalanced, memory stays where it is; when the rush is over it is caught
    up with, and exact."""
    made = on_kafka(tmp_path, kafka, receiver=receiver)
    sent, rush = stream(range(8), rows=700), tmp_path / "rush"
    rush.write_text("0.5")
    with made.process(module="tests.faults.brisk", **{RUSH: str(rush)}) as life:
        until(lambda: get(f"{life.url}/-/ready")[0] == 200, "readiness")
        joined, before = counted(life, "rebalances_total"), resident(life.process.pid)
        made.send(sent)
        until(lambda: lag_of(life) > len(sent) / 3, "the lag to be shown")
        lag = [counted(life, "consumer_lag_records", str(p), made.topic) for p in range(PARTITIONS)]
        assert sum(lag) > len(sent) / 4
        rush.unlink()
        peak = resident(life.process.pid)
        while not has_read(life, len(sent), idle=0):
            peak = max(peak, resident(life.process.pid))
            time.sleep(0.1)
        assert peak - before < MOST
        assert counted(life, "rebalances_total") == joined
        ends_well(life, sent)
    is_exact(made, sent)
