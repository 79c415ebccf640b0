"""Ways that the rows of a feature can lie in its slots, from which references and windows are drawn."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from kernels.layout import BELOW, FIRST_BIN, NOVEL, OTHER
from monitor.judge.catalogue import NEYMAN
from monitor.judge.frame import Frame, build_frame
from monitor.reference.bins import coarse_groups
from tests.judge.build import categorical_profile, numeric_profile, plan, reference

NAMED = 250
"""Categories that have a slot of their own."""


class World(NamedTuple):
    """Features that are alike, each with a reference of its own, and what their rows are drawn from.

    chances  float64[features, slots]  share of the rows in each slot; not what the reference saw of it
    """

    frame: Frame
    chances: np.ndarray


class Layout(NamedTuple):
    """`draw` makes the counts that references of m rows have and their slots' chances: [features, slots] each."""

    name: str
    test: str
    """The test of its whole distribution: "psi" (and "ks" and "neyman") or "g"."""
    draw: Callable[[np.random.Generator, int, int], tuple[np.ndarray, np.ndarray, np.ndarray]]
    """As (rng, m, features) → counts, chances, and the novelty that each reference foretells: float64[features]."""
    bins: int = 0
    """Of equal mass, where ks, too, is meant to reject as often as its level says."""
    asked: int = 5
    """Number of levels, the largest first, at which something is asked."""


def world(layout: Layout, rng: np.random.Generator, m: int, features: int, *, rules=(), **more) -> World:
    """Features of one layout against references of m rows; `more` are errors and latencies of the reference."""
    counts, chances, novelty = layout.draw(rng, m, features)
    profiles = [_profile(layout, f"f{i}", counts[i], float(novelty[i])) for i in range(features)]
    whole = reference(profiles, counts.reshape(1, -1), timed=False, **more)
    return World(build_frame(whole, plan(profiles, rules=rules, detectors=(NEYMAN,))), chances)


def seeded(seed: int, name: str, *numbers: int) -> np.random.Generator:
    """A generator of its own for everything that has a name: it draws the same whatever else is drawn."""
    return np.random.Generator(
        np.random.Philox(np.random.SeedSequence([seed, zlib.crc32(name.encode()), *numbers]))
    )


def _profile(layout: Layout, name: str, counts: np.ndarray, novelty: float):
    if layout.test == "g":
        categories = [f"k{i}" for i in range(len(counts) - FIRST_BIN)]
        return replace(categorical_profile(name, categories), novelty=novelty)
    bins = len(counts) - FIRST_BIN - 1
    return replace(numeric_profile(name, bins), coarse=coarse_groups(counts[FIRST_BIN:-1]))


def fixed(shares: np.ndarray):
    """Slots that were there before the reference was drawn."""
    shares = shares / shares.sum()

    def drawn(rng: np.random.Generator, m: int, features: int):
        counts = rng.multinomial(m, shares, size=features)
        once = (counts[:, FIRST_BIN:] == 1).sum(axis=1) / m
        return counts, np.tile(shares, (features, 1)), once

    return drawn


def quantiles(bins: int):
    """Bins between quantiles of the reference's own rows, as `reference build` makes them: its counts are
    equal, and the shares of the rows between two of its values are Dirichlet. One row in m + 1 comes to lie
    below its smallest value, and one above its largest."""

    def drawn(rng: np.random.Generator, m: int, features: int):
        counts = np.zeros(bins + 4, np.int64)
        counts[FIRST_BIN:-1] = np.diff(np.linspace(0, m, bins + 1).astype(np.int64))
        gaps = counts.astype(float)
        gaps[[BELOW, -2, -1]] += [1.0, -1.0, 1.0]
        chances = rng.gamma(gaps, size=(features, bins + 4))
        return (
            np.tile(counts, (features, 1)),
            chances / chances.sum(axis=1, keepdims=True),
            np.zeros(features),
        )

    return drawn


def tail(categories: int, power: float):
    """More categories than have slots: the reference names its most frequent ones, the others it saw are
    `other`, and those it did not see are novel."""
    shares = (1.0 + np.arange(categories)) ** -power
    shares /= shares.sum()

    def drawn(rng: np.random.Generator, m: int, features: int):
        counts = np.zeros((features, FIRST_BIN + NAMED), np.int64)
        chances, once = np.zeros(counts.shape), np.zeros(features)
        for i in range(features):
            rng.shuffle(shares)  # of equals it is chance which one is named
            seen = rng.multinomial(m, shares)
            order = np.argsort(-seen, kind="stable")
            named, rest = order[:NAMED], order[NAMED:]
            counts[i, FIRST_BIN:], chances[i, FIRST_BIN:] = seen[named], shares[named]
            counts[i, OTHER], chances[i, OTHER] = seen[rest].sum(), shares[rest[seen[rest] > 0]].sum()
            chances[i, NOVEL], once[i] = shares[rest[seen[rest] == 0]].sum(), (seen == 1).sum() / m
        return counts, chances, once

    return drawn


def numeric(mass: np.ndarray, *, missing: float, beyond: float = 0.0) -> np.ndarray:
    shares = np.zeros(len(mass) + 4)
    shares[FIRST_BIN:-1] = (1.0 - missing - 2 * beyond) * mass / mass.sum()
    shares[0], shares[BELOW], shares[-1] = missing, beyond, beyond
    return shares


def categorical(mass: np.ndarray, *, missing: float) -> np.ndarray:
    return np.concatenate([[missing, 0.0, 0.0], (1.0 - missing) * mass / mass.sum()])


def _ranks(count: int) -> np.ndarray:
    return 1.0 / (1.0 + np.arange(count))


_ATOM = np.where(np.arange(256) == 100, 256.0, 1.0)
_HOLES = np.choose(np.arange(256) % 3, [1.0, 1e-4, 0.0])

LAYOUTS = (
    Layout("256 bins between the reference's quantiles", "psi", quantiles(256), bins=256),
    Layout("256 equal bins", "psi", fixed(numeric(np.ones(256), missing=0.03)), bins=256),
    Layout("1,024 bins between the reference's quantiles", "psi", quantiles(1024), bins=1024, asked=2),
    Layout("64 bins, Zipf", "psi", fixed(numeric(_ranks(64), missing=0.03))),
    Layout("256 bins, half of the rows in one", "psi", fixed(numeric(_ATOM, missing=0.03))),
    Layout("256 bins, a third rare, a third empty, rare specials", "psi",
           fixed(numeric(_HOLES, missing=0.002, beyond=0.0005))),
    Layout("2 categories, 9 : 1", "g", fixed(categorical(np.array([9.0, 1.0]), missing=0.0))),
    Layout("30 equal categories", "g", fixed(categorical(np.ones(30), missing=0.03))),
    Layout("30 categories, Zipf", "g", fixed(categorical(_ranks(30), missing=0.03))),
    Layout("250 categories, Zipf", "g", fixed(categorical(_ranks(250), missing=0.03))),
    Layout("60 categories, a third rare, a third empty", "g",
           fixed(categorical(np.choose(np.arange(60) % 3, [1.0, 1e-4, 0.0]), missing=0.002))),
    Layout("10,000 categories, Zipf, 250 named", "g", tail(10_000, 1.0), asked=2),
    Layout("10,000 categories of rank to the power of -½, 250 named", "g", tail(10_000, 0.5), asked=2),
)  # fmt: skip
