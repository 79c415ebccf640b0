"""How many pages a reference's own windows bring about: what a budget comes to, before anything is live."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from monitor.backtest.months import Pool, draw, simulate
from monitor.backtest.summary import Seen
from monitor.judgement import Judged
from monitor.verdict import State

MONTH = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class Null:
    """Runs of `months` each, all without a change. Pages are per month."""

    months: float
    budget: float
    """Pages that are accepted a month."""
    pages: tuple[float, ...]
    """By run."""
    early: tuple[float, ...]
    """Those of them that came before their window closed."""
    states: dict[State, int]
    """Windows of all runs."""
    runs: tuple[tuple[Seen, ...], ...]
    """What was judged, without tests and scores."""

    @property
    def mean(self) -> float:
        return float(np.mean(self.pages))

    @property
    def error(self) -> float:
        """Standard error of the mean over runs; of one run nothing is known."""
        count = len(self.pages)
        return float(np.std(self.pages, ddof=1)) / count**0.5 if count > 1 else float("nan")

    @property
    def range(self) -> tuple[float, float]:
        """5 to 95 % of the runs."""
        low, high = np.quantile(self.pages, (0.05, 0.95))
        return float(low), float(high)


def measure(
    pool: Pool, *, runs: int, months: float, seed: int, told: Callable[[float], None] = lambda _: None
) -> Null:
    """Draw and judge. The mean is over what this reference says is usual: how far another reference of the same
    length would have been from it, `driftline check` says."""
    blocks, plan = pool.blocks, pool.context.plan
    begin, count = blocks.after(), ceil(months * MONTH / blocks.length)
    length = count * blocks.length / MONTH
    found: list[tuple[Seen, ...]] = []
    for run in range(runs):
        rng = np.random.default_rng((seed, run))
        chosen = draw(pool, rng, begin=begin, count=count)
        found.append(tuple(_bare(judged) for judged in simulate(pool, chosen, begin=begin)))
        told((run + 1) / runs)
    closed = [seen.verdict for items in found for seen in items if not seen.verdict.early]
    return Null(
        months=length,
        budget=plan.budget.pages * MONTH / plan.budget.period,
        pages=tuple(sum(seen.pages for seen in items) / length for items in found),
        early=tuple(sum(seen.pages for seen in items if seen.verdict.early) / length for items in found),
        states={s: sum(verdict.state is s for verdict in closed) for s in State},
        runs=tuple(found),
    )


def _bare(judged: Judged) -> Seen:
    """Twenty months of hourly windows with all their tests would be gigabytes."""
    return Seen(replace(judged.verdict, tests=(), scores={}, segments=()), judged.transitions)
