"""What live windows will show of a long tail of categories that the reference saw in part.

The categories with a slot of their own were chosen because they were frequent in the reference,
so they will be a little rarer afterwards, and categories will come that it never saw. Compared
with the plain counts, 5,000 flat categories, 20,000 reference rows and windows of 1,000 rejected
4.6 times as often as they should. Good 1953, "The population frequencies of species and the
estimation of population parameters": the categories seen at least r times will make up the share
that those seen at least r + 1 times make up in the sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kernels.layout import FIRST_BIN, OTHER
from monitor.plan import Kind
from monitor.reference.profile import FeatureProfile

Array = NDArray[np.float64]

NEAR = 0.2
"""Share of the named categories, the rarest, whose counts tell how many there are per count."""
STEEPEST = 3.0
"""Power of the count at which the number of categories may fall at most; 2 is Zipf's law."""
MANY = 10.0
"""Categories of one count from which on their number says something of how many there are."""


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
        once = profile.novelty * float(coarse[low:high].sum())
        surplus = _surplus(named, once=once, other=float(live[low + OTHER]))
        loss = np.minimum(named, surplus / max(int(np.sum(named > 0)), 1))
        named -= loss
        live[low + OTHER] += loss.sum()
        novel[feature] = min(once, live[low + OTHER])
    return live, novel


def _surplus(named: Array, *, once: float, other: float) -> float:
    """Rows by which the named categories together are over-represented.

    All categories seen r times will make up the share of (r + 1) N(r + 1) rows, N(r) being how many there are;
    so those seen more than r times, of which all are named, lose (r + 1) N(r + 1) rows; and of those seen r times,
    the smallest named count, the named ones lose their part of r N(r) - (r + 1) N(r + 1).

    N(r + 1) is the mean over the counts next above, and N(r) lies on the line in logarithms from there to N(1),
    the categories seen `once`: it falls so steeply where counts are small that the mean alone is half of it. At 2 the
    `other` rows tell it.
    """
    seen = np.sort(named[named > 0])
    if len(seen) == 0:
        return 0.0
    least = float(seen[0])
    ties = float(np.sum(seen == least))
    far = max(float(seen[min(max(int(NEAR * len(seen)), 10), len(seen)) - 1]), least + 1.0)
    mean = float(np.sum((seen > least) & (seen <= far))) / (far - least)
    if mean == 0.0:
        return least * ties
    middle = 0.5 * (least + 1.0 + far)
    slope = min(max(math.log(max(once, mean) / mean) / math.log(middle), 0.0), STEEPEST)
    above = mean * (middle / (least + 1.0)) ** slope
    own = {1.0: once, 2.0: ties + max(other - once, 0.0) / 2.0}.get(least, mean * (middle / least) ** slope)
    if ties >= MANY:
        own = max(own, ties)
    part = min(ties / own, 1.0) if own > 0.0 else 1.0
    return float(part * least * own + (1.0 - part) * (least + 1.0) * above)
