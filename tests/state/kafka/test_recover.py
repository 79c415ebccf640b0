"""Choosing the checkpoint to go on from, of whatever a topic holds."""

from __future__ import annotations

import zlib
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import StateDamaged, StateError, StateTooNew
from monitor.names import Source
from monitor.state import envelope
from monitor.state.kafka.keys import (
    MarkerKey,
    SlotKey,
    WriterId,
    decode_state,
    encode,
    partition_of_source,
    prefixes_of,
)
from monitor.state.kafka.logs import Place, Write
from monitor.state.kafka.manifest import close, read_closed
from monitor.state.kafka.recover import choose, describe, markers, recover
from monitor.state.kafka.shared import PASSES, Shared, read, share
from tests.state.kafka.memory import Logs
from tests.state.kafka.oracle import A, B, check
from tests.state.kafka.process import STATE, World

C = Source("in", 2)


def held(world, source=A):
    return read(Logs(world.broker), STATE, prefixes_of(source))


def two_writers(**limits):
    """One that reached 12, and one that went on to 30 and whose removal of the first was lost."""
    world = World(**limits)
    for count, times in ((12, 1), (9, 2)):
        process = world.start()
        process.logs.sending = "lost"
        for _ in range(times):
            process.fold.apply(count)
            process.checkpoint()
    return world


def of_writer(values, writer):
    return [key for key in values if decode_state(key).writer == writer]


def test_nothing_was_ever_checkpointed():
    """Neither an empty topic nor sketches without a marker are a checkpoint, nor are they damaged."""
    world = World()
    assert choose(A, {}).checkpoint is None
    process = world.start()
    process.fold.apply(9)
    sketches, _ = process.fold.checkpoint()
    process.writer.checkpoint(sketches, process.fold.marker())
    values = {key: value for key, value in held(world).items() if isinstance(decode_state(key), SlotKey)}
    found = choose(A, values)
    assert (found.checkpoint, found.is_damaged) == (None, False)
    assert [(w.why, w.marker, w.sketches) for w in found.writers] == [("it has no marker", None, len(values))]
    assert set(found.keys) == set(values)


def test_the_farthest_writer_whose_sketches_are_there_is_chosen():
    """All writers are listed, with what is wrong with them; none of them hides another."""
    world = two_writers()
    values = held(world)
    found = choose(A, values)
    assert found.checkpoint.marker.applied == 30
    assert [(w.writer, w.why, w.marker.applied) for w in found.writers] == [(2, "", 30), (1, "", 12)]
    assert [sealed.key for sealed in found.sealed] == [sketch.key for sketch in found.checkpoint.sketches]
    assert found.writers[0].bytes == sum(len(sealed.body) for sealed in found.sealed)
    kinds = [type(decode_state(key)) for key in found.keys]
    assert kinds == [MarkerKey] * 2 + [SlotKey] * (len(values) - 2)
    lost = next(key for key in of_writer(values, 2) if decode_state(key)[0] == found.sealed[0].key)
    slot = decode_state(lost)._replace(slot=1)
    for key in (lost, encode(slot)):
        values.pop(key, None)
    all_of_them = len(found.sealed)
    found = choose(A, values)
    assert [(w.writer, w.sketches) for w in found.writers] == [(1, len(found.sealed)), (2, all_of_them - 1)]
    assert found.writers[1].why == f"{all_of_them - 1} of {all_of_them} sketches are there"
    check(found.checkpoint, A)


def test_an_older_slot_does_not_pass_for_the_newer():
    """As many sketches as the marker closed, but one of them is what it was a checkpoint before."""
    world = two_writers()
    values = held(world)
    names = [decode_state(key) for key in of_writer(values, 2)]
    twice = next(n for n in names if isinstance(n, SlotKey) and n.slot and n._replace(slot=0) in names)
    del values[encode(twice)]
    found = choose(A, values)
    assert found.checkpoint.marker.applied == 12
    assert found.writers[1].why == "its sketches are not those that its marker closed"


