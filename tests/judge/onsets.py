"""Changes that begin inside a window, at the size that the judge just detects there, and when they are said to have begun."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from kernels.layout import LATENCY_BINS
from monitor.judge.early import build_ball
from monitor.judge.onset import BEFORE, likeliest, onset
from tests.judge.changes import FRESH, Case, Detected, World, counted, detected, draw, just_detected, reaches

PANES = 24
"""Of the window; as many ordinary ones of the step before it are searched too."""
PLACES = 24
"""Cases and panes per kind for which a size is sought, at least."""
KNOWN = 200_000
"""Changed rows by which somebody knows what they are distributed like."""


class Begins(NamedTuple):
    """A change of one feature from one pane of the window on, at the size that is detected with power 0.9."""

    case: Case
    began: int
    size: float


class Dated(NamedTuple):
    """Detected windows of one kind: by how many panes each was dated too late.

    known  the same, had one known which feature changes, and to which shares of its slots: nobody can do better by them
    """

    off: np.ndarray
    known: np.ndarray
    sizes: dict[str, float]
    """Case → size."""
    lost: tuple[str, ...]
    """Cases of which no size is detected with power 0.9, as too few rows have changed. They are left out."""


def dated(own: World, chosen: Sequence[Case], seeds: int, *, tries: int) -> Dated:
    """Of the cases of one kind, `seeds` windows, spread evenly over them and over the panes but the first and the last."""
    places = max(PLACES, len(chosen)) if seeds >= PLACES else len(chosen)
    off: list[tuple[int, int]] = []
    sizes, lost = {}, []
    for number in range(places):
        began = 1 + int((number + 0.5) * (PANES - 2) / places)
        plain = chosen[number % len(chosen)]
        case = from_pane(plain, began)
        if not reaches(own, case, case.most, tries, FRESH - tries):
            lost.append(str(case))
            continue
        size = sizes[str(case)] = just_detected(own, case, tries=tries)
        informed = _informed(own, plain, size)
        off += _off(own, Begins(case, began, size), informed, len(range(number, seeds, places)))
    return Dated(*np.array(off, np.int64).reshape(-1, 2).T, sizes, tuple(lost))


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


def _informed(own: World, case: Case, size: float) -> np.ndarray:
    """ln p/q of the slots of the feature, p after the change: float64[rows, WIDTH], 0 for what has not changed."""
    rng = np.random.Generator(np.random.Philox([FRESH, zlib.crc32(str(case).encode())]))
    columns = draw(rng, KNOWN)
    columns[case.feature] = case.change(rng, columns[case.feature], size)
    slots = own.prepared.slots
    ball = build_ball(slots, np.zeros(slots.rows - 2), ratio=np.zeros(slots.rows))
    row = slots.names.index(case.feature)
    changed = counted(own, columns, np.zeros(KNOWN, np.int64), 1)[0].counts[0]
    counts = slots.count(changed, rows=KNOWN, errors=0, latency=np.zeros(LATENCY_BINS, np.int64))[row] + 0.5
    used, found = ball.used[row], np.zeros(ball.used.shape)
    found[row, used] = np.log(counts[used] / counts[used].sum() / ball.shares[row, used])
    return found


def _off(own: World, one: Begins, informed: np.ndarray, count: int) -> Iterator[tuple[int, int]]:
    """Panes too late, as dated and as it would be by `informed`."""
    seed = FRESH + (zlib.crc32(str(one.case).encode()) << 16)
    for number in range(3 * count):
        found = detected(own, one.case, one.size, seed + number)
        if found is None or count == 0:
            continue
        count -= 1
        named = dict.fromkeys(test.feature for test in found.verdict.named)
        seen = panes(own, found, seed + number)
        at = onset(seen, own.prepared.slots, named, before=PANES)
        assert at is not None
        likelihood = np.cumsum((seen * informed).sum(axis=(1, 2))[::-1])[::-1].copy()
        likelihood[:PANES] += np.log(BEFORE)
        yield at - PANES - one.began, likeliest(likelihood) - PANES - one.began


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
