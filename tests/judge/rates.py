"""False-alarm rates of every voting test under no change, by simulation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from kernels.layout import FIRST_BIN, LATENCY_BINS
from monitor.judge.extract import Counts, extract
from monitor.judge.frame import build_frame
from monitor.judge.tolerances import Tolerances
from monitor.judge.weigh import weigh
from tests.judge.build import categorical_profile, draw, numeric_profile, plan, reference, uniform, zipf

NOMINAL = 0.01
SIZES = (200, 1_000, 10_000, 100_000)
HIGHEST = 1.2
LOWEST = 0.75
"""Bounds on realised ÷ nominal; the lower one where a test is not conservative by design."""
COPIES = 10
"""Independent features of each shape: each has a reference of its own."""
EXACT = {"256 bins": {"psi", "ks"}, "64 bins": {"psi", "ks"}, "20 bins": {"psi", "ks"}, "atom": {"psi"},
         "5 categories": {"g"}, "30 categories": {"g"}, "250 categories": {"g"}}  # fmt: skip


class Rate(NamedTuple):
    """Rejections of one test on one shape of feature; `rate` is realised ÷ nominal."""

    shape: str
    test: str
    n: int
    trials: int
    rate: float
    error: float
    low: float
    high: float
    least: float


def profiles():
    shapes = [(f"{bins} bins", lambda name, bins=bins: numeric_profile(name, bins)) for bins in (256, 64, 20)]
    shapes.append(("atom", numeric_profile))
    for categories in (5, 30, 250):
        names = [f"k{i}" for i in range(categories)]
        shapes.append(
            (f"{categories} categories", lambda name, names=names: categorical_profile(name, names))
        )
    return [(shape, make(f"{shape} #{copy}")) for shape, make in shapes for copy in range(COPIES)]


def probabilities(shape, profile):
    if not shape.endswith("bins") and shape != "atom":
        return zipf(profile, missing=0.03)
    p = uniform(profile, missing=0.03)
    if shape == "atom":
        p *= 0.5
        p[FIRST_BIN] += 0.5
    return p


def measure(
    *, quick: bool = False, sizes: Sequence[int] = SIZES, references: int = 0, windows: int = 400,
    seed: int = 2, level: float = NOMINAL, progress: Callable[[str], None] = lambda _: None,
) -> list[Rate]:  # fmt: skip
    """Rates at `level` with a fresh reference of 20 n rows per `windows` windows.

    Equality tests: tolerances are 0, but for the ratios' usual 0.005. Latency and error ratio are
    judged like features, with the reference's 1 % and 3 %.
    """
    references = references or (8 if quick else 60)
    shapes = profiles()
    rng = np.random.Generator(np.random.Philox(seed))
    found = []
    for n in sizes:
        rejected = np.array([_once(rng, shapes, n, windows, level) for _ in range(references)])
        found += _rates(rejected, shapes, n, windows, level)
        progress(f"rates: n = {n:,} done")
    return found


def _once(rng, shapes, n, windows, level):
    """Share of windows that each test rejects, with one fresh reference: float64[tests]."""
    own = [profile for _, profile in shapes]
    chances = [probabilities(shape, profile) for shape, profile in shapes]
    m = max(20 * n, 20_000)
    frame = build_frame(
        reference(own, draw(rng, chances, m, 1), timed=False, errors=[rng.binomial(m, 0.03)],
                  latency=_latency(rng, m, 1)),
        plan(own),
    )  # fmt: skip
    extracted = extract(
        Counts(draw(rng, chances, n, windows), np.full(windows, n), rng.binomial(n, 0.03, windows),
               _latency(rng, n, windows)),
        frame, left_out=False,
    )  # fmt: skip
    features, numeric = len(own), frame.layout.numeric
    nothing = np.full((features, 0), np.nan)
    tolerances = Tolerances(
        np.zeros(features),
        np.zeros(numeric),
        np.full(len(frame.ratios), 0.005),
        nothing,
        nothing,
        learnt=True,
    )
    evidence = weigh(extracted, frame, tolerances, level, np.empty((0, features, 0)))
    _once.names = list(zip(evidence.features, evidence.tests, strict=True))
    return (evidence.p <= level).mean(axis=0)


def _latency(rng, n, windows):
    latency = np.zeros((windows, LATENCY_BINS), np.int64)
    latency[:, 400:600] = rng.multinomial(n, np.full(200, 1 / 200), size=windows)
    return latency


def _rates(rejected, shapes, n, windows, level):
    shape_of = {profile.name: shape for shape, profile in shapes}
    groups = {}
    for column, (feature, test) in enumerate(_once.names):
        groups.setdefault((shape_of.get(feature, feature), test), []).append(rejected[:, column])
    found = []
    for (shape, test), columns in groups.items():
        shares = np.concatenate(columns) / level
        trials = shares.size * windows
        spread = 2.576 * math.sqrt((1 - level) / (level * trials))
        error = float(shares.std(ddof=1) / math.sqrt(shares.size))
        least = LOWEST if test in EXACT.get(shape, ()) else 0.0
        found.append(Rate(shape, test, n, trials, float(shares.mean()), error, 1 - spread, 1 + spread, least))
    return found


def broken(measured: Sequence[Rate]) -> list[str]:
    """The rates outside their bounds."""
    return [
        f"{r.test} on {r.shape}, n = {r.n:,}: {r.rate:.2f} × nominal, allowed {r.least:.2f} to {HIGHEST:.2f}"
        for r in measured
        if not r.least <= r.rate <= HIGHEST
    ]


def table(measured: Sequence[Rate]) -> str:
    """Markdown: realised ÷ nominal by test and n; rows of ratios that never reject are left out."""
    sizes = sorted({r.n for r in measured})
    by = {(r.shape, r.test, r.n): r for r in measured}
    lines = [
        f"### False alarms per test, realised ÷ nominal (nominal {NOMINAL:.0%}, no change)",
        "",
        "| feature | test | " + " | ".join(f"n = {n:,}" for n in sizes) + " | 99 % binomial limits at 1 |",
        "| --- | --- |" + " --- |" * (len(sizes) + 1),
    ]
    for shape, test in dict.fromkeys((r.shape, r.test) for r in measured):
        rates = [by[shape, test, n] for n in sizes]
        cells = " | ".join(f"{r.rate:.3f} ± {r.error:.3f}" for r in rates)
        lines.append(f"| {shape} | {test} | {cells} | {rates[0].low:.3f}–{rates[0].high:.3f} |")
    return "\n".join(lines)
