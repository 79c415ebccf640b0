"""How often the condition that a drift is confined to is named, by how many rows it has and how many are sampled.

    python -m bench.where [--seeds 200] [--forms "one value,everywhere"]

Drifts of `tests/judge/places.py`: PSI 0.25 inside one value of one of 20 columns, a few values, a range, or one value each of two; and
drifts that are everywhere, where any condition is a wrong one.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from bench.figure import figure, say
from bench.machine import on_all_cores
from tests.judge.places import FORMS, drifted, oracle, said, world

SEEDS = 200
SIZES = (2_048, 6_144, 16_384, 65_536)
"""Of the last only parts of one value: it is more than a window has."""
ONE, EVERYWHERE = "one value", "everywhere"
CHANGES = (1e-4, 1e-3, 0.01, 0.25)
"""PSI of drifts that are everywhere: those that parts of 2, 6 and 20 % bring about, and one as large as inside a part."""
USUAL = 16_384
"""Rows that a window's sample has where it can: `monitor.sample.WINDOW_ROWS`."""


class Cell(NamedTuple):
    """What was said of drifts of one form. size: share of the rows, or the PSI of one that is everywhere."""

    form: str
    size: float
    rows: int
    told: Counter[str]
    oracle: tuple[float, float]
    """How often the part comes first, and does so beyond chance, for who knows how the feature changes inside."""

    def share(self, what: str) -> float:
        return self.told[what] / max(self.told.total(), 1)


def cells(seeds: int, forms: Sequence[str], *, most: int = SIZES[-1]) -> Iterator[Cell]:
    """Of samples of up to `most` rows, on all cores."""
    tasks = [
        (form, mass, seeds, most if form == ONE else min(most, USUAL))
        for form in forms
        for mass in FORMS.get(form, (None, CHANGES))[1]
    ]
    for found in on_all_cores(_cells, tasks):
        say(f"{found[0].form} {found[0].size:g}: {[dict(one.told) for one in found]}")
        yield from found


def _cells(form: str, mass: float, seeds: int, most: int) -> list[Cell]:
    """In a process of its own."""
    own = world()
    sizes = [size for size in SIZES if size <= most]
    guilty = FORMS.get(form, (None,))[0]
    told: dict[int, Counter[str]] = {size: Counter() for size in sizes}
    known = {size: np.zeros(2) for size in sizes}
    for seed in range(seeds):
        if guilty is None:
            case = drifted(own, seed, (), max(sizes), goal=mass)
        else:
            case = drifted(own, seed, guilty(own, mass, seed), max(sizes))
        for size in sizes:
            told[size][said(own, case, size)] += 1
            if form == ONE:
                known[size] += oracle(own, case, size)
    return [Cell(form, mass, size, told[size], tuple(known[size] / seeds)) for size in sizes]


def figures(*, smoke: bool = False) -> list[dict[str, Any]]:
    """The share named right by form and size; of drifts that are everywhere that of wrong conditions."""
    found = cells(2, (ONE, EVERYWHERE), most=SIZES[0]) if smoke else cells(SEEDS, (*FORMS, EVERYWHERE))
    return [_figure(cell) for cell in found]


def _figure(cell: Cell) -> dict[str, Any]:
    others = ", ".join(f"{what} {count}" for what, count in sorted(cell.told.items()))
    if cell.form == EVERYWHERE:
        name, goal = (
            f"PSI {cell.size:g} everywhere, {cell.rows:,} rows sampled: a condition is named",
            "<= 0.05",
        )
        return figure(name, "share", cell.share("wrong"), goal=goal, rounds=cell.told.total(), notes=others)
    known = "; an oracle: first {:.1%}, beyond chance {:.1%}".format(*cell.oracle) if cell.form == ONE else ""
    goal = ">= 0.95" if cell.form == ONE and cell.rows >= USUAL else ""
    name = f"{cell.form}, {cell.size:.0%} of the rows, {cell.rows:,} sampled: named"
    return figure(
        name, "share", cell.share("right"), goal=goal, rounds=cell.told.total(), notes=others + known
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=SEEDS, help="windows per row of the table")
    parser.add_argument("--forms", default=",".join((*FORMS, EVERYWHERE)))
    options = parser.parse_args()
    print(
        "| drift | size | sampled | named right | wrong | everywhere | nothing | oracle: first | beyond chance |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for cell in cells(options.seeds, options.forms.split(",")):
        told = " | ".join(f"{cell.share(what):.1%}" for what in ("right", "wrong", "everywhere", "nothing"))
        known = " | ".join(f"{share:.1%}" for share in cell.oracle) if cell.form == ONE else " | "
        print(f"| {cell.form} | {cell.size:g} | {cell.rows:,} | {told} | {known} |", flush=True)


if __name__ == "__main__":
    main()
