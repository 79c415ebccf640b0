"""Speaking for models: what was appended stands, whoever crashes, sleeps or is overtaken by compaction."""

from __future__ import annotations

import random
import threading

import pytest

from monitor import failpoint
from monitor.clock import ManualClock
from monitor.errors import StateDamaged, StateError, StateFenced, StateTooNew, StateUnsettled
from monitor.state import envelope
from monitor.state.kafka import keys, owner
from monitor.state.kafka.batch import LARGEST, encode_batch
from monitor.state.kafka.keys import BatchKey, OwnerKey, WriterId
from monitor.state.kafka.ledger import LedgerView
from monitor.state.kafka.logs import Write
from monitor.state.kafka.owner import REWRITE, SLACK, TIDY_FROM, LedgerOwner
from monitor.state.log import Entry
from tests.state.cases import Died
from tests.state.kafka.ledgers import MODELS, PLACE, Broker, found, standing, take


def cursor(n: int, model: str = "1h") -> Entry:
    return Entry("cursor", model, {"n": n})


def test_what_is_appended_stands_and_what_is_removed_is_gone() -> None:
    """By model and kind, also for the next owner."""
    broker = Broker()
    first = take(broker)
    first.append("fraud", [cursor(1), Entry("verdict", "a", {"x": float("inf")})])
    first.append("churn", [cursor(2)])
    first.append("fraud", [cursor(3), Entry("intent", "i", {"n": 1})])
    first.append("fraud", [Entry("intent", "i", None), Entry("nothing", "there", None)])
    before = broker.end(PLACE)
    first.append("fraud", [])
    assert broker.end(PLACE) == before
    for each in (first, take(broker, 2)):
        assert each.entries("fraud", ()) == {"cursor": {"1h": {"n": 3}}}
        assert each.entries("fraud", ("verdict",)) == {"verdict": {"a": {"x": float("inf")}}}
        assert each.entries("churn", None) == {"cursor": {"1h": {"n": 2}}}


def test_who_is_overtaken_is_fenced_for_good_and_leaves_nothing() -> None:
    """It learns of it by its first write, or when it looks; from then on by anything it does."""
    broker = Broker()
    old = take(broker)
    old.append("fraud", [cursor(1)])
    new = take(broker, 2)
    with pytest.raises(StateFenced):
        old.append("fraud", [cursor(9)])
    for call in (
        lambda: old.entries("fraud", None),
        lambda: old.append("fraud", []),
        lambda: old.claim("fraud", "i", 0, 0),
        old.check,
        lambda: old.check(60.0),
    ):
        with pytest.raises(StateFenced, match="another process speaks for these models"):
            call()
    new.check()
    assert new.entries("fraud", ()) == {"cursor": {"1h": {"n": 1}}}
    take(broker, 3)
    new.check(60.0)
    with pytest.raises(StateFenced):
        new.check()


def test_a_claim_is_made_once() -> None:
    """Also over a change of owner; a fenced owner claims nothing."""
    broker = Broker()
    old = take(broker)
    assert old.claim("fraud", "i", 0, 5)
    assert not old.claim("fraud", "i", 0, 6)
    new = take(broker, 2)
    assert not new.claim("fraud", "i", 0, 7)
    assert new.claim("fraud", "i", 1, 8)
    with pytest.raises(StateFenced):
        old.claim("fraud", "i", 2, 9)
    assert new.entries("fraud", ("claim",))["claim"]["i/0"] == {"intent": "i", "attempt": 0, "at": 5}
    assert set(new.entries("fraud", ("claim",))["claim"]) == {"i/0", "i/1"}


def test_threads_share_an_owner() -> None:
    """Delivery threads claim at the same time: each attempt is one's."""
    broker, won = Broker(), []
    shared = take(broker)

    def claim() -> None:
        won.extend(attempt for attempt in range(20) if shared.claim("fraud", "i", attempt, 0))

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(20))
    assert found(take(broker, 2)) == standing(broker.written)


