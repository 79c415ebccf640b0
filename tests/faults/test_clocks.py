"""Clocks that are wrong, of producers and our own: rows 33 and 34."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from monitor.assembly import assemble
from monitor.clock import ManualClock
from monitor.columns import Batch
from monitor.intake.dead_letter import Counted, Limit
from monitor.names import Source
from monitor.partition import Partition
from monitor.steps import fold_batch
from tests.daemon.ask import get
from tests.daemon.build import MODEL, PANE, START, rows_of, scene, stream
from tests.faults.world import (
    BRISK,
    Watcher,
    alerts_of,
    await_read,
    is_exact,
    ms,
    pieces,
)

YEAR = 365 * 86_400_000
MISSING = -1


class Nowhere:
    """Stands for a broker where nothing is read."""

    bootstrap = "127.0.0.1:9"


def folded(folder, records, *, log_append):
    """A partition after these (event time, record timestamp), and its tallies."""
    made = scene(folder, Nowhere(), create=False)
    assembly = assemble([str(made.config)])
    (source,) = assembly.plans.sources
    item = assembly.input(source, Counted())
    partition = Partition(Source(made.topic, 0), item.plan, item.models, position=0)
    row = rows_of(0, 0)[0]
    values = [json.dumps({**row, "ts": event}).encode() for event, _ in records]
    for low in range(0, len(values), 100):  # cut anywhere: the fold is the same
        part = slice(low, low + 100)
        count = len(values[part])
        batch = Batch(
            partition.source, values[part], [None] * count, [None] * count, np.arange(low, low + count),
            np.array([timestamp for _, timestamp in records[part]], np.int64), log_append,
        )  # fmt: skip
        fold_batch(batch, partition=partition, item=item, limit=Limit(1, 1000), clock=ManualClock())
    sketches, marker = partition.checkpoint()
    return Counter(marker.tallies), sum(sketch.rows for sketch in sketches), partition, sketches


@pytest.mark.parametrize("log_append", [False, True])
def test_row_33_clocks_of_producers_are_wrong(tmp_path, log_append):
    """Years ahead is future, years behind is late, a unit that is mistaken is a reject that names the right one; none
    of it moves the watermark or makes a pane, and a timestamp that is missing changes nothing."""
    honest = [(START + second * 1000, START + second * 1000) for second in range(600)]
    now = START + 600_000
    ahead = now if log_append else now + 10 * YEAR  # a producer's clock speaks of the same future
    odd = [
        (now + 10 * YEAR, ahead),
        (now - 10 * YEAR, now),
        (0, now),
        (now // 1000, now),
        (now * 1000, now),
        (now, MISSING),
        (now, 0) if not log_append else (now, now),
    ]
    truth = folded(tmp_path / "honest", honest, log_append=log_append)
    found, rows, partition, sketches = folded(tmp_path / "odd", [*honest, *odd], log_append=log_append)
    future = 1 if log_append else 2
    assert found[f"{MODEL}|late"] == 2
    assert found[f"{MODEL}|bad_time"] + found["|bad_time"] == 2
    assert found["|future"] + found[f"{MODEL}|future"] == future
    assert rows == len(honest) + len(odd) - 4 - future
    assert 0 <= partition.watermark - truth[2].watermark <= 20_000  # that of honest rows among the odd ones
    assert {s.key.pane for s in sketches if s.rows} <= set(range(START, now + PANE, PANE))


@pytest.fixture
def clock(compiler, tmp_path):
    """The environment of a process, and what sets its clock: so many seconds off that of the machine."""
    library, file = tmp_path / "clock.so", tmp_path / "clock"
    source = Path(__file__).with_name("clock.cpp")
    subprocess.run(
        [compiler, "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, timeout=60
    )
    file.write_bytes(bytes(8))

    def set_to(seconds):
        with file.open("r+b") as opened:
            opened.write((seconds * 1_000_000_000).to_bytes(8, "little", signed=True))

    return {"LD_PRELOAD": str(library), "DRIFTLINE_CLOCK": str(file)}, set_to


@pytest.mark.slow(25)
def test_row_34_the_clock_of_the_machine_is_set_forward_and_back(make, clock):
    """An hour forward, then two back, while the daemon reads: it stays healthy, no count changes, the incident keeps its
    beginning, and every alert is valid on the clock that sent it."""
    with Watcher() as receiver:
        scene = make(alerts={"alertmanager": {"urls": [receiver.url]}})
        sent = stream(range(9), drifting=(3, 4, 5, 6, 7, 8))
        environment, set_to = clock
        begun, moved = [], []
        with scene.process(module=BRISK, **environment) as life:
            for offset, piece in zip((0, 3600, -3600), pieces(sent, 3), strict=True):
                set_to(offset)
                scene.send(piece)
                begun += piece
                await_read(life, begun)
                moved.append((len(receiver.requests), offset))
            count = len(receiver.requests)
            receiver.wait_for(count + 2)
            assert get(f"{life.url}/-/healthy")[0] == 200
            assert life.end() == 0, life.output
        (_, _), (_, _), (last, _) = moved
        alerts = alerts_of(receiver.requests)
        assert len({alert["startsAt"] for alert in alerts}) == 1
        assert all(alert["startsAt"] <= alert["endsAt"] for alert in alerts)
        for at, request in list(zip(receiver.times, receiver.requests, strict=True))[last + 1 :]:
            for alert in request.json():
                assert ms(alert["endsAt"]) > (at - 3600) * 1000 + 2000
    is_exact(scene, sent)
