"""The ingest loop with a scripted consumer: what is durable, in which order, and who waits for whom."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.clock import ManualClock
from monitor.columns import Batch
from monitor.errors import DeadLetterError, IntakeError, StateUnsettled
from monitor.ingest import Ingest
from monitor.intake.dead_file import FileDeadLetters
from monitor.intake.dead_letter import Counted, DeadLetters
from monitor.intake.decode import Decoder
from monitor.names import Source
from monitor.partition import Model
from monitor.plan import DeadLetterPlan, SourcePlan
from monitor.salvage import scan
from monitor.state.simulated import SimulatedLog
from monitor.steps import Cadence, Input
from tests.test_partition import LAYOUT, MINUTE, PLAN, START

SOURCE = Source("predictions", 0)
INTAKE = SourcePlan(
    name="s",
    topic="predictions",
    time=("t",),
    models=("m",),
    idle=60_000,
    dead_letter=DeadLetterPlan(limit=1),
)


class Script:
    """Hands out what it is given, as a group member that is alone."""

    def __init__(self, ingest: Ingest) -> None:
        self.ingest = ingest
        self.batches: list[Batch] = []
        self.at = 0
        self.answers = True
        self.asked: list[int] = []
        """Records that each poll might take."""

    def begin(self, offset: int, *, since: int = -1) -> None:
        assert self.ingest.positions([SOURCE]) == {SOURCE: None}
        self.ingest.began(SOURCE, offset, since=since)
        self.at = offset

    def give(self, *values: bytes) -> None:
        count = len(values)
        offsets = np.arange(self.at, self.at + count)
        self.batches.append(
            Batch(SOURCE, values, [None] * count, [None] * count, offsets, np.full(count, START))
        )
        self.at += count

    def poll(self, most: int, _timeout: float) -> list[Batch]:
        self.asked.append(most)
        batches, self.batches = self.batches, []
        return batches

    def close(self) -> None:
        self.ingest.revoked([SOURCE])

    def gaps(self) -> tuple[()]:
        return ()

    def position(self, _source: Source) -> int:
        return self.at

    def end_offset(self, _source: Source) -> int:
        return self.at

    def held(self, _source: Source) -> str:
        return ""

    def query(self, _source: Source) -> tuple[int, int]:
        return (0, self.at) if self.answers else (-1, -1)

    def committed(self, sources: Collection[Source]) -> dict[Source, int]:
        return dict.fromkeys(sources, -1)

    def commit(self, source: Source, offset: int) -> None: ...

    def seek(self, _source: Source, offset: int) -> None:
        self.at = offset

    def pause(self, source: Source) -> None: ...

    def resume(self, source: Source) -> None: ...


def inputs_of(letters: DeadLetters, plan: SourcePlan = INTAKE) -> dict[str, Input]:
    decoder = Decoder(plan, {"m": PLAN}, {})
    return {"predictions": Input(plan, decoder, {"m": Model(PLAN, LAYOUT)}, letters)}


def started(
    letters: DeadLetters, clock: ManualClock, plan: SourcePlan = INTAKE
) -> tuple[Ingest, Any, SimulatedLog]:
    """A loop, its consumer and its state."""
    state = SimulatedLog(0, clock=clock)
    inputs = inputs_of(letters, plan)
    connect: Any = Script
    ingest = Ingest(inputs, connect=connect, state=state, clock=clock, cadence=Cadence())
    return ingest, ingest.consumer, state


def record(minute: int) -> bytes:
    return b'{"t": %d, "x": 1.0, "c": "a"}' % (START + minute * MINUTE)


def test_closing_covers_no_reject_that_is_not_durable(tmp_path: Path) -> None:
    """The dead letters cannot be written; the checkpoint at the stop and the one of the revocation that
    follows are refused alike, so that the next start reads the rejects again."""
    letters = FileDeadLetters(tmp_path / "rejects.jsonl", max_bytes=1)
    ingest, script, state = started(letters, ManualClock(START))
    script.begin(0)
    ingest.checkpoint([SOURCE])
    script.give(record(0), b"not json")
    ingest.tick()
    ingest.settle()
    with pytest.raises(DeadLetterError):
        letters.flush()
    ingest.close()
    found = state.recover(SOURCE)
    assert found is not None
    assert found.marker.applied == 0


@pytest.mark.parametrize(("value", "is_quiet"), [(b"not json", True), (record(0), False)])
def test_rejects_alone_keep_no_partition_from_being_idle(value: bytes, *, is_quiet: bool) -> None:
    """A producer of nothing but rejects moves no watermark: it must not hold every window open."""
    clock = ManualClock(START)
    ingest, script, _ = started(Counted(), clock)
    script.begin(0)
    for _ in range(13):
        script.give(value)
        ingest.tick()
        ingest.checkpoint([SOURCE])
        clock.advance(5.0)
    assert ingest.progress(SOURCE).idle is is_quiet


@pytest.mark.parametrize(("offset", "since"), [(0, -1), (7, START + MINUTE)])
def test_a_log_whose_beginning_is_gone_is_covered_from_its_first_row_on(offset: int, since: int) -> None:
    """Retention has cut the first window: it must not be judged as if it were whole."""
    ingest, script, _ = started(Counted(), ManualClock(START + 90 * MINUTE))
    script.begin(offset)
    script.give(record(1), record(0))
    ingest.tick()
    ingest.checkpoint([SOURCE])
    assert ingest.progress(SOURCE).since == since


def test_polls_take_fewer_records_the_wider_they_are() -> None:
    """About 16 MiB, whatever the records are: in memory four polls may be on their way."""
    ingest, script, _ = started(Counted(), ManualClock(START))
    script.begin(0)
    wide = record(0).ljust(8192)
    for values in ([], [wide] * 40, [], [record(0)] * 40, [record(0).ljust(1 << 20)] * 2, []):
        if values:
            script.give(*values)
        ingest.tick()
    assert script.asked == [1_000, 1_000, 2_048, 2_048, 10_000, 50]


def test_a_broker_that_does_not_answer_leaves_the_loop_alive() -> None:
    """A question takes a second per partition; the loop says between two that it lives."""
    clock = ManualClock(START)
    ingest, script, _ = started(Counted(), clock)
    script.begin(0)
    other = Source("predictions", 1)
    ingest.positions([other])
    ingest.began(other, 0, since=-1)
    seen = []

    def slow(_source: Source) -> tuple[int, int]:
        seen.append(clock.monotonic() - ingest.last_tick)
        clock.advance(40.0)
        return -1, -1

    script.query = slow
    ingest.tick()
    clock.advance(61.0)
    ingest.tick()
    assert seen == [0.0, 0.0]
    assert not ingest.progress(SOURCE).idle


class Gate(threading.Event):
    """Folding waits until this is set."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    made = Gate()

    def held(decoder: Decoder, batch: Batch) -> Any:
        made.reached.set()
        assert made.wait(10)
        return scan(decoder, batch)

    monkeypatch.setattr("monitor.steps.scan", held)
    yield made
    made.set()


