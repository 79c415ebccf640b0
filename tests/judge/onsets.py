"""Changes that begin inside a window, at the size that the judge just detects there, and when they are said to have begun."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from kernels.layout import LATENCY_BINS
from monitor.judge.onset import onset
from tests.judge.changes import FRESH, Case, Detected, World, counted, detected, draw, just_detected, reaches

PANES = 24
"""Of the window; as many ordinary ones of the step before it are searched too."""
PLACES = 24
"""Cases and panes per kind for which a size is sought, at least."""


class Begins(NamedTuple):
    """A change of one feature from one pane of the window on, at the size that is detected with power 0.9."""

    case: Case
    began: int
    size: float


class Dated(NamedTuple):
    """Detected windows of one kind: by how many panes each was dated too late."""

    off: np.ndarray
    sizes: dict[str, float]
    """Case → size."""
    lost: tuple[str, ...]
    """Cases of which no size is detected with power 0.9, as too few rows have changed. They are left out."""


def dated(own: World, chosen: Sequence[Case], seeds: int, *, tries: int) -> Dated:
    """Of the cases of one kind, `seeds` windows, spread evenly over them and over the panes but the first and the last."""
    places = max(PLACES, len(chosen)) if seeds >= PLACES else len(chosen)
    off: list[int] = []
    sizes, lost = {}, []
    for number in range(places):
        began = 1 + int((number + 0.5) * (PANES - 2) / places)
        case = from_pane(chosen[number % len(chosen)], began)
        if not reaches(own, case, case.most, tries, FRESH - tries):
            lost.append(str(case))
            continue
        size = sizes[str(case)] = just_detected(own, case, tries=tries)
        off += _off(own, Begins(case, began, size), len(range(number, seeds, places)))
    return Dated(np.array(off), sizes, tuple(lost))


def from_pane(case: Case, began: int) -> Case:
    change = functools.partial(_from_pane, change=case.change, began=began)
    return case._replace(change=change, variant=f"{case.variant} from pane {began}".strip())


def _from_pane(
    rng: np.random.Generator,
    values: np.ndarray,
    size: float,
    *,
    change: Callable[[np.random.Generator, np.ndarray, float], np.ndarray],
    began: int,
) -> np.ndarray:
    return np.where(panes_of(len(values)) >= began, change(rng, values, size), values)


def panes_of(rows: int) -> np.ndarray:
    """The pane of each row of a window."""
    return np.arange(rows) * PANES // rows


def _off(own: World, one: Begins, count: int) -> Iterator[int]:
    seed = FRESH + (zlib.crc32(str(one.case).encode()) << 16)
    for number in range(3 * count):
        found = detected(own, one.case, one.size, seed + number)
        if found is None or count == 0:
            continue
        count -= 1
        named = dict.fromkeys(test.feature for test in found.verdict.named)
        at = onset(panes(own, found, seed + number), own.prepared.slots, named, before=PANES)
        assert at is not None
        yield at - PANES - one.began


def panes(own: World, found: Detected, seed: int) -> np.ndarray:
    """The panes of an ordinary window and of this one, in the slots that onsets are looked for in."""
    before = draw(np.random.Generator(np.random.Philox([seed, 1])), own.rows)
    slots, latency = own.prepared.slots, np.zeros(LATENCY_BINS, np.int64)
    out = []
    for columns in (before, found.columns):
        of = panes_of(own.rows)
        cells, _ = counted(own, columns, of, PANES)
        rows = np.bincount(of, minlength=PANES).tolist()
        out += [slots.count(cells.counts[i], rows=rows[i], errors=0, latency=latency) for i in range(PANES)]
    return np.array(out)
