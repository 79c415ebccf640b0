"""Long tails of categories, of which a reference saw a part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

from kernels.layout import FIRST_BIN, NOVEL, OTHER
from kernels.scores import SLOTS, G
from monitor.judge.extract import Counts, extract, reference_ratios
from monitor.judge.frame import build_frame
from tests.judge.build import categorical_profile, plan, reference
from tests.judge.layouts import tail as tail_of

POPULATION = 5000
NAMED = 250


def tail(seed, *, m=20_000):
    """A frame of 5,000 flat categories of which the reference names 250, and how to count a window."""
    rng = np.random.default_rng(seed)
    shares = (1.0 + np.arange(POPULATION)) ** -0.5
    shares /= shares.sum()
    seen = rng.multinomial(m, shares)
    named = np.argsort(-seen, kind="stable")[:NAMED]
    rest = np.setdiff1d(np.arange(POPULATION), named)

    def fold(counts):
        counts = np.atleast_2d(counts)
        out = np.zeros((len(counts), FIRST_BIN + NAMED), np.int64)
        out[:, FIRST_BIN:] = counts[:, named]
        out[:, OTHER] = counts[:, rest[seen[rest] > 0]].sum(axis=1)
        out[:, NOVEL] = counts[:, rest[seen[rest] == 0]].sum(axis=1)
        return out

    profile = replace(
        categorical_profile("c", [f"k{i}" for i in named]), novelty=float((seen == 1).sum() / m)
    )
    frame = build_frame(reference([profile], fold(seen), timed=False), plan([profile]))
    return frame, lambda n, size: fold(rng.multinomial(n, shares, size=size))


def test_live_shares_are_foretold():
    """What is chosen for being frequent becomes rarer: novel and other rows come as corrected counts say."""
    off, raw, novel = [], [], []
    for seed in range(20):
        frame, draw = tail(seed)
        live = draw(1_000_000, 1)[0] / 1e6
        off.append(live[[NOVEL, OTHER]].sum() - frame.live[OTHER] / frame.live.sum())
        raw.append(live[[NOVEL, OTHER]].sum() - frame.coarse[OTHER] / frame.coarse.sum())
        novel.append(live[NOVEL] - frame.novel[0] / frame.live.sum())
        assert abs(frame.live.sum() - frame.coarse.sum()) < 1e-6
    assert np.mean(raw) > 0.02
    assert abs(np.mean(off)) < 0.004
    assert abs(np.mean(novel)) < 0.002


@pytest.mark.parametrize(
    ("power", "m"), [(0.5, 4_000), (1.0, 4_000), (1.0, 20_000), (1.5, 4_000), (1.5, 20_000)]
)
def test_other_is_foretold_where_most_categories_were_seen_a_few_times(power, m):
    """The rows that named categories will lack come to within a tenth of what is missing, and within noise."""
    rng, off, missing = np.random.default_rng(1), [], []
    counts, chances, novelty = tail_of(10_000, power)(rng, m, 200)
    for seen, shares, once in zip(counts, chances, novelty, strict=True):
        profile = replace(categorical_profile("c", [f"k{i}" for i in range(NAMED)]), novelty=float(once))
        frame = build_frame(reference([profile], seen[None, :], timed=False), plan([profile]))
        rest = m * float(shares[[NOVEL, OTHER]].sum())
        missing.append(rest - seen[OTHER])
        off.append(rest - float(frame.live[[NOVEL, OTHER]].sum()))
    assert abs(np.mean(off)) < 0.1 * np.mean(missing) + 3 * np.std(off) / len(off) ** 0.5


def test_a_long_tail_does_not_reject_itself():
    """G at 1 % rejects about 1 %, where plain counts reject 4.6 %."""
    rejected, plain = [], []
    for seed in range(20):
        frame, draw = tail(seed)
        counts = draw(1000, 200)
        some = Counts(counts, np.full(200, 1000), np.zeros(200, np.int64), np.zeros((200, 1152), np.int64))
        for result, one in ((rejected, frame), (plain, replace(frame, live=frame.coarse))):
            out = extract(some, one, left_out=False).divergence[:, 0]
            result.append((chi2.sf(out[:, G], out[:, SLOTS] - 1) < 0.01).mean())
    assert np.mean(plain) > 0.03
    assert np.mean(rejected) < 0.02


def test_a_complete_list_of_categories_is_left_alone():
    """Without a tail nothing was chosen, and only categories seen once foretell novel ones."""
    profile = categorical_profile("c", ["x", "y", "z"])
    frame = build_frame(reference([profile], [[0, 0, 0, 900, 99, 1]], timed=False), plan([profile]))
    assert frame.live.tolist() == frame.coarse.tolist()
    assert frame.novel.tolist() == [1.0]
    hits, trials = reference_ratios(frame, left_out=False)
    assert [(r.test, h) for r, h in zip(frame.ratios, hits, strict=True)][:3] == [
        ("missing", 0.0), ("novel", 1.0), ("other", 0.0),
    ]  # fmt: skip
    assert trials[0] == 1000


def test_a_tail_of_equals_and_one_without_names():
    """Categories that all occur once are as good as novel; a reference of nothing but tail stays one."""
    once, bare = categorical_profile("once", [f"k{i}" for i in range(5)]), categorical_profile("bare", [])
    frame = build_frame(
        reference([once, bare], [[0, 0, 95, 1, 1, 1, 1, 1, 0, 0, 100]], timed=False), plan([once, bare])
    )
    assert frame.live.tolist() == [0, 0, 100, 0, 0, 0, 0, 0, 0, 0, 100]