def test_a_call_that_was_not_settled_may_be_repeated(monkeypatch) -> None:
    """Whether its record arrived or not; a claim that arrived is not given again."""
    for arrives in (False, True):
        broker = Broker()
        logs = broker.connect("a")
        shared = LedgerOwner.take(logs, PLACE, WriterId(1), clock=ManualClock())

        def refuse(writes, arrives=arrives, broker=broker):
            if arrives:
                broker.append(*writes)
            raise StateUnsettled("not acknowledged - here - try again")

        monkeypatch.setattr(logs, "write", refuse)
        with pytest.raises(StateUnsettled):
            shared.append("fraud", [cursor(1)])
        with pytest.raises(StateUnsettled):
            shared.claim("fraud", "i", 0, 5)
        monkeypatch.undo()
        assert shared.claim("fraud", "i", 0, 6) != arrives
        shared.append("fraud", [cursor(1)])
        assert shared.entries("fraud", ("cursor",)) == {"cursor": {"1h": {"n": 1}}}
        assert found(take(broker, 2)) == standing(broker.written) == found(take(broker, 3))


@pytest.mark.parametrize("step", ["append", "claim"])
@pytest.mark.parametrize(("place", "is_there"), [("before", False), ("inside", True), ("after", True)])
def test_a_death_at_any_point_leaves_all_or_nothing(step, place, is_there) -> None:
    """The next owner finds what was acknowledged by Kafka, whether the process knew or not."""

    def die() -> None:
        raise Died

    broker = Broker()
    first = take(broker)
    failpoint.arm(f"{step}.{place}", action=die)
    try:
        with pytest.raises(Died):
            first.append("fraud", [cursor(1)]) if step == "append" else first.claim("fraud", "i", 0, 5)
    finally:
        failpoint.disarm()
    assert bool(found(take(broker, 2))) == is_there


def test_an_owner_record_that_comes_late_fences_and_loses_nothing() -> None:
    """A take-over was given up and made again; the first owner record arrives after the second."""
    broker = Broker()
    first = take(broker)
    first.append("fraud", [cursor(1)])
    broker.append(Write(PLACE, keys.encode(OwnerKey(WriterId(9))), b"late"))
    with pytest.raises(StateFenced):
        first.append("fraud", [cursor(2)])
    broker.clean()
    assert take(broker, 2).entries("fraud", None) == {"cursor": {"1h": {"n": 1}}}


def test_lost_entries_are_not_passed_over() -> None:
    """A batch that does not verify stops the take-over, until the loss is accepted."""
    broker = Broker()
    first = take(broker)
    first.append("fraud", [cursor(1)])
    broker.append(Write(PLACE, keys.encode(BatchKey("fraud", first.term, 7)), b"dlrubbish"))
    with pytest.raises(StateDamaged, match=r"entries of fraud are lost - ledger/0 .*accept-data-loss"):
        take(broker, 2)
    again = take(broker, 3, accept_loss=True)
    assert again.entries("fraud", ()) == {"cursor": {"1h": {"n": 1}}}
    again.append("fraud", [cursor(2)])
    assert take(broker, 4).entries("fraud", ()) == {"cursor": {"1h": {"n": 2}}}


def test_who_is_fenced_hears_of_that_first(monkeypatch) -> None:
    """What the next owner writes may be damaged, or of a newer driftline: it is of no concern any more."""
    monkeypatch.setattr(envelope, "VERSION", 9)
    newer = encode_batch([])
    monkeypatch.undo()
    for value, error in ((b"dlrubbish", StateDamaged), (newer, StateTooNew)):
        broker = Broker()
        old = take(broker)
        new = take(broker, 2)
        broker.append(Write(PLACE, keys.encode(BatchKey("fraud", new.term, 7)), value))
        with pytest.raises(StateFenced):
            old.check()
        with pytest.raises(error):
            new.check()


def test_the_log_stays_as_large_as_what_stands() -> None:
    """Thousands of appends, of which one entry each stays for long."""
    broker = Broker()
    shared = take(broker)
    place = random.Random(1)
    most = 0
    for number in range(3000):
        note = "".join(place.choices("abcdefgh", k=400))
        shared.append("fraud", [cursor(number), Entry("verdict", str(number % 500), {"n": note})])
        most = max(most, len(shared._view.garbage()))
    assert most < TIDY_FROM + 2
    broker.clean()
    view = LedgerView()
    for record in broker.connect("x").read(PLACE, 0):
        view.apply(record)
    assert len(view.garbage()) < TIDY_FROM + 2
    assert view.size <= 4 * view.live_size + 2 * SLACK
    assert len(broker.records(PLACE)) < 2 * 500 + 2 * TIDY_FROM
    assert len(view.entries("fraud", None)["verdict"]) == 500
    assert found(take(broker, 2)) == standing(broker.written)


