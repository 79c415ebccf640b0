"""How often the tests of ratios reject without a change: sums over the binomial law of their hits.

Given a reference, the hits of a window are binomial, and the fewest that `ratios.p_value` rejects follow from the
threshold; so nothing but references is drawn, and the smallest levels cost no more than the largest.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import binom

from kernels.layout import LATENCY_BINS
from monitor.judge import ratios
from monitor.judge.extract import reference_ratios
from monitor.plan import Rule, RuleKind
from tests.judge.layouts import Layout, World, fixed, numeric, quantiles, seeded, tail, world
from tests.judge.rates import LEAST, LEVELS, Rate, rate_of

TOLERANCES = (0.005, 0.0)
"""As it is by default, which makes the tests conservative by design; and none, which shows how exact p is."""
FEATURES = 2
"""Of one reference. Errors and latencies have one test, whatever the features."""
ERRORS, SLOWEST = 0.03, 200
"""Share of failed rows, and number of equally frequent latencies."""
FIRST_LATENCY = 400
LAYOUTS = (
    Layout("numbers: 3 % missing, 0.05 % beyond either end", "psi", fixed(numeric(np.ones(64), missing=0.03, beyond=5e-4))),
    Layout("numbers: below and above the reference's own", "psi", quantiles(64)),
    Layout("10,000 categories, Zipf, 250 named", "g", tail(10_000, 1.0)),
)  # fmt: skip


def rates(layout: Layout, n: int, times: int, *, references: int, seed: int) -> list[Rate]:
    """Of every ratio that has a slot, a rule or a counter, by tolerance."""
    m = max(times * n, LEAST[times])
    rng = seeded(seed, layout.name, n, times)
    found: dict[tuple[str, float], list[np.ndarray]] = {}
    shares: dict[str, list[float]] = {}
    for _ in range(references):
        one = _reference(layout, rng, m)
        true = _true(one)
        tests = np.array([ratio.test for ratio in one.frame.ratios])
        used = np.flatnonzero(true > 0)
        for tolerance in TOLERANCES:
            own = rejected(one, true, n, tolerance)
            for at in used:
                found.setdefault((tests[at], tolerance), []).append(own[at])
        for at in used:
            shares.setdefault(tests[at], []).append(float(true[at]))
    return list(_rates(layout, n, m, found, shares))


def _reference(layout: Layout, rng: np.random.Generator, m: int) -> World:
    latency = np.zeros((1, LATENCY_BINS), np.int64)
    latency[0, FIRST_LATENCY : FIRST_LATENCY + SLOWEST] = rng.multinomial(m, np.full(SLOWEST, 1.0 / SLOWEST))
    rules = (Rule("f0", RuleKind.NULL),)
    return world(layout, rng, m, FEATURES, rules=rules, errors=[rng.binomial(m, ERRORS)], latency=latency)


def _true(one: World) -> np.ndarray:
    """What each ratio really is: float64[ratios]."""
    frame = one.frame
    coarse = np.bincount(frame.group, one.chances.ravel(), minlength=len(frame.coarse))
    found = []
    for ratio in frame.ratios:
        if ratio.source == "slot":
            found.append(float(coarse[ratio.index]))
        elif ratio.source == "breach":
            found.append(float(one.chances[ratio.owner] @ frame.breaches[ratio.index].slots))
        else:
            slow = (FIRST_LATENCY + SLOWEST - frame.slow_from) / SLOWEST
            found.append(ERRORS if ratio.source == "error" else slow)
    return np.array(found)


def rejected(one: World, true: np.ndarray, n: int, tolerance: float) -> np.ndarray:
    """Realised ÷ nominal of each ratio, given the reference: float64[ratios, levels]."""
    y, m = reference_ratios(one.frame, left_out=False)
    rows, tau = np.full(len(y), float(n)), np.full(len(y), tolerance)
    found = []
    for level in LEVELS:
        least = np.ceil(n * (ratios.threshold(level, rows, y, m, tau) + y / m) - 1e-6)
        least -= ratios.p_value(least - 1.0, rows, y, m, tau) <= level
        least += ratios.p_value(np.minimum(least, n), rows, y, m, tau) > level
        found.append(binom.sf(least - 1.0, n, true) / level)
    return np.stack(found, axis=1)


def _rates(layout: Layout, n: int, m: int, found, shares) -> Iterator[Rate]:
    for (test, tolerance), rejected in found.items():
        yield rate_of(
            np.stack(rejected), layout=layout.name, test=test if tolerance else f"{test}, no tolerance", n=n, m=m,
            trials=len(rejected), voting=float(np.mean(shares[test])), asked=len(LEVELS) if tolerance else 0,
            has_floor=False,
        )  # fmt: skip
