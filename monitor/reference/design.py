"""Design effects: how much more the shares of a feature vary than independent rows would.

Rows of one user, one batch job or one minute resemble each other, so a window of n rows is worth
n / design effect independent ones (Kish 1965). All tests divide their row counts by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.layout import FIRST_BIN
from monitor.plan import Kind
from monitor.reference.bins import GROUPS
from monitor.reference.profile import FeatureProfile
from monitor.reference.span import DAY
from monitor.reference.survey import mix
from monitor.reference.table import Table
from monitor.reference.tally import Encoder, Placement

BLOCKS = 20
"""Blocks inside a window: enough for a variance (19 degrees of freedom per share), long enough
that most of the dependence between neighbouring rows stays within a block."""
ROWS_PER_BLOCK = 10
WEEK = 7 * DAY
WINDOWS_NEEDED = 3
"""Windows with enough rows below which the effect is assumed, not measured."""
WINDOWS_USED = 200
CLUSTERS_USED = 5_000
"""The median over 200 windows, or the sum over 5,000 groups, is known to some 2 %."""
MEMORY = 64 << 20
_SHARES = GROUPS + 1
"""Shares per feature: the special slots together, then the coarse groups or top categories."""


def block_effects(
    chunks: Iterable[Table], encoder: Encoder, *, panes: NDArray[np.int64], pane: int, window: int
) -> list[float | None]:
    """Per feature, the median over windows of [variance of the shares between BLOCKS blocks of
    equal time inside the window ÷ binomial variance]; None where too few windows have rows.

    panes   the distinct numbers of the panes of size `pane` that have rows
    window  milliseconds
    """
    numbers = np.unique(np.floor_divide(panes * pane, window))
    most = int(np.clip(MEMORY // (8 * BLOCKS * _SHARES * max(len(encoder.profiles), 1)), 10, WINDOWS_USED))
    picked = np.unique(np.linspace(0, len(numbers) - 1, min(most, len(numbers))).astype(np.int64))
    chosen = numbers[picked]

    def place(table: Table) -> NDArray[np.int64]:
        assert table.events is not None
        number, rest = np.divmod(table.events, window)
        at = np.minimum(np.searchsorted(chosen, number), len(chosen) - 1)
        return np.where(chosen[at] == number, at * BLOCKS + rest * BLOCKS // window, -1)

    shares = _shares(chunks, encoder, place, cells=len(chosen) * BLOCKS)
    blocks = shares.reshape(len(chosen), BLOCKS, len(encoder.profiles), _SHARES)
    effects: list[float | None] = []
    for feature in range(len(encoder.profiles)):
        ratios = [between_blocks(blocks[index, :, feature]) for index in range(len(chosen))]
        known = [ratio for ratio in ratios if ratio is not None]
        effects.append(max(1.0, float(np.median(known))) if len(known) >= WINDOWS_NEEDED else None)
    return effects


def cluster_effects(chunks: Iterable[Table], encoder: Encoder, *, window: int) -> list[float | None]:
    """Per feature, the variance of the shares when whole clusters are drawn ÷ binomial variance.

    A cluster is the rows of one value of the cluster column inside one window (the whole table
    when `window` is 0). CLUSTERS_USED clusters are used, those of smallest hash.
    """
    keys: NDArray[np.uint64] = np.empty(0, np.uint64)
    for chunk in chunks:
        found = _cluster_keys(chunk, window)
        keys = np.union1d(keys, found[found > 0])[:CLUSTERS_USED]
    if len(keys) < BLOCKS:
        return [None] * len(encoder.profiles)

    def place(table: Table) -> NDArray[np.int64]:
        key = _cluster_keys(table, window)
        at = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
        return np.where(keys[at] == key, at, -1)

    shares = _shares(chunks, encoder, place, cells=len(keys)).reshape(len(keys), -1, _SHARES)
    return [max(1.0, between_clusters(shares[:, feature])) for feature in range(len(encoder.profiles))]


def between_blocks(counts: NDArray[np.int64]) -> float | None:
    """Pearson's X² of the blocks ÷ its degrees of freedom: 1 when rows are independent.

    counts  int64[blocks, shares]

    X² / df is the mean over shares of [variance between blocks ÷ p (1 - p) / n], each weighted by
    1 - p, and is right for blocks of different size. None when there are too few rows.
    """
    counts = counts[counts.sum(axis=1) > 0]
    rows = counts.sum(axis=1)
    if len(rows) < BLOCKS // 2 or int(rows.sum()) < BLOCKS * ROWS_PER_BLOCK:
        return None
    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2:
        return 1.0
    expected = np.outer(rows, counts.sum(axis=0) / rows.sum())
    freedom = (len(rows) - 1) * (counts.shape[1] - 1)
    return float(np.sum((counts - expected) ** 2 / expected) / freedom)


def between_clusters(counts: NDArray[np.int64]) -> float:
    """Linearised variance of the shares under cluster sampling ÷ binomial variance.

    counts  int64[clusters, shares]
    """
    counts = counts[:, counts.sum(axis=0) > 0]
    clusters, rows = len(counts), counts.sum(axis=1)
    if counts.shape[1] < 2 or clusters < 2:
        return 1.0
    share = counts.sum(axis=0) / rows.sum()
    spread = np.sum((counts - np.outer(rows, share)) ** 2, axis=0) / (rows.sum() * share)
    return float(np.sum(spread) / (counts.shape[1] - 1) * clusters / (clusters - 1))


def window_size(panes: NDArray[np.int64], *, pane: int, rows: int, wanted: int) -> int:
    """The window inside which blocks are compared: `wanted`; a day, or a week, where the shorter
    ones that have rows do not hold enough of them for blocks."""
    for window in (wanted, *(longer for longer in (DAY, WEEK) if longer > wanted)):
        number = len(np.unique(np.floor_divide(panes * pane, window)))
        if rows >= number * BLOCKS * ROWS_PER_BLOCK:
            return window
    return wanted


def _shares(chunks: Iterable[Table], encoder: Encoder, place: Placement, *, cells: int) -> NDArray[np.int64]:
    """Counts per cell and share: int64[cells, features * _SHARES]."""
    from kernels.cut import coarsen  # compiles or loads the kernel

    share = np.concatenate(
        [_share_of(profile) + _SHARES * index for index, profile in enumerate(encoder.profiles)]
    ).astype(np.int32)
    total = np.zeros((cells, _SHARES * len(encoder.profiles)), np.int64)
    for chunk in chunks:
        for group, counted in encoder.counted(chunk, place(chunk)):
            part = np.zeros((len(group), total.shape[1]), np.int64)
            coarsen(part, counted.counts, share)
            total[group] += part
    return total


def _share_of(profile: FeatureProfile) -> NDArray[np.int64]:
    """The share that each slot of a feature belongs to."""
    share = np.zeros(profile.slots, np.int64)
    if profile.kind is Kind.NUMERIC:
        share[FIRST_BIN:-1] = 1 + profile.coarse.astype(np.int64)
    else:
        share[FIRST_BIN:] = np.minimum(1 + np.arange(len(profile.labels)), GROUPS)
    return share


def _cluster_keys(table: Table, window: int) -> NDArray[np.uint64]:
    """A hash per row of (cluster, window); 0 where the cluster is missing."""
    assert table.cluster is not None
    distinct: dict[Any, int] = {}
    values = table.cluster.tolist()
    for value in values:
        if value not in distinct:
            distinct[value] = 0 if value is None or value != value else _hash(value)  # noqa: PLR0124  NaN
    keys = np.array([distinct[value] for value in values], np.uint64)
    if window and table.events is not None:
        number = np.floor_divide(table.events, window).astype(np.uint64)
        keys = np.where(keys > 0, mix(keys ^ mix(number)), keys)
    return keys


def _hash(value: object) -> int:
    digest = hashlib.blake2b(str(value).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") | 1
