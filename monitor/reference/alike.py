"""Whether what was counted for one reference can be compared with another."""

from __future__ import annotations

import numpy as np

from monitor.reference.profile import FeatureProfile, Reference


def unlike(own: Reference, other: Reference) -> str:
    """Why counts in the slots of `own` cannot be compared with `other`, in words; "" where they can.

    Both must have the same features in the same order, each with the same slots and the same unit of moments. Of
    vectors the frequencies too: what is summed up of them is in these.
    """
    names, found = ([profile.name for profile in one.features] for one in (own, other))
    if names != found:
        lacks, more = sorted(set(names) - set(found)), sorted(set(found) - set(names))
        parts = [f"it lacks {', '.join(lacks[:3])}"] * bool(lacks) + [f"it has {', '.join(more[:3])}"] * bool(
            more
        )
        return " and ".join(parts) or "it has the features in another order"
    different = [
        mine.name
        for mine, theirs in zip(own.features, other.features, strict=True)
        if not _same(mine, theirs)
    ]
    if not different:
        return ""
    rest = f" and {len(different) - 3} more" if len(different) > 3 else ""
    return f"it has other bins of {', '.join(different[:3])}{rest}"


def _same(own: FeatureProfile, other: FeatureProfile) -> bool:
    plain = [(one.kind, one.categories, one.center, one.scale, one.members) for one in (own, other)]
    if plain[0] != plain[1] or (own.vector is None) != (other.vector is None):
        return False
    if not (np.array_equal(own.edges, other.edges) and np.array_equal(own.tail, other.tail)):
        return False
    if own.vector is None or other.vector is None:
        return True
    arrays = ("center", "scale", "waves", "phases")
    same = all(np.array_equal(getattr(own.vector, name), getattr(other.vector, name)) for name in arrays)
    return same and own.vector.shift == other.vector.shift
