"""What a writer leaves in the topics, at every cut, and what it never does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor import failpoint
from monitor.errors import StateUnsettled
from monitor.state.kafka.keys import MarkerKey, PublishedKey, SlotKey, decode_published, decode_state
from tests.state.kafka.memory import Died, Fault
from tests.state.kafka.oracle import A, B, cell_of, check, folded
from tests.state.kafka.process import World, published

LIMITS = [{"chunk_bytes": 30}, {}]


def names(process):
    """What kinds of keys got values from a process that waited for the acknowledgement."""
    decode = {"state": decode_state, "sketches": decode_published}
    written = [write for write in process.logs.written if write.value is not None]
    return [type(decode[write.place.topic](write.key)) for write in written]


def scene(limits):
    """Two checkpoints, and rows for a third."""
    world = World(**limits)
    process = world.start()
    for count in (12, 9):
        process.fold.apply(count)
        process.checkpoint()
    process.fold.apply(7)
    return world, process


def cuts(limits):
    """Every number of records after which a third checkpoint can fail; the last is the one after all."""
    _, process = scene(limits)
    before = len(process.logs.written)
    process.checkpoint()
    return range(len(process.logs.written) - before + 1)


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("more", [0, 3])
def test_a_write_of_unknown_outcome_counts_once(limits, is_late, more):
    """Wherever it broke off, and whenever the rest arrives: the repeated call is what is recovered."""
    for cut in cuts(limits):
        for landing in ("before", "after"):
            world, process = scene(limits)
            writer = process.writer.id
            process.logs.fault = Fault(cut, is_late=is_late)
            with pytest.raises(StateUnsettled):
                process.checkpoint()
            assert process.writer.id != writer
            if landing == "before":
                world.land()
            world.compact()
            found = world.recover().checkpoint
            check(found, A)
            assert found.marker.applied in (21, 28)
            process.fold.apply(more)
            process.checkpoint()
            world.land()
            world.compact()
            check(world.recover().checkpoint, A)
            assert world.recover().checkpoint.marker.applied == 28 + more
            assert world.divergences.count == 0


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("is_late", [False, True])
def test_a_death_between_any_two_records_loses_nothing(limits, is_late):
    """The next owner goes on from the checkpoint before or from this one, and outlives what is late."""
    for cut in cuts(limits):
        world, process = scene(limits)
        process.logs.fault = Fault(cut, dies=True, is_late=is_late)
        with pytest.raises(Died):
            process.checkpoint()
        heir = world.start()
        check(heir.recovered, A)
        assert heir.recovered.marker.applied == (28 if cut == cuts(limits)[-1] else 21)
        heir.fold.apply(10)
        heir.checkpoint()
        world.land()
        world.compact()
        assert world.recover().checkpoint.marker.applied == heir.fold.applied
        check(world.recover().checkpoint, A)


@pytest.mark.parametrize("limits", LIMITS)
def test_nothing_is_left_of_others_and_of_what_is_over(limits):
    """After compaction the topic holds at most two slots of a live sketch, one marker, and nobody else's."""
    world, process = scene(limits)
    for _ in range(20):
        process.fold.apply(7)
        process.checkpoint()
    world.compact()
    live = {sketch.key for sketch in world.recover().checkpoint.sketches}
    found = [decode_state(key) for key in world.held()]
    assert sum(isinstance(name, MarkerKey) for name in found) == 1
    slots = {name._replace(chunk=0) for name in found if isinstance(name, SlotKey)}
    over = {name.sketch for name in slots} - live
    assert len(slots) <= 2 * (len(live) + len(over))
    assert all(folded(A, process.fold.applied - 7)[0].keeps(key) for key in over)
    heir = world.start()
    heir.checkpoint()
    world.compact()
    assert {decode_state(key).writer for key in world.held()} == {heir.writer.id}


def test_what_a_marker_gave_up_does_not_come_back():
    """A marker that keeps again what one before had dropped is whole without it."""
    world, process = scene({})
    _, marker = process.fold.checkpoint()
    assert marker.live["m"] > 0
    sketches, _ = process.fold.checkpoint()
    process.writer.checkpoint(sketches, marker)
    process.writer.checkpoint([], replace(marker, live={}))
    found = world.recover().checkpoint
    assert found.marker.live == {}
    assert {sketch.key for sketch in found.sketches if sketch.key.model == "m"} == {
        key for key in folded(A, 28)[1] if key.model == "m" and key.pane >= marker.live["m"]
    }


