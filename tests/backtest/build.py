"""A model whose reference is a few days of a null, ready to be drawn from."""

from __future__ import annotations

import functools

import numpy as np

from monitor.backtest.months import Pool, pool_of
from monitor.context import Context
from monitor.judge.prepare import prepare
from tests.judge.build import (
    categorical_profile,
    draw,
    numeric_profile,
    plan,
    reference,
    segmented,
    uniform,
    zipf,
)

CATEGORIES = [f"k{number}" for number in range(12)]


def make(*, days=10, n=2_000, numeric=2, seed=0, pages=12.0, segments=(), **more):
    """Context of a model: `numeric` numbers, one categorical feature, hourly windows of n rows."""
    rng = np.random.Generator(np.random.Philox(seed))
    own = [*(numeric_profile(f"n{i}", 64) for i in range(numeric)), categorical_profile("c", CATEGORIES)]
    chances = [*(uniform(p, missing=0.02) for p in own[:-1]), zipf(own[-1], missing=0.02)]
    counts = draw(rng, chances, n, 24 * days)
    ref = reference(own, counts, timed=True)
    if segments:
        half = rng.binomial(counts, 0.5)
        none = np.zeros_like(counts)
        ref = segmented(ref, {"tier": (("gold",), np.stack([half, counts - half, none]))})
    model = plan(own, pages=pages, segments=tuple(segments), **more)
    prepared = {spec.name: prepare(ref, model, spec) for spec in model.windows}
    return Context(model, ref.layout(), ref, prepared)


@functools.cache
def pool(days=10, n=2_000, seed=0, pages=12.0) -> Pool:
    return pool_of(make(days=days, n=n, seed=seed, pages=pages))
