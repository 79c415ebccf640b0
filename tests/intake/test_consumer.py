from __future__ import annotations

import pytest

from monitor.clock import SystemClock
from monitor.errors import IntakeError
from monitor.intake.gap import GapKind
from monitor.intake.trouble import stopped
from monitor.names import Source
from tests.intake.keeper import Keeper, drain, fill, until


def numbered(count, start=0):
    return [b"%d" % number for number in range(start, start + count)]


def test_records_arrive_in_order_with_all_that_belongs_to_them(connect, broker, topic):
    """Values, keys, headers, timestamps; a null value stays null."""
    fill(broker, topic, [b"a", None], partition=1, key=b"k", timestamp=1234, headers=[("h", b"v")])
    keeper = Keeper()
    consumer = connect(broker, topic, keeper)
    batches = []
    until(lambda: sum(map(len, batches)) == 2, lambda: batches.extend(consumer.poll(10, 0.1)))
    assert {batch.source for batch in batches} == {Source(topic, 1)}
    assert [value for batch in batches for value in batch.values] == [b"a", None]
    first = batches[0]
    assert (first.keys[0], first.headers[0], first.timestamps[0]) == (b"k", [("h", b"v")], 1234)
    assert not first.log_append
    assert ("began", Source(topic, 1), 0, -1) in keeper.events
    consumer.close()


def test_a_callback_that_raises_inside_consume_loses_no_offset(connect, broker, topic):
    """The client drops the records in hand; after the seek back they are handed out all the same."""
    calls = []

    def statistics(_text):
        if keeper.records > 500 * len(calls):
            calls.append(keeper.records)
            raise ZeroDivisionError("a bug in a statistics callback")

    keeper = Keeper()
    fill(broker, topic, numbered(6000))
    counted = []
    consumer = connect(
        broker,
        topic,
        keeper,
        statistics=statistics,
        count=counted.append,
        properties={"statistics.interval.ms": 2, "fetch.message.max.bytes": 2000},
    )
    raised = 0

    def turn():
        nonlocal raised
        try:
            keeper.take(consumer.poll(50, 0.05))
        except ZeroDivisionError:
            raised += 1

    until(lambda: keeper.records >= 6000, turn)
    assert keeper.records == 6000
    assert len(calls) == counted.count("callback_raised") >= raised > 0
    consumer.close()


@pytest.mark.parametrize("failing", ["positions", "revoked"])
def test_a_failing_keeper_is_heard_and_gets_no_records(connect, broker, topic, failing):
    """What positions or revoked raise comes out of poll; nothing of the partition is handed out."""

    class Failing(Keeper):
        def revoked(self, sources):
            if failing == "revoked":
                raise IntakeError("disk full")
            super().revoked(sources)

        def positions(self, sources):
            found = super().positions(sources)
            if failing == "positions":
                raise IntakeError("disk full")
            return found

    keeper = Failing()
    fill(broker, topic, numbered(30))
    consumer = connect(broker, topic, keeper)
    if failing == "positions":
        with pytest.raises(IntakeError, match="disk full"):
            until(lambda: False, lambda: consumer.poll(10, 0.1))
        for _ in range(5):
            assert consumer.poll(10, 0.1) == []
        assert consumer.assigned() == ()
    else:
        drain(consumer, keeper, 30)
        other = Keeper(keeper.next)
        second = connect(broker, topic, other)
        with pytest.raises(IntakeError, match="disk full"):
            until(lambda: False, lambda: consumer.poll(10, 0.1), lambda: second.poll(10, 0.1))
        second.close()
    consumer.close()


def test_positions_come_from_the_keeper_never_from_the_group(connect, broker, topic):
    """A committed offset moves nothing: state decides where reading begins."""
    fill(broker, topic, numbered(300))
    first = Keeper()
    consumer = connect(broker, topic, first)
    drain(consumer, first, 300)
    for source in consumer.assigned():
        consumer.commit(source, 100)
    consumer.poll(10, 0.2)
    consumer.close()
    second = Keeper({Source(topic, 0): 40, Source(topic, 1): 100})
    again = connect(broker, topic, second)
    drain(again, second, 60 + 0 + 100)
    assert [event for event in second.events if event[0] == "began"] == [("began", Source(topic, 2), 0, -1)]
    again.close()


def test_latest_begins_at_the_end_and_says_since_when(connect, broker, topic):
    """What was there before is not handed out, and the keeper knows from when on it is covered."""
    fill(broker, topic, numbered(30))
    keeper = Keeper()
    before = SystemClock().now_ms()
    consumer = connect(broker, topic, keeper, start="latest")
    until(lambda: len(consumer.assigned()) == 3, lambda: keeper.take(consumer.poll(10, 0.1)))
    assert keeper.records == 0
    began = [event for event in keeper.events if event[0] == "began"]
    assert sorted(event[2] for event in began) == [10, 10, 10]
    assert all(event[3] >= before for event in began)
    fill(broker, topic, numbered(3))
    drain(consumer, keeper, 3)
    consumer.close()


