"""What may happen to a ledger, step by step. Each raises AssertionError where an entry is lost or comes back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from monitor.clock import ManualClock
from monitor.errors import StateUnsettled
from monitor.state.kafka import keys
from monitor.state.kafka.keys import BatchKey, OwnerKey, WriterId
from monitor.state.kafka.logs import Place, Record, Write
from monitor.state.kafka.owner import TIDY_FROM, LedgerOwner
from monitor.state.log import Entry
from tests.state.kafka.ledgers import PLACE, Broker, batch, found, standing, take

INTENT, GONE = Entry("intent", "i", {"n": 1}), Entry("intent", "i", None)
PARTS = (slice(0), slice(1, None), slice(-1), slice(0, None, 2), slice(1, None, 2), slice(None))


def cursor(n: int) -> Entry:
    return Entry("cursor", "1h", {"n": n})


def a_record_comes_late() -> None:
    """Its write was given up, the call repeated, the entry removed. All that was written before it goes."""
    broker = Broker()
    owner = take(broker)
    late = batch(BatchKey("fraud", owner.term, 0), Entry("intent", "i", {"n": 0}))
    owner._seq = 1
    owner.append("fraud", [INTENT])
    broker.append(late)
    owner.append("fraud", [GONE])
    for n in range(3 * TIDY_FROM):
        owner.append("fraud", [cursor(n)])
    expected = {("fraud", "cursor", "1h"): {"n": n}}
    assert found(owner) == standing(broker.written) == expected
    broker.clean()
    assert found(take(broker, 2)) == expected


def a_record_comes_late_and_compaction_is_broken_off() -> None:
    """It covers an entry that stands. What makes it void is gone, and it is left before its tombstone."""
    broker = Broker()
    owner = take(broker)
    late = batch(BatchKey("fraud", owner.term, 1), Entry("intent", "i", {"n": 0}))
    owner.append("fraud", [INTENT])
    owner._seq = 2
    owner.append("fraud", [cursor(0)])
    broker.append(late)
    for n in range(1, 2 * TIDY_FROM):
        owner.append("fraud", [cursor(n)])
    log, gone = broker._log(PLACE), keys.encode(BatchKey("fraud", owner.term, 2))
    kept = [at for at, record in enumerate(log.records) if record.value is None or record.key != gone]
    broker._keep(log, kept)
    assert len(broker.records(PLACE)) == len(broker.written) - 1
    assert found(take(broker, 2)) == standing(broker.written)


def compaction_overtakes_a_reader() -> None:
    """A new owner has met an entry, and its read ends before the tombstones: an owner before it writes them
    only now, and compaction takes what removes the entry before that is read."""
    broker = Broker()
    owner = take(broker)
    owner.append("fraud", [INTENT])
    for n in range(TIDY_FROM - 2):
        owner.append("fraud", [cursor(n)])
    removal = owner._seq
    owner.append("fraud", [GONE])
    expected = standing(broker.written)
    assert all(record.value for record in broker.written), "nothing was tidied yet"
    logs = broker.connect("b")
    read, passed = logs.read, []

    def slow(place: Place, start: int) -> Iterator[Record]:
        for record in read(place, start):
            yield record
            if not passed and record.offset == 2:
                passed.append(True)
                for seq in (0, removal):
                    broker.append(Write(PLACE, keys.encode(BatchKey("fraud", owner.term, seq)), None))
                broker.append(batch(BatchKey("fraud", owner.term, removal + 1), cursor(99)))
                broker.clean()

    logs.read = slow
    taken = LedgerOwner.take(logs, PLACE, WriterId(2), clock=ManualClock())
    assert passed
    assert found(taken) == expected


def a_take_over_breaks_off() -> None:
    """At any of its writes, of which any part arrives. Before it there were three owners: each of two wrote
    on after the next, the second had a record that came late, and the third died at once."""
    for broken in range(12):
        for arriving in PARTS:
            broker = _owners()
            expected = standing(broker.written)
            logs = broker.connect("b")
            write, count = logs.write, iter(range(99))

            def fail(writes: Sequence[Write], write=write, count=count, broken=broken, arriving=arriving):
                if next(count) != broken:
                    return write(writes)
                write(writes[arriving])
                raise StateUnsettled("not acknowledged - here - try again")

            logs.write = fail
            try:
                LedgerOwner.take(logs, PLACE, WriterId(3), clock=ManualClock())
            except StateUnsettled:
                pass
            else:
                assert broken > 5
            broker.clean()
            assert found(take(broker, 4)) == expected
            broker.clean()
            assert found(take(broker, 5)) == expected


def _owners() -> Broker:
    broker = Broker()
    first = take(broker)
    first.append("fraud", [INTENT, cursor(1)])
    first.append("churn", [INTENT])
    second = take(broker, 2)
    second.append("fraud", [GONE, Entry("verdict", "a", {"n": 1})])
    second.append("churn", [cursor(2)])
    broker.append(batch(BatchKey("churn", first.term, 90), cursor(666), Entry("intent", "x", {"n": 666})))
    late = batch(BatchKey("fraud", second.term, second._seq), INTENT, Entry("verdict", "a", {"n": 666}))
    second._seq += 1
    second.append("fraud", [Entry("intent", "j", {"n": 2})])
    broker.append(late)
    second.append("fraud", [Entry("intent", "j", None), Entry("claim", "j/0", {"n": 3})])
    broker.append(Write(PLACE, keys.encode(OwnerKey(WriterId(9))), b"third"))
    broker.append(batch(BatchKey("fraud", second.term, 90), cursor(666), Entry("intent", "x", {"n": 666})))
    return broker
