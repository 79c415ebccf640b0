"""The vectors of groups, made of the columns that were read for their members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from monitor.columns import Columns
from monitor.plan import FeaturePlan, Kind, ModelPlan
from monitor.reference.profile import FeatureProfile


def read_plan(plan: ModelPlan) -> ModelPlan:
    """Without the groups, which stand in no record."""
    return replace(plan, features=tuple(feature for feature in plan.features if not feature.members))


def member_columns(features: Sequence[FeaturePlan | FeatureProfile]) -> NDArray[np.int64]:
    """Rows of `Columns.values` that the vectors of all groups are made of, side by side."""
    numeric = [feature.name for feature in features if feature.kind is Kind.NUMERIC]
    members = [name for feature in features for name in feature.members]
    return np.array([numeric.index(name) for name in members], np.int64)


def with_groups(columns: Columns, members: NDArray[np.int64]) -> Columns:
    """The columns with the vectors of groups behind those that were read.

    A row in which a member is missing has a vector that is not finite, or is missing where all are: the fold
    counts it apart, and no value is made up.
    """
    if not len(members):
        return columns
    read = columns.vectors.shape[1] if columns.vectors is not None else 0
    vectors = np.empty((len(columns), read + len(members)))
    if columns.vectors is not None:
        vectors[:, :read] = columns.vectors
    vectors[:, read:] = columns.values[members].T
    return replace(columns, vectors=vectors)


def renewed(columns: Columns, members: NDArray[np.int64]) -> Columns:
    """The same, of columns that have vectors of groups already, after their values have changed."""
    if columns.vectors is None or not len(members):
        return columns
    return with_groups(replace(columns, vectors=columns.vectors[:, : -len(members)]), members)
