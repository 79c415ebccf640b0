"""What can happen to the topics of the state log: rows 17 to 22 and 54, on topics in memory."""

from __future__ import annotations

import random
import zlib
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from monitor import metrics
from monitor.errors import StateDamaged, StateError, StateMissing, StateTooNew, StateUnsettled
from monitor.state import envelope
from monitor.state.kafka import chunks, keys, manifest
from monitor.state.kafka.keys import MarkerKey, SlotKey, decode_state, partition_of_source
from monitor.state.kafka.logs import Place, Write
from monitor.state.log import Entry, Progress
from tests.faults.cluster import COUNTS, MODEL, SOURCES, TOPICS, Replica
from tests.simulation.logs import Faults, SimulatedBroker
from tests.state.kafka.oracle import Fold, check

SOURCE, OTHER = SOURCES[:2]
STATE = Place(TOPICS.state, partition_of_source(SOURCE, COUNTS["state"]))


def scene(seed=0, **faults):
    """A topic with two checkpoints of one source."""
    broker = SimulatedBroker(seed, COUNTS)
    replica = Replica(broker, "first", sources=SOURCES)
    for _ in range(2):
        replica.work(SOURCE, 12)
    broker.faults = Faults(**faults)
    return broker, replica


def recovered(broker, name="second", **options):
    """What the next owner goes on from."""
    broker.faults = Faults()
    found = Replica(broker, name, **options).log.recover(SOURCE)
    check(found, SOURCE)
    return found.marker.applied


def values(broker):
    """The newest values by key of the partition, and what kind of key it is."""
    held = {record.key: record.value for record in broker.records(STATE)}
    return {key: (type(decode_state(key)), value) for key, value in held.items() if value is not None}


def fallbacks():
    return metrics.STATE_FALLBACKS_TOTAL._value.get()


def overwrite(broker, key, value):
    broker.append(Write(STATE, key, value))


@pytest.mark.parametrize("seed", range(20))
def test_row_17_a_checkpoint_that_is_not_acknowledged(seed):
    """However much of it is there, and whatever comes late: the process goes on as another writer that leaves
    nothing out, and the checkpoint that was acknowledged stands until then."""
    broker, replica = scene(seed, unsettled=0.7)
    refused = 0
    for _ in range(12):
        before = replica.log._writers[SOURCE].id
        try:
            replica.work(SOURCE, 5)
        except StateUnsettled:
            refused += 1
            assert replica.log._writers[SOURCE].id != before
            if broker.random.random() < 0.3:
                broker.settle()
    assert refused
    assert recovered(broker, "between") >= 24
    replica.work(SOURCE, 5)
    broker.settle()
    assert recovered(broker) == replica.folds[SOURCE].applied == 24 + 13 * 5
    assert replica.log.divergences == 0


def test_row_18_records_are_there_twice():
    """A record whose answer was lost is sent again by the client: once more beside itself, or all of them in order."""
    broker, replica = scene()
    replica.log.attend()
    replica.log.append(MODEL, [Entry("verdict", "1", {"rows": 1}), Entry("intent", "page-1", {})])
    places = [Place(topic, number) for topic, count in COUNTS.items() for number in range(count)]
    for place in places:
        records = broker.records(place)
        for record in records[-3:] + records:
            broker.append(Write(place, record.key, record.value))
    assert recovered(broker) == 24
    second = Replica(broker, "third")
    second.log.attend()
    _, sketches, _ = second.log.changes([MODEL], 0)
    assert len({sketch.key for sketch in sketches}) == len(sketches)
    assert second.log.ledger(MODEL, kinds=None).of("verdict") == {"1": {"rows": 1}}
    replica.work(SOURCE, 6)
    assert recovered(broker, "fourth") == 30
    assert replica.log.divergences == second.log.divergences == 0


@pytest.mark.parametrize("is_there", [True, False])
def test_row_19_the_marker_is_there_or_not(is_there):
    """Its acknowledgement is lost: the next owner has the checkpoint before or this one, and one that repeats it
    counts once."""
    broker, replica = scene()
    write = replica.logs.write

    def lose(records):
        if not records[0].key.startswith(keys.MARKERS):
            return write(records)
        if is_there:
            write(records)
        raise StateUnsettled("not acknowledged - broker - try again")

    replica.logs.write = lose
    with pytest.raises(StateUnsettled):
        replica.work(SOURCE, 6)
    replica.logs.write = write
    assert recovered(broker) == (30 if is_there else 24)
    replica.work(SOURCE, 0)
    assert recovered(broker, "third") == 30
    assert replica.log.divergences == 0


