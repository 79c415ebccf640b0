from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from monitor.intake import unreadable
from monitor.intake.gap import Gap, GapKind
from monitor.names import Source
from tests.intake.keeper import Keeper, drain, until
from tests.intake.raw import ZSTD, append, batch

SIZE = 23
"""Records of a batch."""
QUICK = {"fetch.error.backoff.ms": 10}


def values(number):
    return [b"%d-%d" % (number, row) * 8 for row in range(SIZE)]


def damaged(number, how):
    if how == "checksum":
        return batch(values(number), flip=40)
    if how == "length of a record":
        return batch(values(number), flip=0)
    return batch(values(number), codec=ZSTD, payload=b"\x28\xb5\x2f\xfd" + b"junk" * 20)


HOWS = ["checksum", "length of a record", "compression"]


def fill(broker, topic, hows):
    """One batch each, good where the way is ""."""
    for number, how in enumerate(hows):
        append(broker, topic, 0, damaged(number, how) if how else batch(values(number)))


def source_of(topic):
    return Source(topic, 0)


class Passing(Keeper):
    """Takes up gaps as ingest does."""

    def __init__(self):
        super().__init__()
        self.gaps = []

    def turn(self, consumer, most=1000):
        batches = consumer.poll(most, 0.05)
        for gap in consumer.gaps():
            self.gaps.append(gap)
            assert self.next[gap.source] == gap.expected
            self.next[gap.source] = gap.resumed
        self.take(batches)


@pytest.mark.parametrize("how", HOWS)
def test_a_batch_that_cannot_be_read_is_waited_for(connect, broker, topic, how, monkeypatch):
    """All that lies before it is handed out and nothing behind it, whatever the client library makes of that; the offset
    is told, once, and it is asked for again and again."""
    monkeypatch.setattr(unreadable, "AGAIN", 0.2)
    fill(broker, topic, ["", how, "", ""])
    keeper = Keeper()
    with capture_logs() as told:
        consumer = connect(broker, topic, keeper, properties=QUICK)
        held = source_of(topic)
        asked = []
        due = consumer._unreadable.due
        consumer._unreadable.due = lambda: [asked.extend(due()), due()][1]
        until(lambda: len(asked) > 2, lambda: keeper.take(consumer.poll(1000, 0.05)))
        assert keeper.taken[held] == values(0)
        assert consumer.held(held).startswith(f"offset {SIZE} cannot be read: ")
        assert (consumer.position(held), consumer.end_offset(held)) == (SIZE, 4 * SIZE)
        assert consumer.gaps() == ()
        consumer.close()
    lines = [line for line in told if line["event"] == "batch_unreadable"]
    assert [(line["source"], line["offset"]) for line in lines] == [(str(held), SIZE)]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(("before", "behind"), [(0, 3), (2, 0)])
def test_a_batch_that_cannot_be_read_is_passed(connect, broker, topic, how, before, behind):
    """Where that is wanted: every record before and behind it is handed out, and the gap is as long as the batch, also
    where the log ends with it."""
    fill(broker, topic, [*[""] * before, how, *[""] * behind])
    keeper = Passing()
    consumer = connect(broker, topic, keeper, properties=QUICK, skips=lambda name: name == topic)
    held, first, last = source_of(topic), before * SIZE, (before + 1) * SIZE
    end = (before + 1 + behind) * SIZE
    until(lambda: keeper.next.get(held) == end, lambda: keeper.turn(consumer))
    assert keeper.gaps == [Gap(held, GapKind.UNREADABLE, first, last, end)]
    expected = [one for number in range(before + 1 + behind) if number != before for one in values(number)]
    assert keeper.taken.get(held, []) == expected
    assert consumer.held(held) == ""
    append(broker, topic, 0, batch(values(9)))
    until(lambda: keeper.next[held] == end + SIZE, lambda: keeper.turn(consumer, most=5))
    consumer.close()


def test_reading_begins_in_the_middle_of_it(connect, broker, topic):
    """What was counted before it was damaged is not counted again, and what is left of it is passed."""
    fill(broker, topic, ["", "checksum", ""])
    keeper = Passing()
    held = source_of(topic)
    keeper.next[held] = SIZE + 5
    consumer = connect(broker, topic, keeper, properties=QUICK, skips=lambda _: True)
    until(lambda: keeper.next[held] == 3 * SIZE, lambda: keeper.turn(consumer))
    assert keeper.gaps == [Gap(held, GapKind.UNREADABLE, SIZE + 5, 2 * SIZE, 3 * SIZE)]
    assert keeper.taken[held] == values(2)
    consumer.close()


def test_another_way_is_chosen_while_it_is_waited_for(connect, broker, topic, monkeypatch):
    """Nobody needs to restart anything to go on."""
    monkeypatch.setattr(unreadable, "AGAIN", 0.1)
    fill(broker, topic, ["checksum", ""])
    keeper, skipped = Passing(), set()
    consumer = connect(broker, topic, keeper, properties=QUICK, skips=skipped.__contains__)
    held = source_of(topic)
    until(lambda: consumer.held(held), lambda: keeper.turn(consumer))
    consumer.pause(held)  # a checkpoint was refused meanwhile, and is taken again
    keeper.turn(consumer)
    consumer.resume(held)
    skipped.add(topic)
    until(lambda: keeper.next[held] == 2 * SIZE, lambda: keeper.turn(consumer))
    assert [(gap.expected, gap.resumed) for gap in keeper.gaps] == [(0, SIZE)]
    consumer.close()


def test_several_in_a_row_are_passed(connect, broker, topic):
    """No record that can be read is lost behind the last of them."""
    fill(broker, topic, ["", "checksum", "compression", "", "checksum", ""])
    keeper = Passing()
    consumer = connect(broker, topic, keeper, properties=QUICK, skips=lambda _: True)
    held = source_of(topic)
    until(lambda: keeper.next.get(held) == 6 * SIZE, lambda: keeper.turn(consumer))
    assert sum(gap.resumed - gap.expected for gap in keeper.gaps) == 3 * SIZE
    assert keeper.taken[held] == values(0) + values(3) + values(5)
    consumer.close()


def test_one_that_is_whole_the_next_time_is_read(connect, broker, topic):
    """It was damaged on its way: nothing is told, and nothing lost."""
    append(broker, topic, 0, batch(values(0)))
    keeper = Passing()
    consumer = connect(broker, topic, keeper, skips=lambda _: True)
    held = source_of(topic)
    clean, spoiled = consumer._unreadable.clean, []

    def spoil(taken, positions):
        """The first two answers come damaged."""
        if taken.runs and len(spoiled) < unreadable.TRIES - 1:
            spoiled.append(taken)
            code = next(iter(unreadable.UNREADABLE))
            taken = taken._replace(faults=[unreadable.Fault(held, code, "damaged", 0)])
        return clean(taken, positions)

    consumer._unreadable.clean = spoil
    with capture_logs() as told:
        until(lambda: keeper.records == SIZE, lambda: keeper.turn(consumer))
    assert len(spoiled) == 2
    assert "batch_unreadable" not in {line["event"] for line in told}
    assert (keeper.gaps, consumer.held(held)) == ([], "")
    drain(consumer, keeper, SIZE)
    consumer.close()
