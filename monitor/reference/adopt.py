"""Bins that one reference takes over from another, as rows are counted once whichever reference will judge them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from monitor.errors import ReferenceInvalid
from monitor.plan import Kind
from monitor.reference.profile import FeatureProfile, Reference
from monitor.reference.segment_tally import HIDDEN_COLUMN, SegmentDeclaration
from monitor.reference.table import FeatureDeclaration
from monitor.reference.vector import in_waves_of


def arranged(features: Sequence[FeatureDeclaration], bins: Reference) -> tuple[FeatureDeclaration, ...]:
    """The features in the order that `bins` has them, and behind them what is none. Raises ReferenceInvalid."""
    own = {one.name: one for one in features if not one.name.startswith(HIDDEN_COLUMN)}
    names = [profile.name for profile in bins.features]
    if own.keys() != set(names):
        lacks, more = sorted(set(names) - own.keys()), sorted(own.keys() - set(names))
        raise ReferenceInvalid(
            f"features differ: lacking {', '.join(lacks) or 'none'}, too many {', '.join(more) or 'none'} - bins of "
            f"{bins.name} - the same features are right"
        )
    hidden = (one for one in features if one.name.startswith(HIDDEN_COLUMN))
    return (*(own[name] for name in names), *hidden)


def segmented_as(segments: Sequence[SegmentDeclaration], bins: Reference) -> tuple[SegmentDeclaration, ...]:
    """The columns with the values that `bins` has for them."""
    known = {column.name: column.values for column in bins.segments}
    return tuple(replace(one, values=known.get(one.name, one.values)) for one in segments)


def adopted(
    profile: FeatureProfile, like: FeatureProfile, vectors: NDArray[np.float64] | None
) -> FeatureProfile:
    """The profile in the bins of `like`; `vectors` are some of its values where it is a vector or a group.

    What was measured of the values remains, as minimum and mean. Raises ReferenceInvalid.
    """
    if profile.kind is not like.kind or profile.members != like.members:
        raise ReferenceInvalid(
            f"{profile.kind} feature {profile.name} - the bins to be taken over - {like.kind} is right, and the same members"
        )
    if profile.kind is Kind.VECTOR:
        assert vectors is not None
        assert like.vector is not None
        if vectors.shape[1:] != like.vector.center.shape:
            raise ReferenceInvalid(
                f"vectors of {vectors.shape[1]} numbers - feature {profile.name} - {like.vector.length} are right"
            )
        vector = in_waves_of(vectors, like.vector, is_group=bool(like.members))
        return replace(profile, vector=vector, center=like.center, scale=like.scale)
    return replace(
        profile, edges=like.edges, coarse=np.zeros(len(like.coarse), np.int16), categories=like.categories,
        tail=like.tail, center=like.center, scale=like.scale,
    )  # fmt: skip
