"""How long a change goes on before it is found, and which sizes are found at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from monitor.backtest.injection import CountChange, Injection
from monitor.backtest.months import Pool, draw, rows_between, simulate
from monitor.verdict import State, Verdict

DAY = 86_400_000
WANTED = 0.9
"""Share of the runs in which a size must be found."""


@dataclass(frozen=True, slots=True)
class Found:
    """When a change was found after it began: windows since, the one that found it included, rows and milliseconds."""

    windows: int
    rows: int
    time: int


@dataclass(frozen=True, slots=True)
class Delay:
    """What became of one change in several runs; None where it was not found within `within` milliseconds."""

    injection: Injection
    runs: tuple[Found | None, ...]
    within: int

    @property
    def share(self) -> float:
        return sum(run is not None for run in self.runs) / len(self.runs)

    def quantile(self, name: str, level: float) -> float | None:
        """Of windows, rows or time over all runs; None where it lies beyond what was found."""
        values = sorted(getattr(run, name) for run in self.runs if run is not None)
        at = max(int(np.ceil(level * len(self.runs))) - 1, 0)
        return values[at] if at < len(values) else None


def horizon(pool: Pool) -> int:
    """How long a change is watched for: a day, and at least two of the longest windows."""
    return max(DAY, 2 * max(spec.size for spec in pool.context.plan.windows))


def measure(
    pool: Pool,
    injections: Sequence[Injection],
    *,
    runs: int,
    seed: int,
    told: Callable[[float], None] = lambda _: None,
) -> list[Delay]:
    """Put each change into drawn blocks, from the beginning of a random pane on, and judge until it drifts.

    All changes meet the same blocks at the same times. What was found is not asked for its cause: how often
    nothing is found within as long, the false pages say.
    """  # fmt: skip
    within = horizon(pool)
    found: list[list[Found | None]] = [[] for _ in injections]
    changes = [CountChange(pool.reference, injection, seed=seed) for injection in injections]
    for run in range(runs):
        for own, change in zip(found, changes, strict=True):
            own.append(_once(pool, change, np.random.default_rng((seed, 1, run)), within))
        told((run + 1) / runs)
    return [
        Delay(injection, tuple(own), within) for injection, own in zip(injections, found, strict=True)
    ]  # fmt: skip


def smallest(delays: Sequence[Delay]) -> Delay | None:
    """The smallest size from which on every size was found in WANTED of the runs within the time."""
    chosen = None
    for delay in sorted(delays, key=lambda one: strength(one.injection), reverse=True):
        if delay.share < WANTED:
            break
        chosen = delay
    return chosen


def strength(injection: Injection) -> float:
    return abs(float(np.log(injection.size))) if injection.kind == "scale" else abs(injection.size)


def _once(pool: Pool, change: CountChange, rng: np.random.Generator, within: int) -> Found | None:
    blocks, plan = pool.blocks, pool.context.plan
    before = max(spec.size + spec.step for spec in plan.windows)
    lead = -(-before // blocks.length)
    count = lead + 1 + -(-(within + before) // blocks.length)
    begin = blocks.after()
    chosen = draw(pool, rng, begin=begin, count=count)
    panes = blocks.length // pool.reference.pane
    onset = begin + lead * blocks.length + int(rng.integers(panes)) * pool.reference.pane
    windows = 0
    for judged in simulate(pool, chosen, begin=begin, since=onset - before, alter=change, onset=onset):
        verdict = judged.verdict
        if verdict.end <= onset:
            continue
        if verdict.end > onset + within:
            return None
        if verdict.state is State.DRIFT:
            rows = rows_between(pool, chosen, begin=begin, start=onset, end=verdict.end)
            return Found(windows + 1, rows, verdict.end - onset)
        windows += 1
    return None


def of_log(verdicts: Sequence[Verdict], since: int) -> tuple[Verdict, int] | None:
    """The first verdict that found what began at `since`, and the windows of its family until then."""
    for at, verdict in enumerate(verdicts):
        if verdict.end > since and verdict.state is State.DRIFT:
            own = [v for v in verdicts[: at + 1] if v.window == verdict.window and v.end > since]
            return verdict, len({v.end for v in own})
    return None
