"""Partitions that come and go, fall silent, wake up or belong to nobody: rows 8, 9 and 28 to 31."""

from __future__ import annotations

import threading
from dataclasses import replace

from monitor.clock import ManualClock
from monitor.errors import StateDamaged, StateUnsettled
from monitor.ingest import Ingest
from monitor.intake.dead_letter import Counted
from monitor.names import Source
from monitor.state.simulated import SimulatedLog
from monitor.steps import Cadence
from monitor.verdict import State
from tests.daemon.ask import until
from tests.daemon.build import MODEL, START, WINDOW, await_done, stream, verdicts
from tests.daemon.recount import differences, recount
from tests.test_ingest import SOURCE, Script, counted, gate, inputs_of, record, started  # noqa: F401 gate: fixture
from tests.test_judgement import PATIENCE, WINDOWS, A, B, due, judgement, progress, sketch
from tests.test_judgement import START as BEGIN
from tests.test_partition import START as FIRST

OTHER, THIRD = Source("predictions", 1), Source("predictions", 2)


class Slow(SimulatedLog):
    """Recovers when it is let; one partition of it is damaged."""

    def __init__(self, clock):
        super().__init__(0, clock=clock)
        self.gate, self.asked = threading.Semaphore(0), []

    def recover(self, source):
        self.asked.append(source)
        self.gate.acquire(timeout=20)
        if source == THIRD:
            raise StateDamaged("no checkpoint is whole - here - restore the topic")
        return super().recover(source)


class Group(Script):
    """Opens what was recovered, as the consumer does in each poll."""

    def __init__(self, ingest):
        super().__init__(ingest)
        self.opened = {}

    def poll(self, most, timeout):
        opened = self.ingest.recovered()
        for source in opened:
            if opened[source] is None:
                self.ingest.began(source, 0, since=-1)
        self.opened |= opened
        return super().poll(most, timeout)


def test_row_08_partitions_come_and_go_while_others_are_recovered():
    """One is taken away in the middle of its recovery, another comes meanwhile, and the first comes back: what was
    read for an assignment that is over counts for nothing, a damaged one stops no other, and the loop goes on."""
    clock = ManualClock(FIRST)
    state = Slow(clock)
    before, script, _ = started(Counted(), clock)
    before._state = state
    state.gate.release(100)
    script.begin(0)
    script.give(record(0), record(1))
    before.tick()
    before.checkpoint([SOURCE])
    state.gate, state.asked = threading.Semaphore(0), []
    ingest = Ingest(
        inputs_of(Counted()), connect=Group, state=state, clock=clock, cadence=Cadence(), beside=True
    )
    assert ingest.positions([SOURCE, OTHER]) == {}
    until(lambda: state.asked == [SOURCE], "the first recovery to begin")
    ingest.lost([SOURCE])
    assert ingest.positions([THIRD]) == {}
    script.give(record(2))  # the owner of the meantime goes on
    before.tick()
    before.checkpoint([SOURCE])
    ingest.positions([SOURCE])
    assert ingest.tick() == 0  # waits for nothing
    state.gate.release(100)
    until(lambda: ingest.tick() == 0 and not ingest.recovering, "all to be recovered")
    assert state.asked == [SOURCE, OTHER, THIRD, SOURCE]
    assert ingest.consumer.opened == {SOURCE: 3, OTHER: None}
    assert ingest.partitions.keys() == {SOURCE, OTHER}
    assert ingest.refused.keys() == {THIRD}
    ingest.consumer.at = 3
    ingest.consumer.give(record(3))
    ingest.tick()
    ingest.checkpoint([SOURCE])
    assert counted(state) == (4, 4)
    ingest.lost([SOURCE, OTHER, THIRD])
    assert not ingest.refused


def test_row_09_given_back_before_the_drain_has_ended(gate):  # noqa: F811 the fixture
    """Batches of the former assignment are folded still when the partition is ours again: none of them reaches the
    counts that were recovered, and none is waited for in vain."""
    ingest, script, state = started(Counted(), ManualClock(FIRST))
    script.begin(0)
    ingest.checkpoint([SOURCE])
    for _ in range(2):
        for minute in range(3):
            script.give(record(minute))
            ingest.tick()
        assert gate.reached.wait(10)
        threading.Timer(0.05, gate.set).start()
        ingest.lost([SOURCE])
        assert ingest.positions([SOURCE]) == {SOURCE: 0}
        script.at = 0
        gate.clear()
        gate.reached.clear()
    gate.set()
    script.give(record(0), record(1))
    ingest.tick()
    ingest.revoked([SOURCE])
    assert ingest.positions([SOURCE]) == {SOURCE: 2}
    assert counted(state) == (2, 2)


def without(sent, partition):
    """The log without the records of a partition."""
    return [one for one in sent if one.partition != partition]


def test_row_28_an_idle_partition_holds_no_window(make):
    """Nothing comes of one partition: after the idle time the windows of the others close all the same, and exactly."""
    scene = make()
    sent = without(stream(range(4)), 2)
    with scene.daemon() as daemon:
        scene.send(sent)
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []
        assert all(verdict.coverage == 1 for verdict in daemon.evaluate.verdicts(MODEL))


