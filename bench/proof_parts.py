"""What the proof consists of: parts that run by themselves, each from a seed of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from kernels.jit import warm
from tests.judge import early_pages, layouts, pages, rates, segment_pages, shift, sums

ROWS = ("power", "pages", "rates", "ratios")
REFERENCES = {"rates": (4_000, 1_000), "ratios": (400, 60), "power": (400, 100), "pages": (200, 20)}
"""Of each part: in full, and quick."""
SHIFTS = (
    (0.01, 1_000_000, 4_000_000),
    (0.01, 200_000, 4_000_000),
    (0.02, 100_000, 400_000),
    (0.1, 10_000, 40_000),
)
"""Sigma, rows of the window and of the reference; the first is the goal's."""


SETTINGS: tuple[pages.Setting | segment_pages.Setting | early_pages.Setting, ...] = (
    *pages.SETTINGS,
    *segment_pages.SETTINGS,
    *early_pages.SETTINGS,
)
MONTHS = 10
"""In a part."""


class Part(NamedTuple):
    """`name` begins with its row. `arguments` are those of the function of that row."""

    name: str
    arguments: tuple[Any, ...]
    references: int
    seed: int
    """Months are numbered instead: those of a setting are 0–199, and the first 20 are those of the quick run."""

    @property
    def row(self) -> str:
        return self.name.split(":")[0]

    def run(self) -> list[Any]:
        """Plain values, a list per figure. In a process of a pool."""
        warm()
        return [
            list(one)
            for one in _FUNCTIONS[self.row](*self.arguments, references=self.references, seed=self.seed)
        ]


def parts(chosen: Iterable[str], *, quick: bool, seed: int) -> Iterator[Part]:
    for row in chosen:
        references = REFERENCES[row][quick]
        for name, arguments in _arguments(row, references):
            yield Part(f"{row}: {name}", arguments, references, seed)


def _arguments(row: str, references: int) -> Iterator[tuple[str, tuple[Any, ...]]]:
    if row == "power":
        for sigma, n, m in SHIFTS:
            yield f"{sigma} sigma, n = {n}, m = {m}", (sigma, n, m)
        return
    if row == "pages":
        quick = range(0, REFERENCES[row][1], MONTHS)
        more = range(
            quick.stop, references, MONTHS
        )  # setting by setting: a run that is broken off has some whole
        order = [(at, first) for first in quick for at in range(len(SETTINGS))]
        order += [(at, first) for at in range(len(SETTINGS)) for first in more]
        for at, first in order:
            yield f"{SETTINGS[at].name}, months from {first} on", (at, first)
        return
    for at, layout in enumerate(layouts.LAYOUTS if row == "rates" else sums.LAYOUTS):
        for n in rates.SIZES:
            for times in rates.TIMES:
                yield f"{layout.name}, n = {n}, m = {times} n", (at, n, times)


def _rates(at: int, n: int, times: int, **how: int) -> list[rates.Rate]:
    return rates.rates(layouts.LAYOUTS[at], n, times, **how)


def _ratios(at: int, n: int, times: int, **how: int) -> list[rates.Rate]:
    return sums.rates(sums.LAYOUTS[at], n, times, **how)


def _power(sigma: float, n: int, m: int, **how: int) -> list[shift.Power]:
    return [shift.power(sigma, n, m, **how)]


def _pages(at: int, first: int, **_: int) -> list[tuple[Any, ...]]:
    setting = SETTINGS[at]
    return [(setting.name, *_month(setting, seed)) for seed in range(first, first + MONTHS)]


def _month(setting: pages.Setting | segment_pages.Setting | early_pages.Setting, seed: int) -> pages.Month:
    if isinstance(setting, early_pages.Setting):
        return early_pages.simulate(setting, seed)
    if isinstance(setting, segment_pages.Setting):
        return segment_pages.simulate(setting, seed)
    return pages.simulate(setting, seed)


_FUNCTIONS = {"pages": _pages, "rates": _rates, "ratios": _ratios, "power": _power}