def test_end_offset_and_position_meet_at_zero_lag(connect, broker, topic):
    """An empty partition and one that was read to its end are both known to have no lag."""
    fill(broker, topic, numbered(20), partition=0)
    keeper = Keeper()
    consumer = connect(broker, topic, keeper)
    assert consumer.position(Source(topic, 0)) == -1
    drain(consumer, keeper, 20)
    for partition, end in ((0, 20), (1, 0), (2, 0)):
        source = Source(topic, partition)
        until(lambda s=source, e=end: consumer.end_offset(s) == e, lambda: consumer.poll(10, 0.1))
        assert consumer.position(source) == end
        assert consumer.query(source) == (0, end)
    assert consumer.end_offset(Source("no-such", 0)) == -1
    consumer.close()


def test_a_paused_partition_hands_out_nothing_and_goes_on_where_it_was(connect, broker, topic):
    """Others go on meanwhile; a seek while paused is where it resumes."""
    fill(broker, topic, numbered(30))
    keeper = Keeper()
    consumer = connect(broker, topic, keeper)
    drain(consumer, keeper, 30)
    paused = Source(topic, 0)
    consumer.pause(paused)
    fill(broker, topic, numbered(30))
    drain(consumer, keeper, 50)
    assert all(batch.source != paused for _ in range(5) for batch in consumer.poll(10, 0.1))
    until(lambda: consumer.end_offset(paused) == 20, lambda: consumer.poll(10, 0.1))
    consumer.seek(paused, 5)
    keeper.next[paused] = 5
    consumer.resume(paused)
    drain(consumer, keeper, 65)
    consumer.close()


def test_a_second_member_takes_over_without_a_record_lost_or_doubled(connect, broker, topic):
    """Rebalances hand partitions over at the keeper's position, both ways."""
    fill(broker, topic, numbered(3000))
    shared = {}
    one, two = Keeper(), Keeper()
    one.next = two.next = shared
    first = connect(broker, topic, one)
    until(lambda: one.records >= 300, lambda: one.take(first.poll(100, 0.1)))
    second = connect(broker, topic, two)
    fill(broker, topic, numbered(3000))
    until(
        lambda: one.records + two.records >= 6000 and two.records > 0,
        lambda: one.take(first.poll(50, 0.05)),
        lambda: two.take(second.poll(50, 0.05)),
    )
    assert one.records + two.records == 6000
    assert one.owned | two.owned == {Source(topic, p) for p in range(3)}
    assert not one.owned & two.owned
    second.close()
    assert two.events[-1][0] == "revoked"
    fill(broker, topic, numbered(3000))
    until(lambda: one.records + two.records >= 9000, lambda: one.take(first.poll(500, 0.05)))
    assert one.records + two.records == 9000
    first.close()


def test_a_partition_that_was_given_up_while_paused_is_read_when_it_returns(connect, broker, topic):
    """The client remembers the pause; who asked for it does not."""
    keeper = Keeper({Source(topic, partition): 0 for partition in range(3)})
    first = connect(broker, topic, keeper)
    fill(broker, topic, [b"x"] * 30)
    drain(first, keeper, 30)
    for source in first.assigned():
        first.pause(source)
    second = connect(broker, topic, Keeper(keeper.next))
    until(second.assigned, lambda: first.poll(10, 0.05), lambda: second.poll(10, 0.05))
    moved = second.assigned()
    second.close()
    until(lambda: len(first.assigned()) == 3, lambda: first.poll(10, 0.05))
    fill(broker, topic, [b"y"] * 30)
    until(
        lambda: all(keeper.next[source] == 20 for source in moved),
        lambda: keeper.take(first.poll(10, 0.05)),
    )
    first.close()


def test_records_deleted_before_they_were_read_are_a_gap(connect, broker, topic):
    """Reading goes on at the oldest record left, and the hole is told once."""
    source = Source(topic, 0)
    fill(broker, topic, numbered(100), partition=0)
    broker.delete_records(topic, 0, before=60)
    keeper = Keeper({source: 10, Source(topic, 1): 0, Source(topic, 2): 0})
    counted = []
    consumer = connect(broker, topic, keeper, count=counted.append)
    gaps = []

    def turn():
        batches = consumer.poll(10, 0.1)
        for gap in consumer.gaps():
            gaps.append(gap)
            keeper.next[gap.source] = gap.resumed
        keeper.take(batches)

    until(lambda: keeper.records >= 40, turn)
    assert keeper.records == 40
    (gap,) = gaps
    assert (gap.source, gap.kind, gap.expected, gap.resumed, gap.end) == (
        source,
        GapKind.RETENTION,
        10,
        60,
        100,
    )
    assert counted.count("gap") == 1
    consumer.close()