def test_row_29_an_idle_partition_wakes_up_with_old_events(make):
    """What it brings belongs to windows that were judged: the last two are revised, what is older than they and the
    allowed lateness is counted and changes no verdict, and no other partition is set back."""
    scene = make()
    sent = stream(range(5))
    old = [one for one in sent if one.partition == 2 and one.timestamp >= START + WINDOW]
    early = [one for one in sent if one not in old]
    ends = [START + number * WINDOW for number in range(1, 6)]
    with scene.daemon() as daemon:

        def watermarks():
            return [report.watermark for report in daemon.view().partitions][:2]

        def judged():
            return {
                verdict.end: (verdict.revision > 0, verdict.rows)
                for verdict in daemon.evaluate.verdicts(MODEL)
            }

        scene.send(early)
        await_done(daemon, len(early))
        before = watermarks()
        assert judged() == {end: (False, 240 + 120 * (end == ends[0])) for end in ends}
        scene.send(old)
        await_done(daemon, len(sent))
        until(lambda: judged()[ends[-1]] == judged()[ends[-2]] == (True, 360), "the windows to be revised")
        assert [judged()[end] for end in ends[:3]] == [(False, 360), (False, 240), (False, 240)]
        assert differences(daemon.state, recount(sent), None) == []
        assert watermarks() == before


def test_row_30_a_partition_that_waits_is_not_idle():
    """Nothing can be made durable, so nothing is read: the end of what was read is not the end of the log, and the
    window is held; when it can go on, it is judged with all there is."""
    clock = ManualClock(FIRST)
    ingest, script, state = started(Counted(), clock)
    script.begin(0)
    ingest.checkpoint([SOURCE])
    script.give(record(0), record(1))
    ingest.tick()
    store = state.checkpoint

    def refuse(*_):
        raise StateUnsettled("not acknowledged - broker - brokers that answer")

    state.checkpoint = refuse
    for _ in range(30):
        clock.advance(11.0)
        ingest.tick()
        report = ingest.progress(SOURCE)
        assert not report.idle
        assert report.paused.startswith("not acknowledged")
    model = judgement(WINDOWS[0])
    model.observe([sketch(0, 5, source=B)])
    now = BEGIN + PATIENCE.max_hold - 1
    held = replace(progress(A, 0, now=now), idle=report.idle, paused=report.paused)
    assert due(model, held, progress(B, 60), now=BEGIN, expected=(A, B)) == []
    assert due(model, held, progress(B, 60), now=now, expected=(A, B)) == []
    state.checkpoint = store
    clock.advance(11.0)
    ingest.tick()
    assert ingest.progress(SOURCE).paused == ""
    for _ in range(20):
        clock.advance(11.0)
        ingest.tick()
    assert ingest.progress(SOURCE).idle
    assert counted(state) == (2, 2)


def test_row_31_a_partition_that_nobody_owns_for_long():
    """After the longest hold its window is published as partial, which is no verdict; when somebody reads the
    partition, the window is judged again with all that it holds."""
    model = judgement(WINDOWS[0])
    model.observe([sketch(0, 5)])
    assert due(model, progress(A, 9), now=BEGIN, expected=(A, B)) == []
    now = BEGIN + PATIENCE.max_hold
    assert due(model, progress(A, 9, now=now), now=now - 1, expected=(A, B)) == []
    (partial,) = due(model, progress(A, 9, now=now), now=now, expected=(A, B))
    assert (partial.verdict.coverage, partial.verdict.state) == (0.5, State.UNKNOWN)
    assert (partial.verdict.rows, partial.verdict.revision) == (5, 0)
    model.observe([sketch(1, 3, source=B)])
    reports = (progress(A, 9, now=now), progress(B, 9, now=now))
    (whole,) = due(model, *reports, now=now, expected=(A, B))
    assert (whole.verdict.coverage, whole.verdict.rows, whole.verdict.revision) == (1.0, 8, 1)


def test_row_31_an_idle_partition_whose_reader_has_died():
    """What was last heard of it is that it has nothing. The others go on, and their window is held: of what came to it
    since nobody knows. When somebody reads it the window is judged with all there is, at its first revision."""
    model = judgement(WINDOWS[0], patience=replace(PATIENCE, settle=2_000))
    model.observe([sketch(0, 5)])
    idle = progress(B, 0, idle=True, now=BEGIN)

    def at(seconds, report):
        now = BEGIN + seconds * 1000
        return due(model, progress(A, 9, now=now), report, now=now, expected=(A, B))

    assert [at(seconds, idle) for seconds in (1, 4, 60, 119, 125)] == [[], [], [], [], []]
    model.observe([sketch(1, 3, source=B)])
    (whole,) = at(130, progress(B, 9, now=BEGIN + 129_000))
    assert (whole.verdict.coverage, whole.verdict.rows, whole.verdict.revision) == (1.0, 8, 0)


def test_row_28_an_idle_partition_that_goes_on_to_say_so_holds_no_window():
    """As soon as it has reported once more after the others were past the window."""
    model = judgement(WINDOWS[0], patience=replace(PATIENCE, settle=2_000))
    model.observe([sketch(0, 5)])
    reports = progress(A, 9, now=BEGIN), progress(B, 0, idle=True, now=BEGIN)
    assert due(model, *reports, now=BEGIN, expected=(A, B)) == []
    assert due(model, *reports, now=BEGIN + 3_000, expected=(A, B)) == []
    again = reports[0], progress(B, 0, idle=True, now=BEGIN + 10_000)
    (whole,) = due(model, *again, now=BEGIN + 10_000, expected=(A, B))
    assert (whole.verdict.coverage, whole.verdict.rows) == (1.0, 5)