@pytest.mark.parametrize("seed", range(30))
def test_row_20_compaction_at_any_moment(seed):
    """While others write and one reads slowly, also one from under whom tombstones are taken: it gets a whole
    checkpoint, at least the one that stood when it began, or is told that there is none."""
    broker, replica = scene(seed, compact=0.2, is_hasty=seed % 2 == 0)
    outcomes, chance = [], random.Random(seed)
    left = [0]
    """How often the writer goes on while this read lasts."""

    def beside(name):
        if name == "slow" and left[0] and chance.random() < 0.3:
            left[0] -= 1
            broker.pause = lambda _: None
            replica.work(SOURCE, chance.randint(1, 9))
            broker.pause = beside

    for _ in range(10):
        broker.pause, left[0] = beside, chance.randint(0, 40)
        before = replica.folds[SOURCE].applied
        try:
            found = Replica(broker, "slow").log.recover(SOURCE)
        except StateError as error:
            outcomes.append(type(error))
        else:
            check(found, SOURCE)
            assert found.marker.applied >= before
            outcomes.append(found.marker.applied)
        broker.pause = lambda _: None
        replica.work(SOURCE, 5)
    assert recovered(broker) == replica.folds[SOURCE].applied
    assert any(outcome in range(24, 2000) for outcome in outcomes)
    assert set(outcomes) - set(range(2000)) <= {StateError, StateDamaged}


def damages(value):
    """What becomes of a stored record: cut, changed, replaced by nothing of ours."""
    middle = len(value) // 2
    yield value[:middle]
    yield value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]
    yield b""
    yield b"not ours"


@pytest.mark.parametrize("kind", [MarkerKey, SlotKey])
@pytest.mark.parametrize("which", range(4))
def test_row_21_a_record_does_not_verify(kind, which):
    """The checkpoint that it belongs to is void, and said to be: another that is whole is gone on from, and where
    there is none the partition is refused, with the reason for each."""
    broker, first = scene()
    theirs = values(broker)
    second = Replica(broker, "second")
    second.logs.send = lambda records: None  # so that the first stays beside it
    second.work(SOURCE, 9)
    ours = {key: value for key, value in values(broker).items() if key not in theirs}

    def hurt(held):
        live = first.folds[SOURCE].live
        key, value = next(
            (key, value)
            for key, (found, value) in sorted(held.items(), reverse=True)
            if found is kind and (kind is MarkerKey or decode_state(key).sketch.pane >= live)
        )
        overwrite(broker, key, list(damages(value))[which])

    hurt(ours)
    before = fallbacks()
    with capture_logs() as told:
        assert recovered(broker, "third") == 24
    damaged, fell = told
    assert damaged == {"event": "state_damaged", "source": str(SOURCE), "records": 1, "log_level": "error"}
    assert (fell["event"], fell["applied"], len(fell["passed_over"])) == ("state_fell_back", 24, 1)
    assert fallbacks() == before + 1
    hurt(theirs)
    reason = "(does not verify|sketches are there).*restore the topic.*--accept-data-loss"
    with pytest.raises(StateDamaged, match=reason):
        Replica(broker, "fourth").log.recover(SOURCE)
    other = Replica(broker, "fifth")
    other.work(OTHER, 10)
    assert Replica(broker, "sixth").log.recover(OTHER).marker.applied == 10


@pytest.mark.parametrize("what", ["gone", "damaged"])
def test_row_22_the_state_is_gone_but_not_what_was_consumed(what):
    """A partition that was read and of which there is no state, or none that is whole, is refused with what to do.
    With the loss accepted it begins anew, and what was left of it is removed."""
    if what == "gone":
        broker = SimulatedBroker(0, COUNTS)
    else:
        broker, _ = scene()
        for key, (kind, value) in values(broker).items():
            if kind is MarkerKey:
                overwrite(broker, key, value[:-1])
    second = Replica(broker, "second")
    second.log.expect(SOURCE)
    refusal = StateMissing if what == "gone" else StateDamaged
    for _ in range(2):
        with pytest.raises(refusal, match=f"{SOURCE} in state.* - restore the topic.*--accept-data-loss"):
            second.log.recover(SOURCE)
    second.work(OTHER, 8)
    third = Replica(broker, "third", accept_loss=True)
    with capture_logs() as told:
        assert third.log.recover(SOURCE) is None
    assert ("state_given_up" in {line["event"] for line in told}) == (what == "damaged")
    third.work(SOURCE, 5)
    assert recovered(broker, "fourth") == 5
    writers = {decode_state(key).writer for key in values(broker) if source_of(key) == SOURCE}
    assert writers == {third.log._writers[SOURCE].id}