def counted(state: SimulatedLog) -> tuple[int, int]:
    """Rows and offset that are durable."""
    found = state.recover(SOURCE)
    assert found is not None
    return sum(sketch.rows for sketch in found.sketches), found.marker.applied


def test_a_revoked_partition_is_durable_with_all_that_was_polled(gate: Gate) -> None:
    """Batches that still waited to be folded are neither lost nor counted twice by the next owner."""
    ingest, script, state = started(Counted(), ManualClock(START))
    script.begin(0)
    for minute in range(3):
        script.give(record(minute), record(minute))
        ingest.tick()
    threading.Timer(0.1, gate.set).start()
    ingest.revoked([SOURCE])
    assert counted(state) == (6, 6)
    assert ingest.positions([SOURCE]) == {SOURCE: 6}


def test_a_lost_partition_leaves_no_trace_of_what_was_not_folded(gate: Gate) -> None:
    """Somebody else folds it from the last checkpoint; when it comes back it goes on from theirs."""
    ingest, script, state = started(Counted(), ManualClock(START))
    script.begin(0)
    ingest.checkpoint([SOURCE])
    for minute in range(3):
        script.give(record(minute))
        ingest.tick()
    threading.Timer(0.1, gate.set).start()
    ingest.lost([SOURCE])
    assert ingest.positions([SOURCE]) == {SOURCE: 0}
    script.at = 0
    script.give(record(0), record(1))
    ingest.tick()
    ingest.checkpoint([SOURCE])
    assert counted(state) == (2, 2)


