"""What every state log promises; one suite over all of them."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from monitor.errors import StateError, StateMissing
from monitor.state.codec import digest
from monitor.state.log import Entry, StateLog
from tests.state.cases import (
    OTHER,
    SOURCE,
    contents,
    make_key,
    make_marker,
    make_progress,
    make_sketch,
)

PLACES = ("before", "inside", "after")


def test_empty_log_has_nothing(log: StateLog):
    """A fresh log recovers nothing, lists no sources and has an empty ledger."""
    assert log.recover(SOURCE) is None
    assert list(log.sources()) == []
    assert log.changes(["fraud", ""], 0) == (0, (), ())
    assert log.ledger("fraud").entries == {}


def test_checkpoint_comes_back_whole(log):
    """What was checkpointed is what recover returns, marker and arrays alike."""
    sketches = [make_sketch(make_key(pane=pane), seed=pane) for pane in (0, 1, 2)]
    marker = make_marker(live={"fraud": 0}, since=3, epoch=4)
    log.checkpoint(SOURCE, sketches, marker)
    checkpoint = log.recover(SOURCE)
    assert checkpoint.marker == marker
    assert contents(checkpoint.sketches) == contents(sketches)
    assert np.array_equal(checkpoint.sketches[0].counts, sketches[0].counts)


def test_newer_sketch_replaces_and_never_adds(log):
    """Two checkpoints of one key leave the second one's counts."""
    log.checkpoint(SOURCE, [make_sketch(seed=1)], make_marker())
    newer = make_sketch(seed=2, applied=20)
    log.checkpoint(SOURCE, [newer], make_marker(applied=20))
    checkpoint = log.recover(SOURCE)
    assert contents(checkpoint.sketches) == contents([newer])
    assert checkpoint.marker.applied == 20


def test_repeated_checkpoint_changes_nothing(log):
    """A checkpoint whose acknowledgement was lost may be repeated."""
    sketches, marker = [make_sketch(seed=1)], make_marker()
    log.checkpoint(SOURCE, sketches, marker)
    log.checkpoint(SOURCE, sketches, marker)
    assert contents(log.recover(SOURCE).sketches) == contents(sketches)
    assert log.divergences == 0


def test_clean_sketches_stay_from_older_checkpoints(log):
    """A checkpoint holds only what changed; the rest is still recovered."""
    first, second = make_sketch(make_key(pane=0), seed=1), make_sketch(make_key(pane=1), seed=2, applied=20)
    log.checkpoint(SOURCE, [first], make_marker())
    log.checkpoint(SOURCE, [second], make_marker(applied=20))
    log.checkpoint(SOURCE, [], make_marker(applied=30))
    checkpoint = log.recover(SOURCE)
    assert contents(checkpoint.sketches) == contents([first, second])
    assert checkpoint.marker.applied == 30


def test_only_live_sketches_are_recovered(log):
    """Panes before `live` of their model stay behind; a model that is not named is live altogether."""
    kept = [
        make_sketch(make_key(pane=100), seed=1),
        make_sketch(make_key("other", pane=0), seed=2),
        make_sketch(make_key("", pane=50), seed=3),
    ]
    gone = [make_sketch(make_key(pane=99), seed=4), make_sketch(make_key("", pane=49), seed=5)]
    log.checkpoint(SOURCE, [*kept, *gone], make_marker(live={"fraud": 100, "": 50}))
    assert contents(log.recover(SOURCE).sketches) == contents(kept)


def test_sources_do_not_mix(log):
    """Each source partition recovers its own sketches."""
    here, there = make_sketch(seed=1), make_sketch(make_key(source=OTHER), seed=2)
    log.checkpoint(SOURCE, [here], make_marker())
    log.checkpoint(OTHER, [there], make_marker(OTHER))
    assert contents(log.recover(SOURCE).sketches) == contents([here])
    assert contents(log.recover(OTHER).sketches) == contents([there])
    assert list(log.sources()) == [SOURCE, OTHER]


