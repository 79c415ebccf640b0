"""Groups: numeric features of which a reference also knows how their values go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitor.errors import ReferenceInvalid
from monitor.plan import MOST_MEMBERS, Kind
from monitor.reference.profile import FeatureProfile
from monitor.reference.table import FeatureDeclaration


@dataclass(frozen=True, slots=True)
class GroupDeclaration:
    """A group that a reference is to have: a vector made of the columns of features."""

    name: str
    members: tuple[str, ...]


def declare_groups(
    declared: Sequence[FeatureDeclaration], groups: Sequence[GroupDeclaration]
) -> tuple[FeatureDeclaration, ...]:
    """The features, and the groups behind them. A member whose kind is not declared is numeric.

    Raises ReferenceInvalid where a group cannot be made of these features.
    """
    used = {name for group in groups for name in group.members}
    plain = tuple(
        replace(one, kind=Kind.NUMERIC) if one.kind is None and one.name in used else one for one in declared
    )
    known = {one.name: one for one in plain}
    found = []
    for group in groups:
        where = f"group {group.name}"
        unknown = [name for name in group.members if name not in known]
        other = [name for name in group.members if name in known and known[name].kind is not Kind.NUMERIC]
        if unknown or other:
            problem = f"no feature {unknown[0]!r}" if unknown else f"{other[0]} is {known[other[0]].kind}"
            raise ReferenceInvalid(f"{problem} - {where} - numeric features of the reference are right")
        if group.name in known:
            raise ReferenceInvalid(f"a feature has this name - {where} - a name of its own is right")
        if not fits(group.members):
            raise ReferenceInvalid(
                f"{', '.join(group.members)} - {where} - 2 to {MOST_MEMBERS} different features are right"
            )
        members = tuple(known[name] for name in group.members)
        found.append(FeatureDeclaration(group.name, kind=Kind.VECTOR, length=len(members), members=members))
    return (*plain, *found)


def fits(members: Sequence[str]) -> bool:
    return 2 <= len(members) == len(set(members)) <= MOST_MEMBERS


def places_of(
    members: Sequence[str], profiles: Sequence[FeatureProfile]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre and scale of each member, as its own moments are standardised."""
    known = {profile.name: profile for profile in profiles}
    own = [known[name] for name in members]
    return np.array([one.center for one in own]), np.array([one.scale for one in own])