@pytest.mark.parametrize("limits", [{}, {"chunk_bytes": 30}])
@given(data=st.data())
def test_damage_gives_another_prefix_or_nothing(limits, data):
    """Records lost, cut or changed anywhere: a mixture is never recovered, and the undamaged writer always is."""
    world = two_writers(**limits)
    values = held(world)
    keys = sorted(values)
    hurt = data.draw(st.sets(st.sampled_from(keys), min_size=1, max_size=3))
    for key in hurt:
        value = values.pop(key)
        at = data.draw(st.integers(0, len(value) - 1))
        what = data.draw(st.sampled_from(["lost", "cut", "changed", "key"]))
        changed = bytearray(key if what == "key" else value)
        changed[at % len(changed)] ^= data.draw(st.integers(1, 255))
        if what == "cut":
            values[key] = value[:at]
        elif what == "changed":
            values[key] = bytes(changed)
        elif what == "key":
            values[bytes(changed)] = value
    found = choose(A, values)
    whole = {writer for writer in (1, 2) if not any(decode_state(key).writer == writer for key in hurt)}
    if found.checkpoint is None:
        assert not whole
        assert found.is_damaged or not (found.unreadable or any(w.marker for w in found.writers))
    else:
        check(found.checkpoint, A)
        assert found.checkpoint.marker.applied >= max((12, 30)[writer - 1] for writer in whole or {1})


def test_no_whole_checkpoint_is_damage_and_says_of_whom():
    """It is not taken for a beginning: that would forget, or count twice."""
    world = two_writers()
    for key in held(world):
        name = decode_state(key)
        if isinstance(name, SlotKey):
            world.broker.append(Write(STATE, key, None))
    with pytest.raises(StateDamaged, match=r"0000000000000002: 0 of \d+ sketches are there.*in/0 in state/0"):
        world.recover()
    assert describe(Logs(world.broker), "state")[A].is_damaged
    assert world.recover(B).checkpoint is None
    accepted = recover(Logs(world.broker), "state", A, accept_loss=True)
    assert accepted.checkpoint is None
    assert set(accepted.keys) == world.held()


def test_a_damaged_marker_makes_its_writer_void():
    """And counts as a sign that there was a checkpoint."""
    world = two_writers()
    values = held(world)
    for writer in (2, 1):
        key = encode(MarkerKey(A, WriterId(writer)))
        values[key] = values[key][:-1]
        found = choose(A, values)
        assert found.unreadable == 3 - writer
    assert found.is_damaged
    assert [w.why for w in found.writers] == ["its marker does not verify"] * 2


def raised(value, at, *, key):
    """The value with the format at its beginning one higher, and the check that belongs to it."""
    head = bytes([value[0] + 1]) + value[1:at]
    return head + zlib.crc32(head, zlib.crc32(key)).to_bytes(4, "big") + value[at + 4 :]


def test_a_newer_format_is_raised_and_not_passed_over(monkeypatch):
    """In the head of any record, and in what is sealed in those that are chosen."""
    world = two_writers()
    values = held(world)
    for key, value in values.items():
        size = 29 if isinstance(decode_state(key), MarkerKey) else 35
        with pytest.raises(StateTooNew):
            choose(A, {**values, key: raised(value, size, key=key)})
    process = world.start()
    process.logs.sending = "lost"
    process.fold.apply(1)
    with monkeypatch.context() as patch:
        patch.setattr(envelope, "VERSION", 2)
        process.checkpoint()
    newest = encode(MarkerKey(A, process.writer.id))
    values = held(world)
    marker = values.pop(newest)
    assert choose(A, values).checkpoint.marker.applied == 30
    with pytest.raises(StateTooNew):
        choose(A, {newest: marker})
    closed = close(newest, read_newer(newest, marker))
    with pytest.raises(StateTooNew, match="sketch"):
        choose(A, {**values, newest: closed})