def test_an_unchanged_sketch_is_not_written_again():
    """It costs nothing until it is due for a refresh, and then is shown to readers again, too."""
    world, process = scene({"refresh": 4})
    process.checkpoint()
    process.logs.written.clear()
    shown = published(world.broker)
    unchanged = [replace(process.fold.sketch(key), applied=shown[key].applied) for key in process.fold.cells]
    process.writer.checkpoint(unchanged, process.fold.marker())
    assert names(process) == [MarkerKey]
    process.logs.written.clear()
    process.checkpoint()
    first = [sketch for sketch, held in shown.items() if held.applied == 12 and sketch in process.fold.cells]
    assert first
    again = [kind for kind in names(process) if kind is not MarkerKey]
    assert again == [SlotKey] * len(first) + [PublishedKey] * len(first)


def test_a_new_writer_writes_all_that_lives():
    """Into the state topic: readers of sketches have had them from the writer before."""
    world, process = scene({})
    process.checkpoint()
    heir = world.start()
    heir.checkpoint()
    assert names(heir) == [SlotKey] * len(heir.fold.cells) + [MarkerKey]


def test_a_writer_heals_after_a_zombie_took_its_slots_away():
    """Its markers are void while unchanged sketches are missing, and hold again once they are refreshed."""
    world, owner = scene({"refresh": 3})
    zombie = world.start()
    zombie.checkpoint()
    assert world.recover().checkpoint.marker.applied == 21
    owner.checkpoint()
    assert world.recover().checkpoint.marker.applied == 21
    for _ in range(3):
        owner.checkpoint()
    assert world.recover().checkpoint.marker.applied == 28
    check(world.recover().checkpoint, A)


def test_foreign_keys_go_once_and_only_after_a_checkpoint_of_our_own():
    """Until then they are all there is; the markers go first, so that no void one is left."""
    world, _ = scene({})
    heir = world.start()
    before = world.held()
    sent = []
    heir.logs.send = lambda records: sent.append(([write.key for write in records], world.held()))
    heir.logs.fault = Fault(2)
    with pytest.raises(StateUnsettled):
        heir.checkpoint()
    assert not sent
    for _ in range(2):
        heir.checkpoint()
    ((keys, held),) = sent
    assert before <= set(keys)
    assert [MarkerKey(A, heir.writer.id)] == [
        name for name in map(decode_state, held - set(keys)) if isinstance(name, MarkerKey)
    ]
    kinds = [type(decode_state(key)) for key in keys]
    assert kinds == sorted(kinds, key=lambda kind: kind is SlotKey)


def test_what_a_writer_gave_up_on_is_as_foreign_as_any():
    """Its keys go with those of the others, as far as they are remembered; the rest is found at the next recovery."""
    for kept in (1000, 3):
        world, process = scene({})
        process.logs.fault = Fault(3)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("monitor.state.kafka.writer.FOREIGN_KEPT", kept)
            with pytest.raises(StateUnsettled):
                process.checkpoint()
        process.checkpoint()
        left = {key for key in world.held() if decode_state(key).writer != process.writer.id}
        assert bool(left) == (kept == 3)
        world.start().checkpoint()
        assert not left & world.held()


def test_a_sketch_that_shrank_leaves_no_part_behind():
    """When it is over its slots are emptied as far as they were ever filled."""
    world, process = scene({"chunk_bytes": 30})
    key = max(process.fold.cells)
    marker = process.fold.marker()
    for at, slots in enumerate((400, 400, 4, 4)):
        counts = np.arange(slots) * 1000 + at
        process.writer.checkpoint([replace(process.fold.sketch(key), counts=counts)], marker)
    over = replace(marker, live={"m": 1 << 40, "": 1 << 40})
    for _ in range(2):
        process.writer.checkpoint([], over)
    assert [type(decode_state(key)) for key in world.held()] == [MarkerKey]


