"""The ingest loop with a scripted consumer: what is durable, in which order, and who waits for whom."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.clock import ManualClock
from monitor.columns import Batch
from monitor.errors import DeadLetterError
from monitor.ingest import Cadence, Ingest, Input
from monitor.intake.dead_file import FileDeadLetters
from monitor.intake.dead_letter import Counted, DeadLetters
from monitor.intake.decode import Decoder
from monitor.names import Source
from monitor.partition import Model
from monitor.plan import DeadLetterPlan, SourcePlan
from monitor.state.simulated import SimulatedLog
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

    def poll(self, _most: int, _timeout: float) -> list[Batch]:
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

    def query(self, _source: Source) -> tuple[int, int]:
        return (0, self.at) if self.answers else (-1, -1)

    def committed(self, sources: Collection[Source]) -> dict[Source, int]:
        return dict.fromkeys(sources, -1)

    def commit(self, source: Source, offset: int) -> None: ...

    def pause(self, source: Source) -> None: ...

    def resume(self, source: Source) -> None: ...


def started(letters: DeadLetters, clock: ManualClock) -> tuple[Ingest, Any, SimulatedLog]:
    """A loop, its consumer and its state."""
    state = SimulatedLog(0, clock=clock)
    decoder = Decoder(INTAKE, {"m": PLAN}, {})
    inputs = {"predictions": Input(INTAKE, decoder, {"m": Model(PLAN, LAYOUT)}, letters)}
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