def read_newer(key, value):
    """What a newer driftline reads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(envelope, "VERSION", 2)
        return read_closed(key, value, A)


def test_what_was_compacted_while_reading_is_found_behind_the_end():
    """A marker that was there at the beginning may be taken away by its successor, written since."""
    world = World()
    process = world.start()
    process.fold.apply(12)
    process.checkpoint()
    for steps in range(12):
        logs = Logs(world.broker)
        left = [steps]

        def between(logs=logs, left=left):
            left[0] -= 1
            if left[0] == 0:
                for _ in range(2):
                    process.fold.apply(3)
                    process.checkpoint()
                world.broker.compact(STATE, 1 << 30)

        logs.between = between
        found = recover(logs, "state", A)
        assert found.checkpoint.marker.applied == process.fold.applied
        check(found.checkpoint, A)


def test_a_topic_that_never_holds_still_is_left_for_later():
    """That is no damage: another try may find it at rest."""
    world = two_writers()
    logs = Logs(world.broker)
    logs.between = lambda: world.broker.append(Write(STATE, b"other", b""))
    with pytest.raises(StateError, match="faster than it can be read") as refused:
        recover(logs, "state", A)
    assert type(refused.value) is StateError
    assert world.broker.ends[STATE] > PASSES


def test_a_topic_is_described_by_source():
    """Every source and every writer, of all partitions; keys that nobody knows are passed over."""
    world = World()
    world.broker.topics["state"] = 12
    for source, count in ((B, 9), (A, 12)):
        for _ in range(2):
            process = world.start(source)
            process.logs.sending = "lost"
            process.fold.apply(count)
            process.checkpoint()
    for partition in range(12):
        world.broker.append(Write(Place("state", partition), b"what?", b""))
        world.broker.append(Write(Place("state", partition), encode(MarkerKey(A, WriterId(99))), b""))
    found = describe(Logs(world.broker), "state")
    assert list(found) == [A, B]
    assert [(w.writer, w.marker and w.marker.applied) for w in found[A].writers] == [
        (4, 24),
        (3, 12),
        (99, None),
    ]
    assert [w.marker.applied for w in found[B].writers[:2]] == [18, 9]
    for source, one in found.items():
        check(one.checkpoint, source)
    farthest = markers(Logs(world.broker), "state")
    assert {source: marker.applied for source, marker in farthest.items()} == {A: 24, B: 18}


def reading(world, places):
    """A process of which it is noted what it reads."""
    logs = Logs(world.broker)
    read = logs.read

    def noted(place, start):
        places.append((place, start))
        return read(place, start)

    logs.read = noted
    return logs


def full_reads(places):
    return sum(start == 0 for _, start in places)


def test_one_read_serves_all_sources_of_a_partition():
    """And each is as fresh as if it were read alone: what came since is read, too."""
    world = World()
    processes = {source: world.start(source) for source in (A, B, C)}
    for count, process in enumerate(processes.values(), 9):
        process.fold.apply(count)
        process.checkpoint()
    places = []
    logs = reading(world, places)
    for source, shared in share(logs, "state", processes):
        for process in processes.values():  # the others go on, too, and compaction takes what was read
            process.fold.apply(6)
            process.checkpoint()
        world.compact()
        found = recover(logs, "state", source, shared=shared)
        check(found.checkpoint, source)
        alone = recover(Logs(world.broker), "state", source)
        assert sorted(found.sealed) == sorted(alone.sealed)
        assert set(found.keys) >= set(alone.keys)  # tombstones that nobody waits for were missed: no harm
        assert found.checkpoint.marker.applied == processes[source].fold.applied
    assert full_reads(places) == 1


@pytest.mark.parametrize("limit", [0, 1500, 1 << 30])
def test_those_that_do_not_fit_are_read_again(limit):
    """What is kept of those that wait is bounded, and they are recovered all the same."""
    world = World()
    sources = [Source("in", number) for number in range(5)]
    for source in sources:
        process = world.start(source)
        process.fold.apply(9)
        process.checkpoint()
    places = []
    logs = reading(world, places)
    shared = Shared(logs, STATE, sources, limit=limit)
    for source in sources:
        values = shared.of(source)
        assert values == read(Logs(world.broker), STATE, prefixes_of(source))
        kept = [key + value for held in shared._held.values() for key, value in held.items()]
        assert sum(map(len, kept)) <= limit
        assert sum(map(len, kept)) == sum(shared._sizes.values())
    assert full_reads(places) == {0: 5, 1 << 30: 1}.get(limit, full_reads(places))
    assert limit != 1500 or 1 < full_reads(places) < 5


def test_a_read_that_breaks_off_goes_on_for_the_next():
    """Nothing is read twice because of it, and nothing is missed."""
    world = World()
    for source in (A, B):
        process = world.start(source)
        process.fold.apply(9)
        process.checkpoint()
    places = []
    logs = reading(world, places)
    shared, left = Shared(logs, STATE, [A, B]), [5]

    def between():
        left[0] -= 1
        if left[0] == 0:
            raise StateError("no answer - broker - start it")

    logs.between = between
    with pytest.raises(StateError, match="no answer"):
        shared.of(A)
    assert shared.of(B) == held(world, B)
    assert shared.of(A) == held(world, A)
    assert full_reads(places) == 1


def test_sources_are_grouped_by_partition():
    """Also where the topic does not answer: then each asks for itself, and is told why."""
    world = World()
    world.broker.topics["state"] = 3
    sources = [Source("in", number) for number in range(9)]
    found = list(share(Logs(world.broker), "state", sources))
    assert sorted(source for source, _ in found) == sources
    places = [shared.place.partition for _, shared in found]
    assert places == sorted(places)
    assert len({id(shared) for _, shared in found}) == len(set(places)) > 1
    for source, shared in found:
        assert shared.place.partition == partition_of_source(source, 3)
    logs = Logs(world.broker)
    logs.partitions = Mock(side_effect=StateError("no answer - broker - start it"))
    assert list(share(logs, "state", sources)) == [(source, None) for source in sources]
