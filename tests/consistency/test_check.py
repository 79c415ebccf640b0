"""A sample of records, the questions it makes, and what is counted of the answers."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

from monitor.clock import ManualClock
from monitor.columns import Batch, Columns
from monitor.consistency.check import BURST, TOGETHER, WAITING, Check
from monitor.consistency.tallies import RECORD, Tallies
from monitor.deliver.receiver import Receiver
from monitor.names import CHAMPION, Source
from monitor.plan import Budget, FeaturePlan, Kind, ModelPlan, StorePlan, WindowSpec
from tests.consistency.peer import FeatureServer, server_plan

MINUTE = 60_000
START = 1_760_000_100_000
SOURCE = Source("rides", 0)
FEATURES = {"rate": "driver_stats:conv_rate", "city": "driver_stats:city"}


def plan(**store):
    given = {"entities": {"driver_id": ("driver",)}, "features": FEATURES, "per_minute": 60_000, **store}
    return ModelPlan(
        name="rides", source="s", rules=(), windows=(WindowSpec("5m", 5 * MINUTE, 5 * MINUTE),), pane=MINUTE,
        features=(
            FeaturePlan("rate", ("features", "rate"), Kind.NUMERIC),
            FeaturePlan("city", ("features", "city"), Kind.CATEGORICAL),
        ),
        budget=Budget(1, 30 * 86_400_000), config="c", store=StorePlan(**given),
    )  # fmt: skip


def row(driver, rate, city, event):
    return event, {"driver": driver, "features": {"rate": rate, "city": city}}


def batch_of(rows, *, first=0, variants=None):
    """Rows as (event, record): what intake makes of them."""
    count = len(rows)
    offsets = np.arange(first, first + count)
    values = [json.dumps(record).encode() for _, record in rows]
    batch = Batch(SOURCE, values, [None] * count, [None] * count, offsets, offsets)
    groups = tuple(dict.fromkeys(("", one) for one in variants or [CHAMPION]))
    columns = Columns(
        model="rides", index=np.arange(count), offsets=offsets, timestamps=offsets,
        events=np.array([event for event, _ in rows], np.int64), values=np.zeros((1, count)),
        codes=np.zeros((1, count), np.int32), latency=np.zeros(count), errors=np.zeros(count, np.uint8),
        group=np.array([groups.index(("", one)) for one in variants or [CHAMPION] * count], np.int32), groups=groups,
    )  # fmt: skip
    return batch, columns


class Scene:
    def __init__(self, receiver, **store):
        self.clock = ManualClock(START)
        self.tallies = Tallies(self.clock, run="a")
        self.server = FeatureServer(receiver, ("conv_rate", "city"))
        self.check = Check(plan(**store), server_plan(receiver.url), self.tallies, self.clock)
        self.next = 0
        self.server.rows = {n: (START - 3_600_000, {"conv_rate": n / 10, "city": "Graz"}) for n in range(10)}

    def offer(self, *rows, variants=None):
        self.check.offer(*batch_of(rows, first=self.next, variants=variants))
        self.next += len(rows)

    def prime(self):
        """Ask once for all, so that it is known how new the store was before what comes."""
        self.offer(*(row(n, n / 10, "Graz", START) for n in range(10)))
        self.check.turn()
        self.clock.advance(10)
        self.tallies.forget("rides", START + 10 * 3_600_000)

    def sums(self):
        return self.tallies.sums("rides", 0, 2 * START)

    @property
    def outcomes(self):
        return {name: count for name, count in self.tallies.standing("rides").outcomes.items() if count}


@pytest.fixture
def scene():
    with Receiver() as receiver:
        yield Scene(receiver)


def test_what_differs_is_counted_by_feature_and_pane(scene):
    """A pane has what was compared of its records, each feature for itself, and the records with any mismatch."""
    scene.prime()
    now = START + 10_000
    scene.offer(
        row(1, 0.1, "Graz", now), row(2, 0.25, "Graz", now), row(3, 0.35, "Linz", now), row(4, 0.4, "Graz", now + MINUTE)
    )  # fmt: skip
    assert scene.check.turn() == 4
    assert scene.sums() == {"rate": (4, 2, 0), "city": (4, 1, 0), RECORD: (4, 2, 0)}
    assert scene.tallies.sums("rides", START // MINUTE * MINUTE + MINUTE, 2 * START)["rate"] == (1, 0, 0)


def test_before_anything_was_seen_of_the_store_nothing_is_said(scene):
    """Values may have been written between the record and the first question."""
    scene.offer(row(1, 0.9, "Linz", START))
    scene.check.turn()
    assert scene.sums() == {"rate": (0, 0, 1), "city": (0, 0, 1), RECORD: (0, 0, 1)}


def test_a_store_that_moved_on_is_no_mismatch(scene):
    """A push after the record, and a batch of older times that is written between the record and the question."""
    scene.prime()
    now = START + 10_000
    scene.server.rows[1] = (now + 5_000, {"conv_rate": 9.9, "city": "Wels"})
    scene.server.rows[2] = (START - 1_800_000, {"conv_rate": 9.9, "city": "Wels"})
    scene.offer(row(1, 0.1, "Graz", now), row(2, 0.2, "Graz", now), row(3, 0.3, "Graz", now))
    scene.check.turn()
    assert scene.sums() == {"rate": (1, 0, 2), "city": (1, 0, 2), RECORD: (1, 0, 2)}
    scene.clock.advance(5)  # the batch is known now: what comes later was made of it, or should have been
    scene.offer(row(2, 0.2, "Graz", now + 5_000))
    scene.check.turn()
    assert scene.sums()["rate"] == (2, 1, 2)


def test_the_sample_is_chosen_by_hash_and_bounded(scene):
    """A share of the records, the same however they come in batches; no more than the limit; of each batch those of
    smallest hash."""
    with Receiver() as receiver:
        rows = [row(n % 10, 0.1, "Graz", START) for n in range(1_000)]
        picked = []
        for size in (1_000, 100, 7):
            part = Scene(receiver, share=0.2)
            for at in range(0, 1_000, size):
                part.offer(*rows[at : at + size])
            while part.check.turn():
                pass
            picked.append(part.outcomes)
        assert picked[0] == picked[1] == picked[2]
        assert 150 < picked[0]["compared"] < 250
        tight = Scene(receiver, per_minute=60)
        tight.offer(*rows)
        assert tight.outcomes == {"limited": 1_000 - int(BURST)}
        tight.clock.advance(1)
        tight.offer(*rows[:100])
        assert tight.outcomes == {"limited": 1_000 - int(BURST) + 99}


def test_the_queue_drops_the_oldest_and_old_records_are_passed_over(scene):
    """Nothing waits for the store; what became too old while it waited is not asked for."""
    scene.offer(*(row(1, 0.1, "Graz", START - MINUTE - n) for n in range(2)))
    assert scene.outcomes == {"stale": 1}
    for _ in range(WAITING // 1_000 + 1):
        scene.offer(*(row(1, 0.1, "Graz", START) for _ in range(1_000)))
    assert scene.outcomes == {"stale": 1, "dropped": 1_001}
    scene.clock.advance(61)
    assert scene.check.turn() == 0
    assert scene.outcomes == {"stale": 1 + TOGETHER, "dropped": 1_001}
    assert scene.server.asked == 0


def test_challengers_and_records_without_an_entity_are_left_out(scene):
    """Of the variant that is judged, those that say whom they are about."""
    rows = [row(1, 0.1, "Graz", START), row(2, 0.2, "Graz", START), row(None, 0.2, "Graz", START)]
    scene.offer(*rows, variants=[CHAMPION, "challenger", CHAMPION])
    assert scene.check.turn() == 1
    assert scene.outcomes == {"compared": 1, "no_entity": 1}


def test_one_record_that_the_server_refuses_does_not_fail_the_others(scene):
    """Halves are asked for until it is alone; the server's words, which quote it, are nowhere."""
    scene.offer(*(row("Bob" if n == 61 else 1, 0.1, "Graz", START) for n in range(TOGETHER)))
    assert scene.check.turn() == TOGETHER - 1
    assert scene.outcomes == {"compared": TOGETHER - 1, "failed": 1}
    assert scene.tallies.standing("rides").error == ""


def test_an_unreachable_store_is_counted_and_shown_and_asked_less_often():
    """No counts come of it, so that no limit can hold; with the first answer it is as before."""
    with Receiver() as receiver:
        scene = Scene(receiver)
    scene.offer(*(row(1, 0.1, "Graz", START) for _ in range(5)))
    assert scene.check.turn() == 0
    assert scene.outcomes == {"failed": 5}
    assert "no answer" in scene.tallies.standing("rides").error
    assert scene.sums() == {}
    pauses = []

    class Stop(threading.Event):
        def wait(self, timeout=None):
            pauses.append(timeout)
            return len(pauses) > 10

    class Clock(ManualClock):
        def wait(self, event, seconds):
            scene.offer(row(1, 0.1, "Graz", START))
            return event.wait(seconds)

    scene.check._clock = Clock(START)
    scene.check.run(Stop())
    assert pauses[:3] == [1.0, 2.0, 4.0]
    assert pauses[-1] == 60.0
