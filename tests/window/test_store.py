"""The newest sketch of every key."""

from __future__ import annotations

import numpy as np

from monitor.names import SketchKey, Source
from monitor.sketch import Sketch
from monitor.window.store import PaneStore


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