def test_an_error_while_folding_is_raised_by_the_loop_and_nothing_of_it_is_durable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The counts may hold half a batch: the loop ends without a checkpoint, and the log is read again."""
    ingest, script, state = started(Counted(), ManualClock(START))
    script.begin(0)
    script.give(record(0))
    ingest.tick()
    ingest.checkpoint([SOURCE])
    monkeypatch.setattr("monitor.partition.OpenCells.add", _broken)
    script.give(record(1))
    ingest.tick()
    with pytest.raises(ZeroDivisionError):
        ingest.settle()
    with pytest.raises(ZeroDivisionError):
        ingest.tick()
    ingest.abandon()
    assert counted(state) == (1, 1)


def _broken(*_: object) -> None:
    raise ZeroDivisionError("a defect")


def test_a_partition_stops_before_the_batch_that_would_be_diverted(gate: Gate) -> None:
    """Batches polled behind it are dropped, whatever they hold; after a reload all are counted once."""
    strict = replace(INTAKE, dead_letter=DeadLetterPlan(limit=0.5, over=1))
    ingest, script, state = started(Counted(), ManualClock(START), strict)
    script.begin(0)
    records = [record(0)], [b"not json"] * 3, [record(1)], [b"not json"], [record(2)]
    for values in records:
        script.give(*values)
        ingest.tick()
        assert gate.reached.wait(10)  # the first is folded alone, the others together
    gate.set()
    ingest.settle()
    ingest.tick()
    ingest.checkpoint([SOURCE])
    assert counted(state) == (1, 1)
    assert (ingest.progress(SOURCE).paused, script.at) == ("too many rejects", 1)
    ingest.renew(inputs_of(Counted()))
    assert ingest.progress(SOURCE).paused == ""
    for values in records[1:]:
        script.give(*values)
        ingest.tick()
    ingest.checkpoint([SOURCE])
    assert counted(state) == (3, 7)


def test_a_fold_that_hangs_is_seen_by_the_liveness_probe(gate: Gate) -> None:
    """The loop polls on, but what it says of itself is no newer than the batch that is stuck."""
    clock = ManualClock(START)
    ingest, script, _ = started(Counted(), clock)
    script.begin(0)
    script.give(record(0))
    clock.advance(5.0)
    ingest.tick()
    assert gate.reached.wait(10)
    for _ in range(4):
        clock.advance(1.0)
        ingest.tick()
    assert ingest.last_tick == 5.0
    gate.set()
    ingest.settle()
    ingest.tick()
    assert ingest.last_tick == clock.monotonic()


def test_a_log_that_does_not_answer_keeps_nobody_from_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round ends when it takes too long, and the next one begins with those that had no turn."""
    clock = ManualClock(START)
    ingest, script, state = started(Counted(), clock)
    script.begin(0)
    others = [Source("predictions", number) for number in (1, 2, 3)]
    ingest.positions(others)
    for other in others:
        ingest.began(other, 0, since=-1)
    tried: list[int] = []

    def refuse(source: Source, *_rest: object) -> None:
        tried.append(source.partition)
        clock.advance(10)
        raise StateUnsettled("not acknowledged - state - see that the broker is up")

    monkeypatch.setattr(state, "checkpoint", refuse)
    assert not ingest.checkpoint([SOURCE, *others])
    assert tried == [0, 1]
    assert not ingest.checkpoint([SOURCE, *others])
    assert tried == [0, 1, 2, 3]
    monkeypatch.undo()
    assert ingest.checkpoint([SOURCE, *others])


def test_nothing_begins_anew_while_it_is_not_known_what_was_consumed() -> None:
    """The broker did not say what the group has committed: the partition is recovered again, not opened."""
    clock = ManualClock(START)
    connect: Any = Script
    ingest = Ingest(
        inputs_of(Counted()), connect=connect, state=SimulatedLog(0, clock=clock), clock=clock,
        cadence=Cadence(), beside=True,
    )  # fmt: skip
    script: Any = ingest.consumer

    def silent(_sources: Collection[Source]) -> dict[Source, int]:
        raise IntakeError("no answer - committed offsets of the group - try again")

    answers, script.committed = script.committed, silent
    ingest.positions([SOURCE])
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        assert ingest.recovered() == {}
        assert SOURCE not in ingest.partitions
    script.committed = answers
    opened: dict[Source, int | None] = {}
    while not opened:
        opened = ingest.recovered()
    assert opened == {SOURCE: None}
    ingest.abandon()
