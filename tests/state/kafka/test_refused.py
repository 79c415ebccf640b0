"""Partitions of the ledger that cannot be had: damaged ones, and those that take too long to be read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from monitor.clock import ManualClock
from monitor.errors import StateDamaged, StateError
from monitor.state.kafka import keys
from monitor.state.kafka.keys import BatchKey, OwnerKey, WriterId, partition_of_model
from monitor.state.kafka.log import LOOK_AGAIN, KafkaLog
from monitor.state.kafka.logs import Place, Record, Write
from monitor.state.kafka.owner import LedgerOwner
from monitor.state.log import Entry
from tests.simulation.ledger import PARTITIONS, TOPICS
from tests.simulation.logs import SimulatedBroker

BAD, GOOD = "bad", "good"
NUMBER = partition_of_model(BAD, PARTITIONS["ledger"])
PLACE = Place(TOPICS.ledger, NUMBER)
ONE = Entry("cursor", "1h", {"end": 1})


def replica(broker: SimulatedBroker, clock: ManualClock, *, accept_loss: bool = False) -> KafkaLog:
    owned = dict.fromkeys(range(PARTITIONS["ledger"]), 1)
    return KafkaLog(
        broker.connect("p"), topics=TOPICS, owned=lambda: owned, clock=clock, accept_loss=accept_loss
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000)


@pytest.fixture
def broker(clock: ManualClock) -> SimulatedBroker:
    """A ledger of two models in two partitions, one of which is damaged."""
    assert partition_of_model(GOOD, PARTITIONS["ledger"]) != NUMBER
    made = SimulatedBroker(1, PARTITIONS, clock=clock)
    before = replica(made, clock)
    before.attend()
    for model in (BAD, GOOD):
        before.append(model, [ONE])
    key = BatchKey(BAD, before.terms([BAD])[BAD], 7)
    made.append(Write(PLACE, keys.encode(key), b"dlrubbish"))
    return made


def owners(broker: SimulatedBroker) -> int:
    """How often the damaged partition was taken."""
    found = [keys.decode_ledger(record.key) for record in broker.history[PLACE] if record.value is not None]
    return sum(isinstance(key, OwnerKey) for key in found)


def attended(state: KafkaLog, clock: ManualClock, seconds: float) -> None:
    for _ in range(int(seconds)):
        state.attend()
        clock.advance(1.0)


def test_a_damaged_partition_is_refused_and_the_others_go_on(broker, clock) -> None:
    """The replica has what it can have, says what it has not and what would help, and is not waited for."""
    state = replica(broker, clock)
    assert not state.is_settled
    state.attend()
    assert state.is_settled
    assert set(state.terms([BAD, GOOD])) == {GOOD}
    state.append(GOOD, [ONE])
    (why,) = state.refused([BAD, GOOD]).values()
    assert why.startswith(f"ledger entries of bad are lost - {PLACE} - ")
    assert "restore the state from a copy, or accept its loss with --accept-data-loss" in why
    with pytest.raises(StateDamaged, match="are lost"):
        state.ledger(BAD)


def test_a_damaged_partition_is_taken_once_and_then_looked_at_now_and_then(
    broker, clock, monkeypatch
) -> None:
    """However long it stays damaged the log does not grow, and it is read less and less often."""
    state = replica(broker, clock)
    looks = []
    look = LedgerOwner.look
    monkeypatch.setattr(
        LedgerOwner, "look", staticmethod(lambda *given: (looks.append(clock.monotonic()), look(*given)))
    )
    before = owners(broker)
    attended(state, clock, 7200)
    assert owners(broker) == before + 1
    waits = [after - first for first, after in itertools.pairwise(looks)]
    assert waits == sorted(waits)
    assert waits[-1] == LOOK_AGAIN
    assert len(looks) < 2 * 7200 / LOOK_AGAIN


def test_a_partition_that_was_mended_is_taken(broker, clock) -> None:
    """By another replica that accepted the loss: what could be read stands."""
    state = replica(broker, clock)
    attended(state, clock, 60)
    replica(broker, clock, accept_loss=True).attend()
    attended(state, clock, 2 * LOOK_AGAIN)
    assert state.refused([BAD]) == {}
    assert state.is_settled
    assert state.ledger(BAD).of("cursor") == {"1h": {"end": 1}}


def test_who_looks_in_vain_goes_on_looking(broker, clock, monkeypatch) -> None:
    """A broker that does not answer tells nothing of the damage."""
    state = replica(broker, clock)
    state.attend()
    before = owners(broker)
    read = state._logs.read

    def broken(place: Place, start: int) -> Iterator[Record]:
        if place == PLACE:
            raise StateError("cannot be read - here - brokers that answer")
        return read(place, start)

    monkeypatch.setattr(state._logs, "read", broken)
    attended(state, clock, 60)
    monkeypatch.undo()
    attended(state, clock, 60)
    assert owners(broker) == before
    assert state.refused([BAD])


def test_what_is_damaged_under_who_speaks_is_let_go(clock) -> None:
    """It is refused as it would be to the next one, and not asked for at every turn."""
    broker = SimulatedBroker(1, PARTITIONS, clock=clock)
    state = replica(broker, clock)
    state.attend()
    state.append(BAD, [ONE])
    broker.append(Write(PLACE, keys.encode(BatchKey(BAD, state.terms([BAD])[BAD], 9)), b"dlrubbish"))
    clock.advance(60.0)
    with pytest.raises(StateDamaged):
        state.ledger(BAD)
    assert BAD not in state.terms([BAD, GOOD])
    assert state.refused([BAD])
    assert state.is_settled


@pytest.mark.parametrize(("hours", "is_taken"), [(11, True), (13, False)])
def test_a_ledger_that_takes_too_long_to_be_read_is_not_believed(clock, hours, is_taken, monkeypatch) -> None:
    """Tombstones are kept for a day: what was removed meanwhile could come back."""
    broker = SimulatedBroker(1, PARTITIONS, clock=clock)
    LedgerOwner.take(broker.connect("a"), PLACE, WriterId(1), clock=clock).append(BAD, [ONE])
    logs = broker.connect("b")
    read = logs.read

    def slow(place: Place, start: int) -> Iterator[Record]:
        if start == 0:
            clock.advance(hours * 3600)
        return read(place, start)

    monkeypatch.setattr(logs, "read", slow)
    if not is_taken:
        with pytest.raises(StateError, match=r"was read for 13 h.* - ledger/\d - at most 12 h") as caught:
            LedgerOwner.take(logs, PLACE, WriterId(2), clock=clock)
        assert not isinstance(caught.value, StateDamaged)
        monkeypatch.undo()
    again = LedgerOwner.take(logs, PLACE, WriterId(3), clock=clock)
    assert again.entries(BAD, ()) == {"cursor": {"1h": {"end": 1}}}
