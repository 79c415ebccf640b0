"""Changes that are put into rows or counts, to see when they are found. Pure.

    shift:FEATURE=0.2     every value moves by 0.2 standard deviations of the reference
    scale:FEATURE=1.1     every value is multiplied by 1.1
    missing:FEATURE=0.05  5 % of the values are missing
    novel:FEATURE=0.05    5 % of the categories are one that the reference never saw
    rename:FEATURE=0.05   one category is called otherwise: the most frequent of those with at most 5 % of the rows

Counts do not say where in its bin a value lies: it is taken to lie anywhere in it alike.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.layout import BELOW, FIRST_BIN, MISSING, NOVEL, OTHER
from monitor.errors import UsageError
from monitor.plan import Kind
from monitor.reference.profile import CATEGORIES, FeatureProfile, Reference

SIZES: dict[str, tuple[float, ...]] = {
    "shift": (0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    "scale": (1.01, 1.02, 1.05, 1.1, 1.2, 1.5, 2.0),
    "missing": (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    "novel": (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    "rename": (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
}
"""What is tried where no size is given."""
_OF = {
    "shift": {Kind.NUMERIC},
    "scale": {Kind.NUMERIC},
    "missing": {Kind.NUMERIC, *CATEGORIES},
    "novel": set(CATEGORIES),
    "rename": set(CATEGORIES),
}
_OF_VALUES = {"shift", "scale"}
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Injection:
    """One change of one feature; `when` is as it was written, "" for the usual time."""

    kind: str
    feature: str
    size: float
    when: str = ""
    usual: bool = False
    """The size was not given: it is left out where a reference cannot have it."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.feature}={self.size:g}" + (f"@{self.when}" if self.when else "")

    @property
    def written(self) -> str:
        """As it was given: without a size that was not."""
        return str(self).replace(f"={self.size:g}", "", 1) if self.usual else str(self)


def parse(text: str, features: Collection[str] = ()) -> list[Injection]:
    """KIND:FEATURE[=SIZE][@WHEN], of every usual size where none is given. Names with = and @ in them are known by
    `features`, the longest that fits. Raises UsageError."""
    kind, _, rest = text.partition(":")
    known = [name for name in features if rest.startswith(name) and rest[len(name) :][:1] in {"", "=", "@"}]
    feature = max(known, key=len, default=re.split("[=@]", rest, maxsplit=1)[0])
    size, _, when = rest[len(feature) :].partition("@")
    size = size.removeprefix("=")
    if kind not in SIZES or not feature:
        raise UsageError(
            f"{text!r} is no change - --inject - KIND:FEATURE[=SIZE][@WHEN] with one of {', '.join(SIZES)}"
        )
    if not size:
        return [Injection(kind, feature, usual, when, usual=True) for usual in SIZES[kind]]
    try:
        value = float(size.removesuffix("%")) / (100 if size.endswith("%") else 1)
    except ValueError:
        value = float("nan")
    right = np.isfinite(value) and (kind == "shift" or (value > 0 and (kind == "scale" or value <= 1)))
    if not right:
        wanted = {"shift": "standard deviations", "scale": "a factor above 0"}.get(kind, "a share up to 1")
        raise UsageError(f"{size!r} is no size - --inject {text} - {wanted}")
    return [Injection(kind, feature, value, when)]


def possible(reference: Reference, injections: Sequence[Injection]) -> list[Injection]:
    """Those of a feature that the reference has; of usual sizes by which one category is renamed, the first."""
    names = {profile.name for profile in reference.features}
    found, slots = [], set()
    for injection in injections:
        if injection.feature not in names:
            continue
        if injection.usual and injection.kind == "rename":
            slot = renamed(reference, owner_of(reference, injection), injection.size)
            if slot < 0 or (injection.feature, slot) in slots:
                continue
            slots.add((injection.feature, slot))
        found.append(injection)
    return found


def owner_of(reference: Reference, injection: Injection) -> int:
    """Number of the feature that is changed. Raises UsageError where there is none, or not of such a kind."""
    names = [profile.name for profile in reference.features]
    if injection.feature not in names:
        raise unknown(injection, names)
    owner = names.index(injection.feature)
    profile, where = reference.features[owner], f"--inject {injection.written}"
    if profile.kind not in _OF[injection.kind]:
        right = ", ".join(sorted(str(one) for one in _OF[injection.kind]))
        raise UsageError(
            f"{injection.feature} is {profile.kind} - {where} - a feature that is {right} is right"
        )
    start = int(reference.layout().start[owner])
    if not reference.counts[start + BELOW : start + profile.slots].any():
        raise UsageError(
            f"{injection.feature} has no values in the reference - {where} - a feature with values"
        )
    if injection.kind == "shift" and profile.std == 0:
        raise UsageError(
            f"{injection.feature} has one value in the reference - {where} - scale moves it, or missing removes it"
        )
    is_given = not injection.usual
    if is_given and injection.kind == "rename" and renamed(reference, owner, injection.size) < 0:
        raise UsageError(
            f"no category has so few rows - {where} - a share that one of {injection.feature} is below"
        )
    return owner