def test_batches_with_little_left_are_written_anew(monkeypatch) -> None:
    """One entry of each stays for ever: the log does not grow with the others."""
    monkeypatch.setattr(owner, "SLACK", 4096)
    broker = Broker()
    shared = take(broker)
    place = random.Random(1)
    for number in range(400):
        note = place.randbytes(1000).hex()
        shared.append(
            "fraud", [Entry("claim", str(number), {"n": number}), Entry("verdict", "v", {"n": note})]
        )
        assert shared._view.size <= owner.SPARSE * shared._view.live_size + owner.SLACK + 4 * 1100
    assert len(shared._view.former(shared.term + 1).batches) < 100
    broker.clean()
    assert found(take(broker, 2)) == standing(broker.written)


def test_an_owner_rewrites_much_in_portions() -> None:
    """A live set of several records' size passes from one to the next, and what was before goes."""
    broker = Broker()
    first = take(broker)
    place = random.Random(1)
    for number in range(40):
        first.append("fraud", [Entry("verdict", str(number), {"n": place.randbytes(30_000).hex()})])
    second = take(broker, 2)
    assert found(second) == standing(broker.written)
    broker.clean()
    left = [record for record in broker.records(PLACE)[:-1] if record.value is not None]
    assert {keys.decode_ledger(record.key)[1:2] for record in left} == {(second.term,), ()}
    assert max(len(record.value) for record in left) < REWRITE
    assert len(left) < 40 * 60_000 // REWRITE + 4


def test_too_much_at_once_is_refused_and_what_was_taken_passes_on() -> None:
    """The limit is on what is appended; written anew entries may take a little more, as they come alone."""
    broker = Broker()
    first = take(broker)
    noise = random.Random(1).randbytes(LARGEST - 20_000)
    text = "".join(map(chr, (byte % 64 + 48 for byte in noise)))
    with pytest.raises(StateError, match="too large together"):
        first.append("fraud", [Entry("verdict", "a", {"x": text + text})])
    first.append("fraud", [Entry("verdict", "a", {"x": text}), Entry("verdict", "b", {"x": text[-20_000:]})])
    assert found(take(broker, 2)) == standing(broker.written)


def test_a_ledger_that_was_made_anew_holds_what_stood() -> None:
    """Whoever spoke before speaks on, under a term of the new log; an append in between counts for nothing and may be
    repeated, and the next owner finds all of it."""
    broker = Broker()
    first = take(broker)
    for n in range(40):
        first.append("fraud", [cursor(n), Entry("verdict", str(n % 7), {"n": n})])
    first.append("churn", [cursor(2)])
    first.append("churn", [Entry("cursor", "1h", None), cursor(5, "2h")])
    before = {model: first.entries(model, None) for model in MODELS}
    broker.renew(PLACE)
    with pytest.raises(StateUnsettled, match="made anew"):
        first.append("fraud", [cursor(99)])
    first.begin_anew(WriterId(7))
    assert {model: first.entries(model, None) for model in MODELS} == before
    first.append("fraud", [cursor(99)])
    expected = {**before["fraud"]["cursor"], "1h": {"n": 99}}
    for each in (first, take(broker, 8)):
        assert each.entries("fraud", None)["cursor"] == expected
        assert each.entries("fraud", None)["verdict"] == before["fraud"]["verdict"]
        assert each.entries("churn", None) == before["churn"]


def test_a_ledger_that_is_written_anew_may_break_off() -> None:
    """At whatever write: until all of it stands nothing else is done, and the call may be repeated."""
    for cut in range(6):
        broker = Broker()
        first = take(broker)
        for n in range(5):
            first.append("fraud", [cursor(n), Entry("verdict", str(n), {"n": n})])
        first.append("churn", [cursor(2)])
        before = {model: first.entries(model, None) for model in MODELS}
        broker.renew(PLACE)
        left = [cut]
        write = broker.append

        def failing(one: Write, write=write, left=left) -> int:
            left[0] -= 1
            if left[0] < 0:
                raise StateUnsettled("not acknowledged")
            return write(one)

        broker.append = failing
        try:
            first.begin_anew(WriterId(7))
        except StateUnsettled:
            broker.append = write
            with pytest.raises(StateUnsettled, match="made anew"):
                first.entries("fraud", None)
            first.begin_anew(WriterId(8))
        broker.append = write
        for each in (first, take(broker, 9)):
            assert {model: each.entries(model, None) for model in MODELS} == before