def test_checkpoint_of_another_source_is_refused(log):
    """A sketch or a marker of another source partition is a defect of the caller and stores nothing."""
    with pytest.raises(ValueError, match="only that source"):
        log.checkpoint(SOURCE, [make_sketch(make_key(source=OTHER))], make_marker())
    with pytest.raises(ValueError, match="only that source"):
        log.checkpoint(SOURCE, [], make_marker(OTHER))
    assert list(log.sources()) == []


def test_state_that_is_gone_is_refused(log):
    """When the group has an offset and the log has no state, recover stops instead of starting anew."""
    log.expect(SOURCE)
    with pytest.raises(StateMissing, match="--accept-data-loss"):
        log.recover(SOURCE)
    assert log.recover(OTHER) is None
    log.checkpoint(SOURCE, [], make_marker())
    assert log.recover(SOURCE) is not None


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_checkpoint_is_all_or_nothing(store, place, nth):
    """Death before or inside a checkpoint leaves the one before; death after it leaves it whole."""
    old = [make_sketch(make_key(pane=pane), seed=pane) for pane in (0, 1)]
    store.log.checkpoint(SOURCE, old, make_marker())
    new = [replace(make_sketch(sketch.key, seed=10 + i), applied=20) for i, sketch in enumerate(old)]
    store.crash_at(f"checkpoint.{place}", nth=nth if place == "inside" else 1)
    with pytest.raises(store.dies):
        store.log.checkpoint(SOURCE, new, make_marker(applied=20))
    store.restart()
    checkpoint = store.log.recover(SOURCE)
    done = place == "after"
    assert checkpoint.marker.applied == (20 if done else 10)
    assert contents(checkpoint.sketches) == contents(new if done else old)
    if not store.is_shared:
        assert store.log.changes(["fraud"], 0)[0] == (2 if done else 1)


@pytest.mark.parametrize("place", PLACES)
def test_append_is_all_or_nothing(store, place):
    """Death inside an append leaves none of its entries; after it, all of them."""
    store.log.append("fraud", [Entry("clock", "a", {"at": 1})])
    store.crash_at(f"append.{place}")
    with pytest.raises(store.dies):
        store.log.append("fraud", [Entry("clock", "a", None), Entry("intent", "b", {"x": 1})])
    store.restart()
    ledger = store.log.ledger("fraud")
    if place == "after" or (place == "inside" and store.is_shared):
        assert ledger.entries == {"intent": {"b": {"x": 1}}}
    else:
        assert ledger.entries == {"clock": {"a": {"at": 1}}}


@pytest.mark.parametrize("place", PLACES)
def test_claim_is_made_or_free_after_a_crash(store, place):
    """A claim that was durable before the death stays made; one that was not can be made again."""
    store.crash_at(f"claim.{place}")
    with pytest.raises(store.dies):
        store.log.claim("fraud", "intent", 1)
    store.restart()
    is_made = place == "after" or (place == "inside" and store.is_shared)
    assert store.log.claim("fraud", "intent", 1) == (not is_made)


def test_restart_keeps_what_is_durable_and_raises_the_term(store):
    """Sketches, ledger and claims survive; progress need not; the term goes up."""
    store.log.checkpoint(SOURCE, [make_sketch(seed=1)], make_marker())
    store.log.append("fraud", [Entry("budget", "2026", {"spent": 0.5})])
    assert store.log.claim("fraud", "page", 1)
    term = store.log.ledger("fraud").term
    position = store.log.changes(["fraud"], 0)[0]
    store.restart()
    ledger = store.log.ledger("fraud")
    assert ledger.term > term
    assert ledger.of("budget") == {"2026": {"spent": 0.5}}
    assert ledger.of("claim") == {"page/1": {"intent": "page", "attempt": 1, "at": 1000}}
    assert store.log.changes(["fraud"], 0)[0] == position
    assert store.log.recover(SOURCE).marker == make_marker()


def test_changes_are_told_once_newest_per_key(log):
    """A reader that passes the position back sees each change once, and only of its models."""
    a, b = make_sketch(make_key(pane=0), seed=1), make_sketch(make_key("other"), seed=2)
    ledger = make_sketch(make_key(""), seed=3)
    log.checkpoint(SOURCE, [a, b, ledger], make_marker())
    position, seen, _ = log.changes(["fraud"], 0)
    assert contents(seen) == contents([a])
    assert log.changes(["fraud"], position)[1] == ()
    newer = make_sketch(a.key, seed=4, applied=20)
    log.checkpoint(SOURCE, [newer], make_marker(applied=20))
    newest = make_sketch(a.key, seed=5, applied=30)
    log.checkpoint(SOURCE, [newest], make_marker(applied=30))
    assert contents(log.changes(["fraud"], position)[1]) == contents([newest])
    assert contents(log.changes(["fraud", ""], 0)[1]) == contents([newest, ledger])


