"""A change in words and numbers: "mean 12.3 → 123 (x 10)"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitor.judge.kinds import Change, Kind
from monitor.judge.renames import Pair
from monitor.plan import Shown
from monitor.reference.profile import FeatureProfile

TITLES = {
    Kind.MISSING: "missing values",
    Kind.NON_FINITE: "values that are no numbers",
    Kind.STUCK: "stuck at a constant",
    Kind.SCALE: "unit or scale change",
    Kind.RENAMED: "renamed categories",
    Kind.NOVEL: "novel category",
    Kind.CLIPPING: "clipping",
    Kind.LOCATION: "location",
    Kind.SPREAD: "spread",
    Kind.SHAPE: "shape",
    Kind.JOINT: "values go together otherwise",
    Kind.VIOLATION: "breach of the contract",
    Kind.ERRORS: "errors",
    Kind.LATENCY: "latency",
}
SHOWN = 3
"""Categories that one change names."""
LONGEST = 40
"""Letters of a category that are shown: what comes in records is as long as its sender likes."""
_VALUES = frozenset({"value", "limit", "slot", "side", "heap"})
"""Figures that are not shares or moments: values of rows, and how the text is to be read."""


@dataclass(frozen=True, slots=True)
class Words:
    """What may be said of the values of rows."""

    values: Shown = Shown.NAMES

    def category(self, profile: FeatureProfile, number: int) -> str:
        """Category number `number` (from 0) of the reference."""
        if self.values is Shown.NAMES:
            return _clean(profile.categories[number])
        return f"category {number + 1}" if self.values is Shown.CODES else "a category"

    def new(self, name: str, number: int) -> str:
        """A category that the reference does not have, `number` (from 0) of those that are told."""
        if self.values is Shown.NAMES:
            return _clean(name)
        return f"new value {number + 1}" if self.values is Shown.CODES else "a new value"

    def number(self, profile: FeatureProfile, value: float) -> str:
        if self.values is Shown.NAMES:
            return number(value)
        place = int(np.searchsorted(profile.edges, value, side="right"))
        return f"bin {place}" if self.values is Shown.CODES else ""


def told(change: Change, profile: FeatureProfile, words: Words, novel: Mapping[str, int]) -> dict[str, Any]:
    """{kind, title, text, figures, also}, JSON-able. `novel` are the new categories that are known, with their rows."""
    text = _TEXTS[change.kind](change, profile, words, novel)
    figures: dict[str, Any] = {
        name: float(value)
        for name, value in change.figures.items()
        if name not in _VALUES and np.isfinite(value)
    }
    if words.values is Shown.NAMES and change.kind in (Kind.STUCK, Kind.CLIPPING):
        figures |= {
            name: float(change.figures[name]) for name in ("value", "limit") if name in change.figures
        }
    if change.pairs:
        figures["renamed"] = [_pair(pair, i, profile, words) for i, pair in enumerate(change.pairs)]
    also = [told(other, profile, words, novel) for other in change.also]
    found = {"kind": str(change.kind), "title": TITLES[change.kind], "text": text, "figures": figures}
    return found | ({"also": also} if also else {})


def number(value: float) -> str:
    """Three significant digits, as short as they can be written."""
    text = f"{value:.3g}"
    return f"{value:.0f}" if "e+0" in text and abs(value) < 1e7 else text


def percent(share: float) -> str:
    """42 %, 3.1 %, 0.12 %."""
    value = 100.0 * share
    if 0 < value < 0.01:
        return "< 0.01 %"
    return f"{value:.0f} %" if abs(value) >= 9.95 or value == 0 else f"{value:.2g} %"


def _clean(text: str) -> str:
    kept = "".join(letter if letter.isprintable() else "�" for letter in text[: LONGEST + 1])
    return kept if len(kept) <= LONGEST else f"{kept[: LONGEST - 1]}…"


def _pair(pair: Pair, i: int, profile: FeatureProfile, words: Words) -> dict[str, Any]:
    return {"old": words.category(profile, pair.old), "new": words.new(pair.new, i), "rows": pair.rows}


def _ratio(change: Change, what: str) -> str:
    now, usual = change.figures.get("share", 0.0), change.figures.get("reference_share", 0.0)
    return f"{percent(now)} {what}, {percent(usual)} in the reference"


def _mean(change: Change) -> str:
    own = change.figures
    now, usual = own["mean"], own["reference_mean"]
    times = f" (x {now / usual:.3g})" if usual and 0 < now / usual < 1e6 else ""
    return f"mean {number(usual)} → {number(now)}{times}"


def _stuck(change: Change, profile: FeatureProfile, words: Words, _novel: Mapping[str, int]) -> str:
    if "slot" in change.figures:
        slot = int(change.figures["slot"])
        what = words.category(profile, slot - 2) if slot >= 2 else "a new value"
    else:
        what = words.number(profile, change.figures["value"]) or "one value"
    return _ratio(change, f"are {what}")


def _scale(change: Change, _profile: FeatureProfile, _words: Words, _novel: Mapping[str, int]) -> str:
    own = change.figures
    offset, share = own["offset"], own["share"]
    plus = f" {'+' if offset > 0 else '−'} {number(abs(offset))}" if offset else ""
    part = "" if share > 0.995 else f" in {percent(share)} of the rows"
    return f"values x {number(own['factor'])}{plus}{part}, {_mean(change)}"


def _renamed(change: Change, profile: FeatureProfile, words: Words, _novel: Mapping[str, int]) -> str:
    pairs = [_pair(pair, i, profile, words) for i, pair in enumerate(change.pairs[:SHOWN])]
    listed = ", ".join(f"{pair['old']} → {pair['new']}" for pair in pairs)
    more = len(change.pairs) - len(pairs)
    names = "the new name" if len(change.pairs) == 1 else "new names"
    listed += f" and {more} more" if more else ""
    return f"{listed}: {percent(change.figures['share'])} under {names}"


def _of_novel(change: Change, _profile: FeatureProfile, words: Words, novel: Mapping[str, int]) -> str:
    text = _ratio(change, "in categories that the reference never saw")
    if words.values is not Shown.NAMES or not novel:
        return text
    most = sorted(novel.items(), key=lambda item: (-item[1], item[0]))
    listed = ", ".join(_clean(name) for name, _ in most[:SHOWN])
    return f"{text}: {listed}" + (" and more" if len(most) > SHOWN else "")


def _clipping(change: Change, profile: FeatureProfile, words: Words, _novel: Mapping[str, int]) -> str:
    own = change.figures
    limit = words.number(profile, own["limit"]) or "a limit"
    beyond = (
        f"none {'above' if own['side'] > 0 else 'below'} {limit}, {percent(own['beyond'])} in the reference"
    )
    return f"{beyond}; {_ratio(change, 'at the limit')}" if own["heap"] else beyond


def _location(change: Change, _profile: FeatureProfile, _words: Words, _novel: Mapping[str, int]) -> str:
    own = change.figures
    if "shift" not in own:
        return f"the mean of dimension {own['dimension']:.0f} by {own['mean_shift']:.2g} standard deviations"
    by = own["shift"]
    ratio = f", {abs(by) / own['reference_std']:.2g} standard deviations" if own["reference_std"] > 0 else ""
    means = f"mean {number(own['reference_mean'])} → {number(own['mean'])}"
    return f"{means} ({'+' if by >= 0 else '−'}{number(abs(by))}{ratio})"


def _spread(change: Change, _profile: FeatureProfile, _words: Words, _novel: Mapping[str, int]) -> str:
    own = change.figures
    return (
        f"standard deviation {number(own['reference_std'])} → {number(own['std'])} (x {own['factor']:.3g}), "
        f"mean {number(own['reference_mean'])} → {number(own['mean'])}"
    )


def _shape(change: Change, _profile: FeatureProfile, _words: Words, _novel: Mapping[str, int]) -> str:
    own = change.figures
    if "mean" not in own:
        return "the mix of values has changed"
    return (
        f"the distribution has changed; mean {number(own['reference_mean'])} → {number(own['mean'])}, "
        f"standard deviation {number(own['reference_std'])} → {number(own['std'])}"
    )


def _joint(_change: Change, profile: FeatureProfile, _words: Words, _novel: Mapping[str, int]) -> str:
    return f"{_few(profile.members)} go together otherwise than in the reference"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _plain(what: str) -> Callable[[Change, FeatureProfile, Words, Mapping[str, int]], str]:
    return lambda change, _profile, _words, _novel: _ratio(change, what)


_TEXTS: Mapping[Kind, Callable[[Change, FeatureProfile, Words, Mapping[str, int]], str]] = {
    Kind.MISSING: _plain("missing"),
    Kind.NON_FINITE: _plain("no numbers"),
    Kind.STUCK: _stuck,
    Kind.SCALE: _scale,
    Kind.RENAMED: _renamed,
    Kind.NOVEL: _of_novel,
    Kind.CLIPPING: _clipping,
    Kind.LOCATION: _location,
    Kind.SPREAD: _spread,
    Kind.SHAPE: _shape,
    Kind.JOINT: _joint,
    Kind.VIOLATION: _plain("break the contract"),
}


def told_beside(kind: Kind, scores: Mapping[str, float], share: float, excess: float) -> dict[str, Any]:
    """Of the two things that are no feature: errors and latency."""
    if kind is Kind.ERRORS:
        text = f"{percent(share)} errors, {percent(share - excess)} in the reference"
        shares = {"share": share, "reference_share": share - excess}
        return {"kind": str(kind), "title": TITLES[kind], "text": text, "figures": shares}
    names: Sequence[str] = ("p50", "p99", "reference_p50", "reference_p99")
    figures = {name: scores[name] for name in names if name in scores}
    slow = f"{percent(share)} slower than 99 % of the reference"
    if len(figures) == len(names):
        slow += f"; p99 {number(scores['reference_p99'])} ms → {number(scores['p99'])} ms"
    return {"kind": str(kind), "title": TITLES[kind], "text": slow, "figures": figures}
