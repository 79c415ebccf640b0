"""What a reference read by season does where rows follow the clock, by simulation.

Every feature but the first, which is steady, leans with the sine of the hour, each with a phase of its
own; so does traffic, with another peak every day. The change that is to be found is in the steady one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from kernels.layout import FIRST_BIN
from monitor.judge.extract import Counts, extract
from monitor.judge.frame import build_frame
from monitor.judge.mixture import mixture
from monitor.judge.policy import judge
from monitor.judge.prepare import prepare
from monitor.judge.samples import distance_samples, divergence_samples
from monitor.judge.seasons import calendar, read_seasons
from monitor.verdict import State
from tests.judge.build import HOUR, numeric_profile, plan, reference, window

FEATURES, DAYS, BINS, LEAN, LEVEL = 10, 28, 256, 0.6, 0.01
PSI = 0.05
"""Of the change."""
NIGHTLY, DAILY = 6, 24
"""Hours of a window; nightly ones are those of midnight to six."""
FEWER, WITHIN = 0.9, 0.05
"""Aims: false windows that seasons take away, and the power that they may cost."""


class Cycle(NamedTuple):
    """Windows of one family, of which `false` and `found` were rejected: by Holm at LEVEL without a
    tolerance, and by the whole judge."""

    hours: int
    season: str
    windows: int
    false: int
    found: int
    judged_false: int
    judged_found: int


def leaning(lean: float) -> np.ndarray:
    """Slot probabilities that rise by `lean` over the range."""
    p = np.zeros(BINS + 4)
    p[FIRST_BIN:-1] = 1.0 + lean * np.linspace(-1.0, 1.0, BINS)
    return p / p.sum()


def changed() -> np.ndarray:
    """Of the steady feature, PSI away from uniform."""
    low, high = 0.0, 0.99
    for _ in range(60):
        middle = 0.5 * (low + high)
        groups = 1.0 + middle * np.linspace(-1.0, 1.0, 20)
        far = float(np.sum((groups / 20 - 0.05) * np.log(groups))) > PSI
        low, high = (low, middle) if far else (middle, high)
    return leaning(low)


def hours_of(rng: np.random.Generator, days: int, rows: int, first: np.ndarray | None = None) -> np.ndarray:
    """Counts per hour: int64[days, 24, slots]; `rows` an hour on the mean."""
    clock = 2 * np.pi * np.arange(24) / 24
    found = np.zeros((days, 24, FEATURES, BINS + 4), np.int64)
    peaks = rng.normal(0.0, 0.8, days)
    for hour in range(24):
        n = rng.poisson(rows * (1.0 + 0.7 * np.sin(clock[hour] + peaks)))
        steady = leaning(0.0) if first is None else first
        found[:, hour, 0] = rng.multinomial(n, steady)
        for f in range(1, FEATURES):
            found[:, hour, f] = rng.multinomial(
                n, leaning(LEAN * math.sin(clock[hour] + 2 * np.pi * f / FEATURES))
            )
    return found.reshape(days, 24, -1)


def simulate(seed: int, hours: int, *, rows: int, days: int = 50) -> list[Cycle]:
    """`days` windows with and as many without the change, judged with one reference and by hour of day."""
    rng = np.random.Generator(np.random.Philox(seed))
    own = [numeric_profile(f"n{i}", BINS) for i in range(FEATURES)]
    past = reference(own, hours_of(rng, DAYS, rows).reshape(DAYS * 24, -1))
    live = [hours_of(rng, days, rows, first)[:, :hours] for first in (None, changed())]
    found = []
    for season in ("none", "hour_of_day"):
        exact, learnt = (
            plan(own, size=hours * HOUR, season=season, tolerance=given, min_records=1)
            for given in ({"psi": 0.0, "ks": 0.0}, {})
        )
        counted = [_rejected(own, past, model, live) for model in (exact, learnt)]
        found.append(Cycle(hours, season, days, *counted[0][0], *counted[1][1]))
    return found


def _rejected(own, past, model, live) -> tuple[list[int], list[int]]:
    """How many of each half of the windows Holm rejects at LEVEL, and how many drift."""
    prepared = prepare(past, model, model.windows[0])
    holm, drift = [], []
    for half in live:
        verdicts = []
        for day, counts in enumerate(half):
            one = window(own, counts.sum(axis=0), at=24 * (DAYS + day))
            if prepared.seasons is not None:
                panes = _by_hour(counts[:, : own[0].slots])
                one = replace(one, seasons=prepared.seasons.calendar.rows_of(panes))
            verdicts.append(judge(one, prepared, model, previous=()))
        holm.append(sum(_rejects(v, changed=half is live[1]) for v in verdicts))
        drift.append(sum(v.state is State.DRIFT for v in verdicts))
    return holm, drift


def _rejects(verdict, *, changed: bool) -> bool:
    """Whether Holm rejects at LEVEL; where there is a change, for the steady feature's sake."""
    p = min(t.p for t in verdict.tests if t.feature == "n0" or not changed)
    return len(verdict.tests) * p <= LEVEL


