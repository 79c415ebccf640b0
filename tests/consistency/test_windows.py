"""From counts to figures of windows, and to what limits on them do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.clock import ManualClock
from monitor.consistency.tallies import RECORD, TOLD_FOR, Tallies
from monitor.consistency.windows import KIND, SETTLE, Consistency
from monitor.incident.track import Kind as Change
from monitor.incident.track import stand
from monitor.names import Source
from monitor.plan import RawRule, WindowSpec
from monitor.state.log import Ledger
from monitor.verdict import State, Unknown
from tests.consistency.test_check import MINUTE, plan
from tests.incident.cases import verdict

SIZE = 5 * MINUTE
START = 1_760_000_100_000
LIMIT = RawRule("skew", "feature_mismatch", "rate", ">", 0.1, 1, "page")


class Scene:
    """The windows of one model; what is made durable lies in `ledger`, and outlives `restart`."""

    def __init__(self, *limits, **more):
        model = plan()
        self.plan = replace(
            model,
            store=replace(model.store, limits=limits or (LIMIT,)),
            min_records=20,
            clear_after=1,
            **more,
        )
        self.clock = ManualClock(START)
        self.ledger = {}
        self.incidents = {}
        self.restart()
        self.judged = {spec.name: START for spec in self.plan.windows}
        self.due()

    def restart(self):
        self.tallies = Tallies(self.clock, run="a")
        self.one = Consistency(self.plan, self.tallies)
        self.one.restore(Ledger("rides", 1, self.ledger))

    def count(self, window, *, compared=100, bad=0, moved=0, feature="rate"):
        rows = {feature: (compared, bad, moved), RECORD: (compared, bad, moved)}
        self.tallies.add("rides", START + window * SIZE, rows)

    def said(self, name, end):
        """The judge's verdict, whose records have offsets by the number of the window."""
        number = (end - START) // SIZE - 1
        return replace(verdict(0, "ok"), offsets={Source("p", 0): (100 * number, 100 * number + 99)})

    def due(self):
        """What is due, made durable."""
        found = []
        now = self.clock.now_ms()
        for measured in self.one.due(lambda: self.incidents, judged=self.judged, now=now, said=self.said):
            for entry in self.one.entries(measured):
                kind = self.ledger.setdefault(entry.kind, {})
                kind.pop(entry.id, None)
                if entry.body is not None:
                    kind[entry.id] = entry.body
            self.incidents = stand(self.incidents, measured.transitions)
            self.one.accept(measured)
            found.append(measured)
        return found

    def close(self, window):
        """The window is judged, and all that was asked is answered."""
        for spec in self.plan.windows:
            self.judged[spec.name] = START + (window + 1) * SIZE
        assert self.due() == []
        self.clock.advance(SETTLE / 1000)
        return self.due()


def changes(measured):
    return [(str(one.kind), one.incident.rule) for item in measured for one in item.transitions]


def test_a_window_has_the_ratio_of_each_feature_with_bounds():
    """Counts of its panes alone, and the share that was not what the store has."""
    scene = Scene()
    scene.count(0, compared=60, bad=3, moved=5)
    scene.tallies.add("rides", START + MINUTE, {"rate": (40, 1, 0), RECORD: (40, 1, 0)})
    scene.count(1, compared=50, bad=50)
    (measured,) = scene.close(0)
    figures = measured.verdict.scores["rate"]
    assert figures["feature_mismatch"] == pytest.approx(0.04)
    assert figures["feature_mismatch_low"] < 0.04 < figures["feature_mismatch_high"]
    assert [figures[name] for name in ("compared", "mismatched", "moved")] == [100, 4, 5]
    assert (measured.verdict.state, measured.verdict.rows, measured.verdict.rules) == (State.OK, 100, ())


def test_a_limit_opens_an_incident_and_agreement_ends_it():
    """By the same tracker as any limit, with the ratio as evidence."""
    scene = Scene()
    scene.count(0, bad=11)
    scene.count(1, bad=5)
    opened = scene.close(0)
    assert changes(opened) == [(Change.OPEN, "skew")]
    evidence = opened[0].transitions[0].incident.evidence
    assert evidence["rule"] == {"when": "feature_mismatch(rate) > 0.1", "score": 0.11, "limit": 0.1}
    assert changes(scene.close(1)) == [(Change.RESOLVE, "skew")]


def test_a_limit_that_must_hold_for_a_time_remembers_over_a_restart():
    """Of a window only the counts of a running process are known, of windows before what was made durable."""
    scene = Scene(replace(LIMIT, windows=-2 * SIZE))
    scene.count(0, bad=50)
    assert changes(scene.close(0)) == []
    scene.restart()
    scene.count(1, bad=50)
    assert changes(scene.close(1)) == [(Change.OPEN, "skew")]


