"""What live windows will show of a long tail of categories that the reference saw in part.

The categories with a slot of their own were chosen because they were frequent in the reference,
so they will be a little rarer afterwards, and categories will come that it never saw. Compared
with the plain counts, 5,000 flat categories, 20,000 reference rows and windows of 1,000 rejected
4.6 times as often as they should. Good 1953, "The population frequencies of species and the
estimation of population parameters": the categories seen at least r times will make up the share
that those seen at least r + 1 times make up in the sample.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kernels.layout import FIRST_BIN, OTHER
from monitor.plan import Kind
from monitor.reference.profile import FeatureProfile

Array = NDArray[np.float64]

NEAR = 0.2
"""Share of the named categories, the rarest, whose counts tell how many there are per count."""


def as_live(
    coarse: Array, features: Sequence[FeatureProfile], start: NDArray[np.int32]
) -> tuple[Array, Array]:
    """Coarse counts corrected for the choice of categories, and expected novel rows per feature.

    The corrected counts have the same sum; what the named categories lose goes to `other`, which
    here includes the novel rows.
    """
    live, novel = coarse.copy(), np.zeros(len(features))
    for feature, profile in enumerate(features):
        if profile.kind in {Kind.NUMERIC, Kind.VECTOR}:
            continue
        low, high = int(start[feature]), int(start[feature + 1])
        named = live[low + FIRST_BIN : high]
        if live[low + OTHER] == 0.0:
            novel[feature] = np.sum(named == 1.0)
            continue
        loss = np.minimum(named, _surplus(named) / max(int(np.sum(named > 0)), 1))
        named -= loss
        live[low + OTHER] += loss.sum()
        novel[feature] = min(profile.novelty * coarse[low:high].sum(), live[low + OTHER])
    return live, novel


def _surplus(named: Array) -> float:
    """Rows by which the named categories together are over-represented: r times the number of
    categories seen r times, at the smallest named count r; that number from those next above."""
    seen = np.sort(named[named > 0])
    if len(seen) == 0:
        return 0.0
    least = float(seen[0])
    far = float(seen[min(max(int(NEAR * len(seen)), 10), len(seen)) - 1])
    if far == least:
        return least * float(np.sum(seen == least))
    return least * float(np.sum((seen > least) & (seen <= far))) / (far - least)
