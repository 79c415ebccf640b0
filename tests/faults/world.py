"""What the tests of faults share: the world around a daemon, and what is asked of the daemon in it."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

from monitor.deliver.receiver import Receiver
from tests.daemon.ask import api, get, samples, until
from tests.daemon.build import MODEL, PARTITIONS, scene
from tests.daemon.recount import differences, recount, stored_verdicts

BRISK = "tests.faults.brisk"
RUSH = "DRIFTLINE_RUSH"
"""A file that says how many seconds such a process takes longer for each batch of 200 records, while it is there."""


class Watcher(Receiver):
    """A receiver that knows when each request came: `times[n]` of `requests[n]`, seconds of the wall clock."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.times = []

    def _take(self, received):
        self.times.append(time.time())
        return super()._take(received)


def on_kafka(folder, broker, *, partitions=PARTITIONS, receiver=None, config=(), **change):
    """A scene on a real broker, whose topic keeps records of long ago."""
    made = scene(folder, broker, receiver=receiver, create=False, **change)
    broker.create_topic(made.topic, partitions=partitions, config={"retention.ms": "-1", **dict(config)})
    return made


def pieces(sent, count):
    """The log in so many parts."""
    size = -(-len(sent) // count)
    return [sent[at : at + size] for at in range(0, len(sent), size)]


def ms(text):
    """An RFC 3339 time in milliseconds."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def alerts_of(received):
    """The alerts of all requests, in order."""
    posts = [request for request in list(received) if request.path.endswith("/alerts")]
    return [alert for request in posts for alert in request.json()]


def partitions_of(life):
    """The partitions as the API tells them; the process must live."""
    assert life.process.poll() is None, life.output
    return api(life.url, "partitions")


def has_read(life, count, *, idle=PARTITIONS):
    """Whether `count` records are durable and `idle` partitions have come to their end."""
    found = partitions_of(life)
    return sum(p["applied"] for p in found) == count and sum(p["idle"] for p in found) >= idle


def has_judged(life, count):
    return len(json.loads(get(f"{life.url}/api/v1/models/{MODEL}/verdicts")[1])["data"]) >= count


def await_read(life, sent):
    """Wait until the log is applied and judged."""
    until(lambda: has_read(life, len(sent)), f"{len(sent)} records to be applied")
    until(lambda: has_judged(life, len(recount(sent).ends)), "the last window")


def ends_well(life, sent):
    """Wait until the log is applied and judged, then end the process with SIGTERM."""
    await_read(life, sent)
    assert life.end() == 0, life.output


def is_exact(scene, sent):
    """State, tallies and verdicts that the last process left are those of the log."""
    state = scene.found()
    try:
        assert differences(state, recount(sent), stored_verdicts(state)) == []
    finally:
        state.close()


def ledger_of(scene, kind):
    """Entries of one kind that the last process left."""
    state = scene.found()
    try:
        return dict(state.ledger(MODEL, kinds=None).of(kind))
    finally:
        state.close()


def counted(life, *series):
    """A sample of `/metrics`, 0 where there is none."""
    return samples(life.url).get(series, 0.0)


def lines_of(life, event):
    """The lines of the log that tell of an event."""
    lines = [json.loads(line) for line in life.output.splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("event") == event]


def resident(pid):
    """Bytes of memory that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))
