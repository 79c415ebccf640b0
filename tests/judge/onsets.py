"""Changes that begin inside a window, at the size that the judge just detects there, and when they are said to have begun."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from monitor.judge.column import LEAK
from monitor.judge.onset import BEFORE, likeliest, onset
from monitor.verdict import Window
from tests.judge.changes import FRESH, Case, Detected, World, counted, detected, draw, just_detected, reaches

PANES = 24
"""Of the window; as many ordinary ones of the step before it are searched too."""
PLACES = 24
"""Cases and panes per kind for which a size is sought, at least."""
KNOWN = 1_000_000
"""Changed rows by which somebody knows what they are distributed like."""


class Begins(NamedTuple):
    """A change of one feature from one pane of the window on, at the size that is detected with power 0.9."""

    case: Case
    began: int
    size: float


class Dated(NamedTuple):
    """Detected windows of one kind: by how many panes each was dated too late.

    known  the same, had one known which feature changes, and to which shares of its finest slots: nobody can do better by them
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
    """ln p/q of the slots of the layout, p after the change: float64[slots], 0 of all other features."""
    rng = np.random.Generator(np.random.Philox([FRESH, zlib.crc32(str(case).encode())]))
    columns = draw(rng, KNOWN)
    windows = np.split(columns[case.feature], KNOWN // own.rows)  # of which each has its own limit to clip at
    columns[case.feature] = np.concatenate([case.change(rng, values, size) for values in windows])
    changed = counted(own, columns, np.zeros(KNOWN, np.int64), 1)[0].counts[0]
    frame, found = own.prepared.frame, np.zeros(len(changed))
    row = [profile.name for profile in frame.features].index(case.feature)
    part = slice(*frame.layout.start[row : row + 2].tolist())
    after, before = changed[part] + 0.5, frame.counts[part] + 0.5
    after, before = after / after.sum(), before / before.sum()
    found[part] = np.log(((1.0 - LEAK) * after + LEAK * before) / before)
    return found


def _off(own: World, one: Begins, informed: np.ndarray, count: int) -> Iterator[tuple[int, int]]:
    """Panes too late, as dated and as it would be by `informed`."""
    seed = FRESH + (zlib.crc32(str(one.case).encode()) << 16)
    prepared = own.prepared
    for number in range(3 * count):
        found = detected(own, one.case, one.size, seed + number)
        if found is None or count == 0:
            continue
        count -= 1
        named = dict.fromkeys(test.feature for test in found.verdict.named)
        seen = panes(own, found, seed + number)
        at = onset(seen, prepared.slots, prepared.frame, named, before=PANES)
        assert at is not None
        each = np.array([pane.counts @ informed for pane in seen])
        likelihood = np.cumsum(each[::-1])[::-1].copy()
        likelihood[:PANES] += np.log(BEFORE)
        yield at - PANES - one.began, likeliest(likelihood) - PANES - one.began


def panes(own: World, found: Detected, seed: int) -> list[Window]:
    """The panes of an ordinary window and of this one."""
    before = draw(np.random.Generator(np.random.Philox([seed, 1])), own.rows)
    out = []
    for columns in (before, found.columns):
        of = panes_of(own.rows)
        cells, _ = counted(own, columns, of, PANES)
        rows = np.bincount(of, minlength=PANES).tolist()
        out += [replace(found.window, counts=cells.counts[i], rows=rows[i]) for i in range(PANES)]
    return out
