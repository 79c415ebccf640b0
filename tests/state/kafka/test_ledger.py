"""What a partition of the ledger says, whatever was written to it, and what of it may go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import StateTooNew
from monitor.state import envelope
from monitor.state.kafka import keys
from monitor.state.kafka.batch import encode_batch
from monitor.state.kafka.keys import BatchKey, MarkerKey, OwnerKey, WriterId
from monitor.state.kafka.ledger import LedgerView
from monitor.state.kafka.logs import Record, Write
from monitor.state.log import Entry
from tests.state.cases import SOURCE
from tests.state.kafka.ledgers import MODELS, PLACE, batch, standing

ITEMS = st.lists(
    st.tuples(st.sampled_from("xyz"), st.sampled_from([None, 1, 2])), max_size=3, unique_by=lambda item: item[0]
)  # fmt: skip
STEPS = st.lists(
    st.tuples(
        st.just("batch"), st.sampled_from(MODELS), st.sampled_from([0, 0, 0, 1]), st.integers(-3, 2), ITEMS
    )
    | st.tuples(st.just("owner")),
    max_size=14,
)


def history(steps) -> list[Record]:
    """Owners, their batches in order and out of it, and those of owners that were overtaken."""
    records: list[Record] = []
    terms: list[int] = []
    written: set[BatchKey] = set()
    seq = 10

    def add(write: Write) -> None:
        records.append(Record(len(records), write.key, write.value))

    for step in [("owner",), *steps]:
        if step[0] == "owner":
            terms.append(len(records))
            add(Write(PLACE, keys.encode(OwnerKey(WriterId(len(records)))), b"o"))
            continue
        _, model, back, ahead, items = step
        key = BatchKey(model, terms[max(len(terms) - 1 - back, 0)], max(seq + ahead, 0))
        seq += 1
        if not any(key[1:] == other[1:] for other in written):
            written.add(key)
            add(batch(key, *(Entry("k", name, n and {"n": n}) for name, n in items)))
    return records


def viewed(records, view: LedgerView | None = None) -> LedgerView:
    view = view or LedgerView()
    for record in records:
        view.apply(record)
    return view


def shown(view: LedgerView):
    return {
        (model, kind, name): body
        for model in MODELS
        for kind, bodies in view.entries(model, None).items()
        for name, body in bodies.items()
    }


def without(records, gone) -> list[Record]:
    encoded = {keys.encode(key) for key in gone}
    return [record for record in records if record.key not in encoded]


def some(data, of) -> list:
    return [each for each in of if data.draw(st.booleans())]


@given(steps=STEPS)
def test_a_view_shows_what_the_rule_says(steps):
    """Records of any origin, in any order."""
    records = history(steps)
    view = viewed(records)
    assert shown(view) == standing(records)
    for record in records:
        key = keys.decode_ledger(record.key)
        if isinstance(key, BatchKey):
            assert view.counts(key) != (key in view.void())


@given(steps=STEPS, data=st.data())
def test_any_part_of_the_garbage_may_go_after_all_that_is_void(steps, data):
    """For who reads only what is left, and for who meets the tombstones; also if some of them got lost."""
    records = history(steps)
    view, expected = viewed(records), standing(records)
    void = some(data, view.void())
    assert shown(viewed(without(records, void))) == expected
    records, gone = without(records, view.void()), some(data, view.garbage())
    left = without(records, gone)
    assert shown(viewed(left)) == standing(left) == expected
    for key in [*view.void(), *gone]:
        view.apply(Record(99, keys.encode(key), None))
    assert shown(view) == expected
    assert not view.misled
    again = some(data, view.garbage())  # what had to outlive what is gone now
    assert shown(viewed(without(left, again))) == expected


@given(steps=STEPS, data=st.data())
def test_what_is_written_anew_needs_nothing_from_before(steps, data):
    """A new owner writes what `needs` tells: any part of what was before may go then, owners last."""
    records = history([*steps, ("owner",)])
    view, expected = viewed(records), standing(records)
    term, former = view.term, view.former(view.term)
    for seq, (model, items) in enumerate(view.needs(former.batches).items()):
        value = encode_batch(items)
        records.append(Record(len(records), keys.encode(BatchKey(model, term, seq)), value))
    view = viewed(records)
    assert shown(view) == standing(records) == expected
    assert set(former.batches) <= set(view.garbage())
    assert shown(viewed(without(records, some(data, former.void)))) == expected
    records = without(records, former.void)
    assert shown(viewed(without(records, some(data, former.batches)))) == expected
    records = without(records, former.batches)
    assert shown(viewed(without(records, some(data, former.owners)))) == expected


@given(steps=STEPS, data=st.data())
def test_sizes_are_those_of_what_is_there(steps, data):
    """They decide when a log is written anew."""
    records = history(steps)
    view = viewed(records)
    for key in [*view.void(), *some(data, view.garbage())]:
        records.append(Record(len(records), keys.encode(key), None))
        view.apply(records[-1])
    counted = [record for record in records if record.value and record.value != b"o"]
    assert view.size == sum(len(r.value) for r in counted if view.counts(keys.decode_ledger(r.key)))
    assert view.live_size == sum(
        len("k") + len(name) + len('_{"n":1}') for _model, _kind, name in standing(records)
    )


def test_the_newest_of_a_term_stays() -> None:
    """Though it holds nothing: a record of a lower number that comes late would count without it."""
    view = viewed(history([]))
    for offset, seq in ((1, 4), (2, 5)):
        write = batch(BatchKey("fraud", 0, seq), Entry("k", "x", None))
        view.apply(Record(offset, write.key, write.value))
    assert view.garbage() == [BatchKey("fraud", 0, 4)]


def test_what_was_covered_by_a_void_batch_is_misled_until_it_is_left_out() -> None:
    """Compaction took what made a batch void, was broken off, and left the batch."""
    steps = [
        batch(BatchKey("fraud", 0, 1), Entry("k", "x", {"n": 1})),
        batch(BatchKey("fraud", 0, 3), Entry("k", "y", {"n": 1})),
        batch(BatchKey("fraud", 0, 2), Entry("k", "x", {"n": 2})),
        batch(BatchKey("fraud", 0, 4), Entry("k", "y", {"n": 2})),
        Write(PLACE, keys.encode(BatchKey("fraud", 0, 2)), None),
        Write(PLACE, keys.encode(BatchKey("fraud", 0, 3)), None),
    ]
    records = history([]) + [Record(at, write.key, write.value) for at, write in enumerate(steps, 1)]
    whole = viewed(records)
    assert not whole.misled
    left = without(records, [BatchKey("fraud", 0, 3)])
    view = viewed(left)
    assert view.misled == {BatchKey("fraud", 0, 2)}
    view = viewed(left, LedgerView(frozenset(view.misled)))
    assert not view.misled
    assert shown(view) == shown(whole) == standing(records)


def test_kinds_are_chosen_as_by_any_state_log() -> None:
    """All but verdicts, some, or all."""
    view = viewed(history([]))
    write = batch(
        BatchKey("fraud", 0, 1),
        Entry("verdict", "b", {"n": 2}),
        Entry("verdict", "a", {"n": 1}),
        Entry("cursor", "c", {}),
    )
    view.apply(Record(1, write.key, write.value))
    assert view.entries("fraud", ()) == {"cursor": {"c": {}}}
    assert list(view.entries("fraud", ("verdict",))["verdict"]) == ["a", "b"]
    assert view.entries("fraud", ("claim",)) == {}
    assert list(view.entries("fraud", None)) == ["cursor", "verdict"]
    assert view.entries("churn", None) == {}


def test_large_bodies_are_held_compressed() -> None:
    """Two hundred verdicts of two megabytes each are held for every model."""
    view = viewed(history([]))
    body = {"features": [{"name": f"feature {n}", "psi": n / 7, "verdict": "ok"} for n in range(20_000)]}
    write = batch(BatchKey("fraud", 0, 1), Entry("verdict", "a", body))
    view.apply(Record(1, write.key, write.value))
    assert view.live_size < len(str(body)) / 3
    assert view.entries("fraud", None) == {"verdict": {"a": body}}


def test_a_damaged_batch_is_told_if_it_would_have_counted() -> None:
    """Its entries are unknown; those of others stand. What is void or tombstoned is no loss."""
    view = viewed(history([]))
    good = batch(BatchKey("fraud", 0, 1), Entry("k", "x", {"n": 1}))
    bad, late, overtaken = (
        keys.encode(BatchKey("churn", term, seq)) for term, seq in ((0, 2), (0, 0), (7, 9))
    )
    for offset, (key, value) in enumerate(
        [(good.key, good.value), (bad, b"?"), (late, b"?"), (overtaken, b"?"), (b"?", b"?"), (b"?", None)], 1
    ):
        view.apply(Record(offset, key, value))
    assert list(view.damaged) == [BatchKey("churn", 0, 2)]
    assert shown(view) == {("fraud", "k", "x"): {"n": 1}}
    view.apply(Record(9, bad, None))
    assert not view.damaged
    view.apply(Record(10, keys.encode(MarkerKey(SOURCE, WriterId(1))), b"?"))
    assert shown(view) == {("fraud", "k", "x"): {"n": 1}}


def test_a_batch_of_a_newer_driftline_is_not_passed_over(monkeypatch) -> None:
    """Unless it does not count."""
    monkeypatch.setattr(envelope, "VERSION", 9)
    value = encode_batch([])
    monkeypatch.undo()
    view = viewed(history([]))
    view.apply(Record(1, keys.encode(BatchKey("fraud", 7, 1)), value))
    with pytest.raises(StateTooNew):
        view.apply(Record(2, keys.encode(BatchKey("fraud", 0, 1)), value))