def test_two_contents_of_one_offset_are_counted_once_the_checkpoint_is_there():
    """A repeated call does not count again; the newer content is what is recovered, and says so."""
    world, process = scene({})
    process.checkpoint()
    key = max(process.fold.cells)
    sketch = process.fold.sketch(key)
    other = replace(sketch, rows=sketch.rows + 1)
    marker = process.fold.marker()
    process.writer.checkpoint([sketch], marker)
    assert world.divergences.count == 0
    process.logs.fault = Fault(1)
    with pytest.raises(StateUnsettled):
        process.writer.checkpoint([other], marker)
    assert world.divergences.count == 0
    for _ in range(2):
        process.writer.checkpoint([other], marker)
    assert world.divergences.count == 1
    process.writer.checkpoint([sketch], marker)
    found = world.recover()
    assert found.divergences == ((key, 28),)
    (recovered,) = (sketch for sketch in found.checkpoint.sketches if sketch.key == key)
    assert recovered.rows == sketch.rows


@pytest.mark.parametrize(
    ("point", "applied"), [("checkpoint.before", 21), ("checkpoint.inside", 21), ("checkpoint.after", 28)]
)
def test_death_at_a_fail_point(point, applied):
    """Before and inside leave the checkpoint before, after leaves this one."""

    def die():
        raise Died(point)

    world, process = scene({})
    passes = 1
    if point == "checkpoint.inside":
        passes = len(cuts({})) - 1
    for nth in range(1, passes + 1):
        world, process = scene({})
        failpoint.arm(point, nth=nth, action=die)
        try:
            with pytest.raises(Died):
                process.checkpoint()
        finally:
            failpoint.disarm()
        assert world.recover().checkpoint.marker.applied == applied


def test_a_burst_goes_in_several_flights(monkeypatch):
    """What is in the producer at once is bounded; the marker still comes last and alone."""
    monkeypatch.setattr("monitor.state.kafka.writer.FLIGHT_BYTES", 400)
    world, process = scene({"chunk_bytes": 30})
    flights = []
    write = process.logs.write
    process.logs.write = lambda records: flights.append(records) or write(records)
    process.checkpoint()
    assert len(flights) > 3
    assert all(sum(len(w.key) + len(w.value or b"") for w in flight) < 800 for flight in flights)
    assert len(flights[-1]) == 1
    check(world.recover().checkpoint, A)


def test_a_split_sketch_is_whole_to_its_readers_at_every_cut():
    """The parts that are being replaced are never those that the last marker's readers need."""
    limits = {"chunk_bytes": 30}
    for cut in cuts(limits):
        world, process = scene(limits)
        before = published(world.broker)
        process.logs.fault = Fault(cut, dies=True)
        with pytest.raises(Died):
            process.checkpoint()
        world.compact()
        after = published(world.broker)
        assert all(after[key].applied >= sealed.applied for key, sealed in before.items())


def test_another_source_is_refused():
    """Neither its sketches nor its marker."""
    world, process = scene({})
    sketches, marker = process.fold.checkpoint()
    stranger = world.start(B).fold
    stranger.apply(3)
    for wrong in ((stranger.checkpoint()[0], marker), (sketches, stranger.marker())):
        with pytest.raises(ValueError, match="only that source"):
            process.writer.checkpoint(*wrong)
    process.checkpoint()
    assert {s.key: cell_of(s) for s in world.recover().checkpoint.sketches}.keys() <= folded(A, 28)[1].keys()


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("broken", [False, True])
def test_topics_that_were_made_anew_hold_all_again(limits, broken):
    """The next checkpoint is whole though nothing has changed, in both topics, also where the first try breaks off."""
    world, process = scene(limits)
    marker = process.checkpoint()
    world.broker.records.clear()
    world.broker.ends.clear()
    process.writer.forget()
    if broken:
        process.logs.fault = Fault(2)
        with pytest.raises(StateUnsettled):
            process.checkpoint()
        process.logs.fault = None
    assert process.writer.is_void
    process.checkpoint()
    assert not process.writer.is_void
    found = world.recover().checkpoint
    check(found, A)
    assert found.marker.applied == marker.applied
    assert {sketch.key for sketch in found.sketches} == published(world.broker).keys()
    process.fold.apply(5)
    process.checkpoint()
    check(world.recover().checkpoint, A)
