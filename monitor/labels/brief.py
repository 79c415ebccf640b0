"""Which labels are held for predictions that are still to come: all, or as many as may be. Pure.

A label that comes before its prediction, or is of nobody's, cannot be told from the other. Of a pane of one partition as many
are held for as long as any is as `labels.max_early` leaves to it, chosen by the hash of their id, more rarely the more rows
came before them. The others are *brief*: they count for predictions that are no later than they are, by the allowed
lateness, and are let go when no such prediction can come. Which ones these are depends on the place of a label in its own
log, so it is the same whoever reads both logs, and in whichever order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.plan import JoinPlan, ModelPlan
from monitor.verdict import Verdict

NOT_HELD = "labels_not_held"
"""Of a measured window's `outcomes`: how many labels were brief that its predictions could have had."""
EARLY = 86_400_000
"""Labels count that were sent at most so long before their prediction, or as long as they are waited for where that is
less: until then those that nobody has predicted are held."""


def early(join: JoinPlan) -> int:
    """How long before its prediction a label may be sent, ms."""
    return min(EARLY, join.wait)


def less(plan: ModelPlan) -> int:
    """By how much this is less for brief labels: what is left of it is what both logs may be out of step by."""
    assert plan.join is not None
    return max(early(plan.join) - plan.lateness, 0)


def quota(plan: ModelPlan) -> int:
    """Labels of a pane and partition that are held at most: 1 of 2 of them before any is brief."""
    assert plan.join is not None
    return max(plan.join.most_early // (-(-early(plan.join) // plan.pane) + 1), 2)


def is_brief(ids: NDArray[np.uint64], begin: int, most: int) -> NDArray[np.bool_]:
    """Of rows that come behind `begin` others of their cell. The first half of `most` rows are not, of as many behind them
    1 in 2 is not, then 1 in 4, and so on: `most` at last, whatever comes."""
    level = (begin + np.arange(len(ids))) // (most // 2)
    found: NDArray[np.bool_] = level > 0
    deep = np.minimum(level, 63).astype(np.uint64)
    found &= ids >> (np.uint64(64) - np.maximum(deep, np.uint64(1))) != 0
    return found


def told(count: int) -> str:
    """What a window says where `count` labels were brief that its predictions could have had."""
    if not count:
        return ""
    return (
        f" {count:,} labels were not held until predictions came, as more came than may be (labels.max_early): "
        "predictions that came after their labels may lack these."
    )


def not_held(one: Verdict) -> int:
    """Of a measured window."""
    return int(one.outcomes.get(NOT_HELD, 0))
