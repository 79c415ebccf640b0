"""A condition on rows, in words: the values of one feature, or of two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kernels.layout import BELOW, FIRST_BIN, MISSING, NON_FINITE, NOVEL, OTHER
from monitor.judge.kind_text import Words, percent
from monitor.plan import Kind, Shown
from monitor.reference.profile import FeatureProfile

LISTED = 6
"""Categories that a text names; a person reads no more."""
_CATEGORICAL = {MISSING: "missing", NOVEL: "novel", OTHER: "other"}
_NUMBER = {MISSING: "missing", NON_FINITE: "no number"}
_GROUP = {MISSING: "missing", NON_FINITE: "incomplete"}


@dataclass(frozen=True, slots=True)
class Literal:
    """Rows whose value of one feature lies in one of some slots within the feature, ascending; of a numeric one
    in a special slot, or in slots that follow each other."""

    feature: str
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """Where a drift lies: rows for which all of `literals` (one or two) hold.

    share   of the excess that is theirs, 0 to 1: of all drifting features but those of `literals`
    rows    their share of the window's rows
    before  their share of the reference's rows
    p       probability that any of the conditions that were tried looks this guilty where none is
    others  a feature of `literals` has drifted too, so that `share` is of the others alone
    """

    literals: tuple[Literal, ...]
    share: float
    rows: float
    before: float
    p: float
    others: bool = False

    def text(self, profiles: Mapping[str, FeatureProfile], words: Words) -> str:
        """`carrier in {9E, EV} and origin = EWR: 92 % of it, in 4.1 % of the rows (4 % in the reference)`"""
        said = " and ".join(_said(one, profiles[one.feature], words) for one in self.literals)
        if words.values is Shown.NONE:
            said = f"some values of {said}"
        of = "the change of the other features" if self.others else "it"
        return (
            f"{said}: {percent(self.share)} of {of}, in {percent(self.rows)} of the rows"
            f" ({percent(self.before)} in the reference)"
        )


def _said(one: Literal, profile: FeatureProfile, words: Words) -> str:
    if words.values is Shown.NONE:
        return one.feature
    if profile.kind is Kind.NUMERIC:
        return _range(one, profile, words)
    special = _NUMBER if profile.kind is Kind.VECTOR else _CATEGORICAL
    if profile.members:
        special = _GROUP
    if len(one.slots) == 1 and one.slots[0] < FIRST_BIN:
        return f"{one.feature} is {special[one.slots[0]]}"
    if profile.kind is Kind.VECTOR:
        return f"{one.feature} is {profile.labels[0]}"
    called = [special.get(slot) or words.category(profile, slot - FIRST_BIN) for slot in one.slots]
    if len(called) == 1:
        return f"{one.feature} = {called[0]}"
    more = f", … {len(called) - LISTED} more" if len(called) > LISTED else ""
    return f"{one.feature} in {{{', '.join(called[:LISTED])}{more}}}"


def _range(one: Literal, profile: FeatureProfile, words: Words) -> str:
    first, last = one.slots[0], one.slots[-1]
    if last < BELOW:
        return f"{one.feature} is {_NUMBER[first]}"
    above = BELOW + len(profile.edges)
    if words.values is Shown.CODES:
        bins = f"bin {first - BELOW}" if first == last else f"bins {first - BELOW} to {last - BELOW}"
        return f"{one.feature} in {bins}"
    low = "" if first == BELOW else f"{float(profile.edges[first - FIRST_BIN]):.6g} <= "
    high = "" if last == above else f" < {float(profile.edges[last - BELOW]):.6g}"
    if low and not high:
        return f"{one.feature} >= {low.removesuffix(' <= ')}"
    return f"{low}{one.feature}{high}"