def test_a_log_that_ends_before_our_position_is_not_read_on(connect, broker, topic):
    """Offsets would mean other records: the partition waits, and others go on."""
    source = Source(topic, 0)
    fill(broker, topic, numbered(30))
    keeper = Keeper({source: 5000})
    consumer = connect(broker, topic, keeper)
    gaps = []

    def turn():
        keeper.take(consumer.poll(10, 0.1))
        gaps.extend(consumer.gaps())

    until(lambda: keeper.records >= 20 and gaps, turn)
    (gap,) = gaps
    assert (gap.kind, gap.expected, gap.resumed, gap.end) == (GapKind.TRUNCATED, 5000, 5000, 10)
    assert source not in keeper.taken
    consumer.seek(source, 0)
    consumer.resume(source)
    keeper.next[source] = 0
    drain(consumer, keeper, 30)
    consumer.close()


def test_a_broker_that_is_away_is_waited_for(connect, broker, topic):
    """Nothing raises meanwhile, and nothing is lost after."""
    fill(broker, topic, numbered(30))
    keeper = Keeper()
    consumer = connect(broker, topic, keeper)
    drain(consumer, keeper, 30)
    broker.set_down()
    for _ in range(5):
        assert consumer.poll(10, 0.1) == []
    broker.set_up()
    fill(broker, topic, numbered(30))
    drain(consumer, keeper, 60)
    consumer.close()


def test_a_keeper_that_is_asked_to_commit_is_never_let_down(connect, broker, topic):
    """Commits are advisory: of foreign partitions, refused by the broker or after close."""
    fill(broker, topic, numbered(3))
    keeper, counted = Keeper(), []
    consumer = connect(broker, topic, keeper, count=counted.append)
    drain(consumer, keeper, 3)
    broker.fail(8, *[22] * 5)  # OffsetCommit: ILLEGAL_GENERATION
    consumer.commit(Source(topic, 0), 1)
    until(lambda: "commit_failed" in counted, lambda: consumer.poll(10, 0.1))
    consumer.commit(Source("elsewhere", 7), 1)
    until(lambda: consumer.position(Source(topic, 0)) == 1, lambda: keeper.take(consumer.poll(10, 0.1)))
    assert keeper.records == 3  # the client has left the group and joined anew, the position is ours
    consumer.close()
    consumer.commit(Source(topic, 0), 1)
    assert consumer.end_offset(Source(topic, 0)) == -1
    consumer.close()


def test_properties_that_kafka_does_not_know_are_named(connect, broker):
    """A misspelt property is an error of the configuration, with its name."""
    with pytest.raises(IntakeError, match=r"bootstrap\.severs"):
        connect(broker, "t", Keeper(), properties={"bootstrap.severs": "x"})


def test_properties_that_decide_on_offsets_are_ours(connect, broker, topic):
    """Auto commit or a reset policy in the configuration cannot move a position."""
    fill(broker, topic, numbered(30))
    keeper = Keeper()
    theirs = {
        "enable.auto.commit": True,
        "auto.offset.reset": "latest",
        "partition.assignment.strategy": "range",
    }
    consumer = connect(broker, topic, keeper, properties=theirs)
    drain(consumer, keeper, 30)
    consumer.close()


def test_a_client_that_has_given_up_is_an_end(connect, broker, topic):
    """What the library says of it in place of a record is raised, with what is to be done; closing ends."""
    fill(broker, topic, numbered(30))
    keeper = Keeper()
    consumer = connect(broker, topic, keeper, properties={"group.instance.id": "one"})
    drain(consumer, keeper, 30)
    broker.fail(12, 82)  # Heartbeat: FENCED_INSTANCE_ID
    with pytest.raises(IntakeError, match=r"kafka client stopped - .*group\.instance\.id.* - .*stop one"):
        until(lambda: False, lambda: consumer.poll(10, 0.1))
    consumer.close()
    assert str(stopped("out of memory")).endswith(" - out of memory - restart driftline")


def test_a_topic_that_does_not_exist_is_no_end(connect, broker):
    """It is counted and said, and the consumer waits for it."""
    counted = []
    consumer = connect(broker, "not-there", Keeper(), count=counted.append)
    until(lambda: "partition_error" in counted, lambda: consumer.poll(10, 0.1))
    consumer.close()