def test_all_progress_is_told_newest_per_source(log):
    """Progress of every source partition comes with each call, whatever the models."""
    log.report(make_progress(applied=1))
    log.report(make_progress(OTHER, applied=2))
    log.report(make_progress(applied=3))
    assert [(p.source, p.applied) for p in log.changes([], 0)[2]] == [(SOURCE, 3), (OTHER, 2)]


def test_entries_replace_by_kind_and_id(log):
    """An entry replaces the one of equal kind and id, None removes it, models are apart."""
    log.append("fraud", [Entry("incident", "a", {"n": 1}), Entry("clock", "a", {"n": 2})])
    log.append("fraud", [Entry("incident", "a", {"n": 3}), Entry("incident", "b", {"n": 4})])
    log.append("other", [Entry("incident", "a", {"n": 5})])
    log.append("fraud", [Entry("incident", "b", None), Entry("incident", "never", None)])
    assert log.ledger("fraud").entries == {"incident": {"a": {"n": 3}}, "clock": {"a": {"n": 2}}}
    assert log.ledger("other").of("incident") == {"a": {"n": 5}}
    assert log.ledger("other").of("clock") == {}


def test_ledger_returns_the_kinds_asked_for(log):
    """The history of verdicts is long, so it is read only on request."""
    log.append("fraud", [Entry(kind, "a", {"kind": kind}) for kind in ("verdict", "incident", "clock")])
    assert set(log.ledger("fraud").entries) == {"incident", "clock"}
    assert set(log.ledger("fraud", kinds=("verdict", "clock")).entries) == {"verdict", "clock"}
    assert set(log.ledger("fraud", kinds=None).entries) == {"verdict", "incident", "clock"}


def test_entry_bodies_keep_odd_values(log):
    """Unicode, lone surrogates, huge integers, NaN-free floats and nesting come back as they were."""
    body = {"text": "ä\ud800\u0000", "big": 1 << 80, "float": 0.1, "none": None, "deep": [{"a": [1.5, True]}]}
    log.append("fraud", [Entry("incident", "odd", body)])
    assert log.ledger("fraud").of("incident")["odd"] == body


def test_entry_that_is_not_json_stores_nothing(log):
    """An append with one body that cannot be stored fails before it writes any."""
    with pytest.raises(TypeError):
        log.append("fraud", [Entry("clock", "a", {}), Entry("clock", "b", {"x": object()})])
    assert log.ledger("fraud").entries == {}


