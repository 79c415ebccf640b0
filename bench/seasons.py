"""What a reference read by season does: false windows it takes away, the power it keeps, and its cost.

    python -m bench.run --only seasons

Simulated in `tests.judge.cycles`, from fixed seeds: nine of ten features lean with the hour, the tenth is
steady and changes by a PSI of 0.05. Rejections are Holm's at 1 %, without a tolerance.
"""

from __future__ import annotations

import time

import numpy as np

from bench.figure import figure, say
from monitor.judge.prepare import prepare
from tests.judge import cycles
from tests.judge.build import DAY, HOUR, draw, numeric_profile, plan, reference, uniform

FAMILIES = (
    ("nightly", cycles.NIGHTLY, 80),
    ("daily", cycles.DAILY, 40),
    ("daily, fewer rows", cycles.DAILY, 22),
)
"""Name, hours, rows an hour: so that the change is found in most windows, or in about half."""


def figures(*, smoke: bool) -> list[dict]:
    seeds = range(1) if smoke else range(10)
    found = []
    for name, hours, rows in FAMILIES:
        one, own = cycles.measure(hours, seeds, rows=rows, progress=say)
        n = one.windows
        shares = (
            f"one reference rejects {one.false / n:.1%}, by hour of day {own.false / n:.1%} of {n:,} windows"
        )
        found.append(
            figure(
                f"false windows of a daily cycle, {name}, {hours * rows} rows",
                "share that is left",
                own.false / max(one.false, 1),
                goal="<= 0.1",
                rounds=len(seeds),
                notes=shares,
            )
        )
        found.append(
            figure(
                f"power against PSI {cycles.PSI}, {name}, {hours * rows} rows",
                "less than with one reference",
                (one.found - own.found) / n,
                goal="<= 0.05",
                rounds=len(seeds),
                notes=f"one reference {one.found / n:.1%}, by hour of day {own.found / n:.1%}; by the whole judge, "
                f"tolerances learnt, {one.judged_found / n:.1%} and {own.judged_found / n:.1%}, with "
                f"{one.judged_false / n:.1%} and {own.judged_false / n:.1%} false windows",
            )
        )
    return [*found, *_rates(smoke=smoke), *_prepares(smoke=smoke)]


def _rates(*, smoke: bool) -> list[dict]:
    found = []
    for per_season in (8_000, 40_000):
        rate = cycles.null_rate(1, rows=2_000, per_season=per_season, references=2 if smoke else 40)
        say(f"seasons: {rate}")
        found += [
            figure(
                f"false alarms of {test} at nominal 1 %, 2,000 rows in 3 hours of {per_season:,}",
                "share",
                share,
                goal="<= 0.012",
                rounds=rate.trials,
                notes=f"psi with k of the whole reference: {rate.plain:.2%}",
            )
            for test, share in (("psi", rate.psi), ("ks", rate.ks))
        ]
    return found


def _prepares(*, smoke: bool) -> list[dict]:
    rng = np.random.Generator(np.random.Philox(1))
    features, windows = (5, 336) if smoke else (50, 720)
    own = [numeric_profile(f"n{i}") for i in range(features)]
    past = reference(own, draw(rng, [uniform(p, missing=0.01) for p in own], 1_000, windows), start=4 * DAY)
    found = []
    for hours in (1, 24, 168):
        seconds = {}
        for season in ("none", "hour_of_week"):
            model = plan(own, size=hours * HOUR, step=HOUR, season=season)
            begin = time.perf_counter()
            ready = prepare(past, model, model.windows[0])
            seconds[season] = time.perf_counter() - begin
        assert ready.seasons is not None
        found.append(
            figure(
                f"preparing {features} features, windows of {hours} h by the hour, hour_of_week",
                "s",
                seconds["hour_of_week"],
                notes=f"{seconds['none']:.1f} s with one reference; {ready.windows} windows; counts of the seasons take "
                f"{ready.seasons.counts.nbytes / 1e6:.1f} MB",
            )
        )
    return found