def unknown(injection: Injection, names: Sequence[str]) -> UsageError:
    """What is said of a feature that is none of `names`."""
    feature = injection.feature
    near = [name for name in names if feature in name] or difflib.get_close_matches(feature, names, n=1)
    more = f", … {len(names) - 20} more" if len(names) > 20 else ""
    hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(names[:20])}{more} is right"
    return UsageError(f"no feature {feature!r} - --inject {injection.written} - {hint}")


def renamed(reference: Reference, owner: int, size: float) -> int:
    """Slot of the category that is called otherwise, within its feature; -1 where all have more rows."""
    start = int(reference.layout().start[owner])
    own = reference.counts[start : start + reference.features[owner].slots]
    shares = own / max(int(own.sum()), 1)
    fit = [slot for slot in range(FIRST_BIN, len(own)) if 0 < shares[slot] <= size]
    return max(fit, key=lambda slot: (int(own[slot]), -slot), default=-1)


class CountChange:
    """A change of the counts of panes. The same counts change the same way, whatever was changed before.

    Sums of groups stay as they were: how far a change of one member moves them cannot be told from counts.
    """

    def __init__(self, reference: Reference, injection: Injection, *, seed: int) -> None:
        owner = owner_of(reference, injection)
        start = reference.layout().start
        self._slots = slice(int(start[owner]), int(start[owner + 1]))
        self._seed = seed
        is_moved = injection.kind in _OF_VALUES
        self._moves = moves(reference.features[owner], injection) if is_moved else None
        self._leaves, self._to = (np.zeros(0), 0) if is_moved else leaves(reference, owner, injection)

    def __call__(self, counts: Counts) -> Counts:
        own = counts[self._slots]
        rng = np.random.default_rng([self._seed, *own.tolist()])
        changed = counts.copy()
        if self._moves is None:
            left = rng.binomial(own, self._leaves)
            changed[self._slots] -= left
            changed[self._slots.start + self._to] += left.sum()
        else:
            filled = np.flatnonzero(own)
            changed[self._slots] = rng.multinomial(own[filled], self._moves[filled]).sum(axis=0)
        return changed


def leaves(reference: Reference, owner: int, injection: Injection) -> tuple[NDArray[np.float64], int]:
    """float64[slots], the share of each slot's rows that leaves it, and the slot that they are counted in afterwards."""
    found = np.zeros(reference.features[owner].slots)
    if injection.kind == "missing":
        found[MISSING + 1 :] = injection.size
        return found, MISSING
    if injection.kind == "novel":
        found[OTHER:] = injection.size
    else:
        found[renamed(reference, owner, injection.size)] = 1
    return found, NOVEL


def moves(profile: FeatureProfile, injection: Injection) -> NDArray[np.float64]:
    """float64[slots, slots] of a number: the share of each slot's rows that is counted in each slot afterwards."""
    found = np.eye(profile.slots)
    is_shift = injection.kind == "shift"
    _move(found, profile, *((1.0, injection.size * profile.std) if is_shift else (injection.size, 0.0)))
    return found


def _move(found: NDArray[np.float64], profile: FeatureProfile, factor: float, by: float) -> None:
    """Rows of the bins as if they lay evenly in them; those outside the reference's range stay where they are."""
    edges = profile.edges
    low, high = edges[:-1] * factor + by, edges[1:] * factor + by
    low, high = np.minimum(low, high), np.maximum(low, high)
    all_edges = np.concatenate([[-np.inf], edges, [np.inf]])
    for at in range(len(edges) - 1):
        width = high[at] - low[at]
        slot = FIRST_BIN + at
        found[slot] = 0
        if width <= 0 or not np.isfinite(width):
            found[slot, BELOW + int(np.searchsorted(edges, low[at], side="right"))] = 1
            continue
        part = np.clip(all_edges[1:], low[at], high[at]) - np.clip(all_edges[:-1], low[at], high[at])
        found[slot, BELOW:] = part / part.sum()