def test_a_claim_is_made_once_by_any_thread(log):
    """Of many threads that claim the same attempts, exactly one gets each."""
    won: list[tuple[int, int]] = []
    start = threading.Barrier(6)

    def compete(thread):
        start.wait()
        won.extend((thread, attempt) for attempt in range(10) if log.claim("fraud", "page", attempt))

    threads = [threading.Thread(target=compete, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(attempt for _, attempt in won) == list(range(10))
    assert len(log.ledger("fraud").of("claim")) == 10


def test_claims_of_other_intents_attempts_and_models_are_free(log):
    """Only the same attempt of the same intent of the same model is taken."""
    assert log.claim("fraud", "page", 1)
    assert not log.claim("fraud", "page", 1)
    assert log.claim("fraud", "page", 2)
    assert log.claim("fraud", "retrain", 1)
    assert log.claim("other", "page", 1)


def test_prune_forgets_old_panes_except_live_ones(log):
    """Only panes before both `before` and the live limit of their source go, of that model alone."""
    panes = [make_sketch(make_key(pane=pane), seed=pane) for pane in (0, 100, 200)]
    there = [make_sketch(make_key(pane=pane, source=OTHER), seed=pane) for pane in (0, 100)]
    log.checkpoint(SOURCE, [*panes, make_sketch(make_key("other"), seed=9)], make_marker(live={"fraud": 150}))
    log.checkpoint(OTHER, there, make_marker(OTHER, live={"fraud": 50}))
    log.changes(["fraud", "other"], 0)
    assert log.prune("fraud", 100) == 2
    assert log.prune("fraud", 1000) == 1
    assert log.prune("other", 1000) == 0
    left = {(s.key.model, s.key.pane, s.key.source) for s in log.changes(["fraud", "other"], 0)[1]}
    assert left == {("fraud", 200, SOURCE), ("fraud", 100, OTHER), ("other", 0, SOURCE)}


def test_position_does_not_go_back_when_the_newest_are_pruned(log):
    """A reader's position stays good after prune has removed what it was read from."""
    log.checkpoint(SOURCE, [make_sketch(seed=1)], make_marker(live={"fraud": 100}))
    position = log.changes(["fraud"], 0)[0]
    log.prune("fraud", 100)
    late = make_sketch(make_key(pane=200), seed=2, applied=20)
    log.checkpoint(SOURCE, [late], make_marker(applied=20, live={"fraud": 100}))
    assert contents(log.changes(["fraud"], position)[1]) == contents([late])


def test_divergence_is_counted(log):
    """Equal `applied` with other content is counted; a newer `applied` is not."""
    log.checkpoint(SOURCE, [make_sketch(seed=1)], make_marker())
    log.checkpoint(SOURCE, [make_sketch(seed=2)], make_marker())
    assert log.divergences == 1
    log.checkpoint(SOURCE, [make_sketch(seed=3, applied=11)], make_marker(applied=11))
    assert log.divergences == 1


def test_what_is_stored_is_a_copy(log):
    """Writing to the arrays after a checkpoint does not reach the log."""
    sketch = make_sketch(seed=1)
    before = digest(sketch)
    log.checkpoint(SOURCE, [sketch], make_marker())
    sketch.counts[:] += 1
    assert digest(log.recover(SOURCE).sketches[0]) == before


def test_keys_differ_in_every_part(log):
    """Sketches whose keys differ in one part only are kept apart, also for odd texts."""
    base = make_key()
    texts = ("", "a|b", "a", "ü\ud800", "\u0000", "|")
    keys = {base._replace(version=text) for text in texts} | {base._replace(segment=text) for text in texts}
    keys |= {base._replace(variant=text) for text in texts} | {base._replace(config="beef")}
    sketches = [make_sketch(key, seed=i) for i, key in enumerate(sorted(keys))]
    log.checkpoint(SOURCE, sketches, make_marker())
    assert contents(log.recover(SOURCE).sketches) == contents(sketches)


def test_threads_share_the_log(log):
    """Ingest, evaluate and delivery threads at work at once lose nothing and see whole checkpoints."""
    rounds, failures = 15, []

    def ingest(source):
        for n in range(1, rounds + 1):
            pair = [
                make_sketch(make_key(pane=p, source=source), seed=n, applied=n, novel=False) for p in (0, 1)
            ]
            log.checkpoint(source, pair, make_marker(source, applied=n))

    def evaluate():
        after, held = 0, {}
        while len(held) < 4 or min(held.values()) < rounds:
            after, sketches, _ = log.changes(["fraud"], after)
            held |= {s.key: s.applied for s in sketches}
            if any(
                held.get(make_key(source=x)) != held.get(make_key(pane=1, source=x)) for x in (SOURCE, OTHER)
            ):
                failures.append("half a checkpoint was seen")
                return

    def deliver():
        for n in range(rounds):
            log.append("fraud", [Entry("outcome", str(n), {"n": n})])

    work = [(ingest, (SOURCE,)), (ingest, (OTHER,)), (evaluate, ()), (deliver, ())]
    threads = [threading.Thread(target=target, args=args) for target, args in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not failures
    assert not any(thread.is_alive() for thread in threads)
    assert len(log.ledger("fraud").of("outcome")) == rounds
    assert log.divergences == 0


def test_closed_log_says_so(log):
    """A call after close raises StateError; closing again does nothing."""
    log.close()
    log.close()
    with pytest.raises(StateError, match="closed"):
        log.ledger("fraud")