def test_too_little_neither_opens_nor_closes():
    """An unreachable store, or one that moves on all the time, says nothing: an incident stays as it is."""
    scene = Scene()
    scene.count(0, bad=50)
    scene.close(0)
    (nothing,) = scene.close(1)
    assert (nothing.verdict.state, nothing.verdict.reason) == (State.UNKNOWN, Unknown.NO_DATA)
    scene.count(2, compared=19, bad=0, moved=400)
    (little,) = scene.close(2)
    assert little.verdict.reason is Unknown.NOT_ENOUGH_DATA
    assert "feature_mismatch" not in little.verdict.scores["rate"]
    assert changes([nothing, little]) == []
    assert scene.incidents["skew"].firing


def test_a_feature_that_was_hardly_compared_keeps_its_incident():
    """Others of the window were, which says nothing of it."""
    scene = Scene()
    scene.count(0, bad=50)
    scene.close(0)
    scene.count(1, feature="city")
    scene.count(1, compared=3, feature="rate")
    (measured,) = scene.close(1)
    assert measured.verdict.state is State.OK
    assert changes([measured]) == []
    assert scene.incidents["skew"].firing


def test_a_limit_on_whole_records_and_every_family_of_windows():
    """Without a feature in brackets it is of records with any mismatch."""
    scene = Scene(
        replace(LIMIT, feature=""), windows=(WindowSpec("5m", SIZE, SIZE), WindowSpec("10m", 2 * SIZE, SIZE))
    )
    scene.count(0, bad=15)
    found = scene.close(0)
    assert [one.verdict.window for one in found] == ["5m", "10m"]
    assert changes(found)[0] == (Change.OPEN, "skew")
    incident = scene.incidents["skew"]
    assert incident.evidence["rule"]["when"] == "feature_mismatch > 0.1"
    assert incident.cause == "feature_mismatch"


def test_windows_of_before_are_nobody_s_and_a_long_silence_is_one_step():
    """What was judged before anybody asked the store is not compared after the fact."""
    scene = Scene()
    scene.judged = {"5m": START + 1_000 * SIZE}
    scene.due()
    scene.clock.advance(SETTLE / 1000)
    assert len(scene.due()) == 1
    assert scene.one.history["5m"][-1].end == START + 1_000 * SIZE


def test_only_so_many_windows_are_kept():
    """In memory and in the ledger."""
    scene = Scene()
    for window in range(205):
        scene.close(window)
    assert len(scene.ledger[KIND]) == 200
    assert len(scene.one.history["5m"]) == 200


def test_replicas_tell_each_other_what_they_counted():
    """Each counts records of its own partitions; a life that ended stays counted, and what is told twice counts once."""
    clock = ManualClock(START)
    judge, other = Tallies(clock, "a"), Tallies(clock, "b")
    judge.add("rides", START, {"rate": (10, 1, 0)})
    other.add("rides", START, {"rate": (5, 5, 0)})
    other.note("rides", "failed", 3)
    other.answered("rides", "no answer")

    def hear(one):
        judge.take([(clock.now_ms(), one.tell())], 120_000)

    hear(other)
    hear(other)
    assert judge.sums("rides", START, START + 1) == {"rate": (15, 6, 0)}
    assert judge.standing("rides").error == "no answer"
    again = Tallies(clock, "c")
    again.add("rides", START, {"rate": (1, 0, 0)})
    hear(again)
    assert judge.sums("rides", START, START + 1) == {"rate": (16, 6, 0)}
    clock.advance(TOLD_FOR / 1000 + 1)
    assert other.tell()["panes"]["rides"] == {}
    clock.advance(120)
    judge.take([], 120_000)
    assert judge.standing("rides").error == ""


def test_an_incident_says_since_when_and_which_records():
    """Three windows break the limit, which has to last for two: the onset is the first of them."""
    scene = Scene(replace(LIMIT, windows=2))
    found = []
    for number, bad in enumerate((0, 40, 40, 40)):
        scene.count(number, bad=bad)
        found += scene.close(number)
    opened = next(one.incident for measured in found for one in measured.transitions)
    assert opened.onset == START + SIZE
    assert [one.verdict.offsets[Source("p", 0)][0] for one in found] == [0, 100, 200, 300]
    assert found[2].verdict.since == {Source("p", 0): (100, 299)}
    assert found[3].verdict.since == {Source("p", 0): (100, 399)}