@pytest.mark.parametrize("start", [17, 0])
def test_row_22_what_is_left_of_an_accepted_loss_is_no_divergence(start):
    """Counts that began later differ, also where both reached one offset; those that began at one place must not."""
    broker, _ = scene()
    for key, (kind, value) in values(broker).items():
        if kind is MarkerKey:
            overwrite(broker, key, value[:-1])
    second = Replica(broker, "second", accept_loss=True)
    assert second.log.recover(SOURCE) is None
    second.logs.send = lambda records: None  # what takes the rest away is lost
    fold = Fold(SOURCE)
    fold.applied = 17
    fold.apply(7)
    sketches, marker = fold.checkpoint()
    second.log.checkpoint(SOURCE, sketches, replace(marker, start=start))
    reads, recovers = Replica(broker, "reads"), Replica(broker, "recovers")
    reads.log.attend()
    reads.log.changes([MODEL, ""], 0)
    assert recovers.log.recover(SOURCE).marker.applied == 24
    assert bool(recovers.log.divergences) == bool(reads.log.divergences) == (start == 0)


def source_of(key):
    name = decode_state(key)
    return name.source if isinstance(name, MarkerKey) else name.sketch.source


def test_row_22_a_refusal_is_told_whatever_was_reported_before():
    """The former owner was farther, and may still speak: the partition stands paused with the reason all the same,
    until somebody reads it again."""
    broker, first = scene()
    assert next(iter(first.log.changes([MODEL], 0)[2])).applied == 24
    second = Replica(broker, "second")
    reader = Replica(broker, "reader")

    def told():
        (report,) = reader.log.changes([MODEL], 0)[2]
        return report.applied, report.paused

    for observed in (1001, 1002):
        second.log.report(Progress(SOURCE, 0, -1, -1, False, "its state is gone", observed))
        assert told() == (0, "its state is gone")
    first.clock.advance(0.5)
    first.work(SOURCE, 1)
    assert told() == (25, "")


NEWER = "this driftline reads up to|newer driftline"


def newer(head, value, key):
    """The same record in the format of the next version: it verifies."""
    changed = bytes([value[0] + 1]) + value[1 : head - 4]
    return changed + zlib.crc32(changed, zlib.crc32(key)).to_bytes(4, "big") + value[head:]


@pytest.mark.parametrize("kind", [MarkerKey, SlotKey])
def test_row_54_state_of_a_newer_driftline(kind):
    """Replicas are replaced one by one, and back: what the newer has written is refused by the older and said to be
    newer, not taken for damage and not removed; what the older writes the newer reads."""
    broker, _ = scene()
    key, value = next((key, value) for key, (found, value) in values(broker).items() if found is kind)
    head = {MarkerKey: manifest._HEAD.size + 4, SlotKey: chunks._START}[kind]
    overwrite(broker, key, newer(head, value, key))
    before = broker.records(STATE)
    for accept_loss in (False, True):
        with pytest.raises(StateTooNew, match=NEWER):
            Replica(broker, f"older {accept_loss}", accept_loss=accept_loss).log.recover(SOURCE)
    assert broker.records(STATE) == before
    overwrite(broker, key, value)  # as the older wrote it
    assert recovered(broker, "newer") == 24


def test_row_54_a_batch_of_a_newer_driftline():
    """Who judges does not speak for models whose ledger it cannot read: it ends, with what to do."""
    broker, _ = scene()
    first = Replica(broker, "first")
    first.log.attend()
    first.log.append(MODEL, [Entry("verdict", "1", {"rows": 1})])
    place = next(p for p in (Place(TOPICS.ledger, n) for n in range(2)) if len(broker.records(p)) > 1)
    *_, last = broker.records(place)
    name = keys.decode_ledger(last.key)
    sealed = bytearray(last.value)
    sealed[3] = envelope.VERSION + 1
    start = envelope._HEAD.size
    sealed[start : start + 8] = envelope._check(bytes(sealed[:start]), bytes(sealed[start + 8 :]))
    broker.append(Write(place, keys.encode(name._replace(seq=name.seq + 1)), bytes(sealed)))
    second = Replica(broker, "second")
    with pytest.raises(StateTooNew, match=r"stored batch has format 2 .* use the newer driftline"):
        second.log.attend()
    assert second.log.terms([MODEL]) == {}