def _by_hour(counts, first=0) -> dict[int, int]:
    return {(first + hour) * HOUR: int(rows) for hour, rows in enumerate(counts.sum(axis=1))}


def measure(
    hours: int, seeds: Sequence[int], *, rows: int, progress: Callable[[str], None] = lambda _: None
) -> list[Cycle]:
    """The sum over references: one with one reference, one by hour of day."""
    every = []
    for seed in seeds:
        every.append(simulate(seed, hours, rows=rows))
        progress(f"cycles of {hours} hours: reference {len(every)} of {len(seeds)}")
    return [
        Cycle(hours, own[0].season, *(sum(getattr(c, f) for c in own) for f in Cycle._fields[2:]))
        for own in zip(*every, strict=True)
    ]


class NullRate(NamedTuple):
    """Share of tests that reject at LEVEL without a change; `plain`: with k of the whole reference."""

    rows: int
    seasonal: int
    psi: float
    ks: float
    plain: float
    trials: int


def null_rate(seed: int, *, rows: int, per_season: int, hours: int = 3, references: int = 20) -> NullRate:
    """Windows of `hours` seasons of `rows` rows in all, against references of `per_season` rows a season."""
    from scipy.special import kolmogorov

    from monitor.judge import chi

    rng = np.random.Generator(np.random.Philox(seed))
    own = [numeric_profile(f"n{i}", BINS) for i in range(FEATURES)]
    model = plan(own)
    psi, ks, plain, windows = [], [], [], 50
    for _ in range(references):
        panes = hours_of(rng, 4, per_season // 4).reshape(96, -1)
        past = reference(own, panes)
        frame, seasons = build_frame(past, model), read_seasons(past, calendar(past, "hour_of_day", "UTC"))
        parts = hours_of(rng, windows, rows // hours)[:, 6 : 6 + hours]
        for counts in parts:
            by_hour = seasons.calendar.rows_of(_by_hour(counts[:, : own[0].slots], 6))
            there, n = mixture(frame, seasons, by_hour), np.array([by_hour.sum()])
            none = np.zeros(1, np.int64)
            one = Counts(counts.sum(axis=0)[None, :], n, none, np.zeros((1, 1152), np.int64))
            extracted = extract(one, there, left_out=False)
            y, k = divergence_samples(extracted, there)
            df = extracted.divergence[:, :, 5] - 1
            psi += (chi.sf(y, df, np.zeros(y.shape)) <= LEVEL)[0].tolist()
            whole = 1.0 / extracted.divergence[:, :, 3] + 1.0 / frame.rows
            plain += (chi.sf(y * k / whole, df, np.zeros(y.shape)) <= LEVEL)[0].tolist()
            d, scale, _, _ = distance_samples(extracted, there)
            ks += (kolmogorov(scale * d + frame.shift) <= LEVEL)[0].tolist()
    return NullRate(
        rows, per_season, float(np.mean(psi)), float(np.mean(ks)), float(np.mean(plain)), len(psi)
    )
