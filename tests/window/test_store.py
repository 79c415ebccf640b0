"""The newest sketch of every key."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.names import SketchKey, Source
from monitor.sketch import Sketch
from monitor.window.store import PaneStore
from tests.window.test_merge import LAYOUT, PLAN, same, sketch_of, window_of


def sketch(pane: int, applied: int, *, partition: int = 0, count: int = 1) -> Sketch:
    """A sketch with one full slot."""
    counts = np.zeros(50, np.int64)
    counts[7] = count
    return Sketch(
        key=SketchKey("m", "c", "1", "champion", "", pane, Source("t", partition)),
        applied=applied, rows=count, errors=0, counts=counts, sums=np.zeros((1, 3), np.int64),
        extremes=np.zeros((1, 2)), latency=np.arange(20), violations=np.zeros(0, np.int64),
        rejects=np.zeros(10, np.int64), first=0, last=applied - 1,
    )  # fmt: skip


def test_a_newer_sketch_replaces_and_an_older_one_does_not() -> None:
    """Sketches are absolute: they are never added to each other."""
    store = PaneStore()
    assert store.put(sketch(0, 10, count=3))
    assert not store.put(sketch(0, 5, count=9))
    assert store.put(sketch(0, 20, count=4))
    (held,) = store.between(0, 1)
    assert held.counts[7] == 4
    assert list(held.latency) == list(range(20))


def test_panes_are_found_by_their_span_and_forgotten() -> None:
    """A window takes the panes that start inside it, of every partition."""
    store = PaneStore()
    for pane in (0, 10, 20):
        store.put(sketch(pane, 5))
        store.put(sketch(pane, 5, partition=1))
    assert len(list(store.between(0, 20))) == 4
    assert (store.oldest(), store.oldest_from(11), store.oldest_from(21)) == (0, 20, None)
    store.forget(20)
    assert store.oldest() == 20


MINUTE = PLAN.pane
spans = st.tuples(st.integers(0, 70), st.integers(0, 70)).map(sorted)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 200), spans), min_size=1, max_size=25))
def test_windows_made_of_kept_sums_are_those_made_of_sketches(steps) -> None:
    """Whatever was asked before and however sketches came in between, blocks add up to the sketches."""
    store = PaneStore()
    for number, step in enumerate(steps):
        if isinstance(step, int):
            variant = "challenger" if step % 7 == 0 else "champion"
            segment = ("", "country=DE", "")[step % 3]
            store.put(replace(sketch_of(step, variant=variant, segment=segment), applied=number))
            continue
        start, end = (bound * MINUTE for bound in step)
        blocks = store.sums(start, end, plan=PLAN, layout=LAYOUT)
        assert same(
            window_of(blocks, start=start, end=end),
            window_of(store.between(start, end), start=start, end=end),
        )


def test_rows_by_pane_are_those_that_are_summed_up() -> None:
    """Of all partitions, as new as the sketches; forgotten panes have none."""
    store, plan = PaneStore(), replace(PLAN, name="m", config="c", pane=60_000)
    other = sketch(60_000, 1, count=5)
    for one in (
        sketch(0, 1, count=3),
        sketch(60_000, 1, count=4),
        sketch(60_000, 1, count=2, partition=1),
        replace(other, key=other.key._replace(variant="blue")),
    ):
        store.put(one)
    assert store.by_pane(0, 120_000, plan=plan) == {0: 3, 60_000: 6}
    store.put(sketch(0, 2, count=9))
    assert store.by_pane(0, 60_000, plan=plan) == {0: 9}
    store.forget(60_000)
    assert store.by_pane(0, 120_000, plan=plan) == {60_000: 6}


def test_panes_that_are_forgotten_leave_no_sum_behind() -> None:
    """A sum that holds a pane that is gone is gone too; so is every sum after a change of champion."""
    store = PaneStore()
    for number in range(8):
        store.put(sketch_of(number, pane=number * MINUTE))
        store.put(sketch_of(number, pane=number * MINUTE, segment="eu"))
    blue = replace(PLAN, champion="blue")
    whole = window_of(store.sums(0, 8 * MINUTE, plan=PLAN, layout=LAYOUT), end=8 * MINUTE)
    store.forget(MINUTE)
    (*_, rest) = store.sums(MINUTE, 8 * MINUTE, plan=PLAN, layout=LAYOUT)
    assert rest.rows < whole.rows
    assert list(store.sums(0, MINUTE, plan=PLAN, layout=LAYOUT)) == []
    left = window_of(store.sums(0, 8 * MINUTE, plan=PLAN, layout=LAYOUT), end=8 * MINUTE)
    assert same(left, window_of(store.between(0, 8 * MINUTE), end=8 * MINUTE))
    store.put(sketch_of(2, pane=3 * MINUTE, variant="blue"))
    store.renew()
    found = store.sums(0, 8 * MINUTE, plan=blue, layout=LAYOUT)
    assert same(
        window_of(found, plan=blue, end=8 * MINUTE),
        window_of(store.between(0, 8 * MINUTE), plan=blue, end=8 * MINUTE),
    )


def test_nothing_is_kept_of_panes_that_are_all_gone() -> None:
    """Whatever version was asked for, and of panes with nothing of that version between them."""
    store = PaneStore()
    for number in range(40):
        one = sketch_of(number, pane=(number + number // 20) * MINUTE)
        store.put(replace(one, key=one.key._replace(version="12"[number % 3 == 0])))
    plans = [replace(PLAN, version=version) for version in (None, "1", "2", "3")]
    for before in (0, 7, 20, 21, 33):
        store.forget(before * MINUTE)
        for plan in plans:
            found = window_of(
                store.sums(before * MINUTE, 41 * MINUTE, plan=plan, layout=LAYOUT), plan=plan,
                start=before * MINUTE, end=41 * MINUTE,
            )  # fmt: skip
            left = store.between(before * MINUTE, 41 * MINUTE)
            assert same(found, window_of(left, plan=plan, start=before * MINUTE, end=41 * MINUTE))
    assert store._sums
    store.forget(41 * MINUTE)
    assert not store._sums


def test_a_store_sums_up_its_own_segment() -> None:
    """Sketches of other segments add nothing."""
    whole, own = PaneStore(), PaneStore("country=DE")
    for number in range(4):
        for segment in ("", "country=DE", "country=FR"):
            for store in (whole, own):
                store.put(sketch_of(number, pane=number * MINUTE, segment=segment))
    for store, segment in ((whole, ""), (own, "country=DE")):
        expected = [sketch.rows for sketch in store.between(0, 4 * MINUTE) if sketch.key.segment == segment]
        assert sum(part.rows for part in store.sums(0, 4 * MINUTE, plan=PLAN, layout=LAYOUT)) == sum(expected)
