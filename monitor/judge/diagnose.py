"""What changed, where, since when: what a drift verdict says beside that it is one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitor.judge import catalogue as names
from monitor.judge.kind_text import Words, told, told_beside
from monitor.judge.kinds import Kind, Subject, change_of
from monitor.judge.prepare import Prepared
from monitor.plan import Shown
from monitor.reference.profile import CATEGORIES
from monitor.verdict import State, Test, Verdict, Window

RANKED = 20
"""Features that are listed; a person reads no more, and the verdict record stays small."""
EXPLAINED = 8
"""Features of which the kind of change is looked for, at 3 ms each."""
PARTITIONS = 20
"""Source partitions whose offsets are listed; all of them are in the verdict."""

GUILTY, EXPLAINED_PARTS = 10, 3
"""Drifting segments that are listed, and of how many it is said what happened to their first feature."""
INNOCENT = 20
"""Names of segments without drift that are listed."""
NONE: Mapping[str, Window] = {}

Diagnosis = dict[str, Any]
"""JSON-able:

features  the named ones, largest x first: feature, test, x, share, and of the first EXPLAINED kind, title, text, figures
          and `also`, what else happened to it. `share` is its excess of the excess of all named features, where
          the excess of a feature is how far its largest x lies above 1; x is a score in units of its threshold.
          Where only segments drift they are theirs, with the name in `segment`
more      how many named features are not listed
segments  where the model has any: guilty (segment, x, rows, feature, and of the first few kind, title, text, figures), innocent
          (names of those that are ok), of how many each
where     see `monitor.judge.located`; `monitor.diagnosed` adds it
since     start, end of the window, ms, and onset where it is known: start of the pane since which there was a change
records   topic, partition, first and last offset, of at most PARTITIONS partitions; from the onset on where it is known
commands  to look at the records, and to judge them again; `monitor.diagnosed` adds them
"""


@dataclass(frozen=True, slots=True)
class _Named:
    """A feature that a verdict names, of the whole or of a segment, with all of its tests, largest x first."""

    segment: str
    feature: str
    tests: tuple[Test, ...]

    @property
    def excess(self) -> float:
        return self.tests[0].x - 1.0


def diagnose(
    window: Window,
    verdict: Verdict,
    prepared: Prepared,
    *,
    segments: Mapping[str, Window] = NONE,
    values: Shown = Shown.NAMES,
) -> Diagnosis:
    """Of a verdict that is drift. `values` says what may be told of the values of rows."""
    windows = {"": window, **segments}

    def explained(named: _Named) -> dict[str, Any]:
        own, of = prepared.parts.get(named.segment, prepared), windows.get(named.segment)
        return {} if of is None else _explained(named, of, verdict, own.of(of), Words(values))

    named = _named(verdict)
    whole = sum(one.excess for one in named)
    features: list[dict[str, Any]] = []
    for rank, one in enumerate(named[:RANKED]):
        share = one.excess / whole if whole > 0 else 0.0
        found: dict[str, Any] = {"segment": one.segment} if one.segment else {}
        found |= {"feature": one.feature, "test": one.tests[0].test, "x": one.tests[0].x, "share": share}
        features.append(found | (explained(one) if rank < EXPLAINED else {}))
    records = [
        {"topic": source.topic, "partition": source.partition, "first": first, "last": last}
        for source, (first, last) in sorted((verdict.since or verdict.offsets).items())[:PARTITIONS]
    ]
    return {
        "features": features,
        "more": max(len(named) - RANKED, 0),
        **({"segments": _segments(verdict, explained)} if verdict.segments else {}),
        "since": {"start": verdict.start, "end": verdict.end}
        | ({"onset": verdict.onset} if verdict.onset >= 0 else {}),
        "records": records,
    }


def _segments(verdict: Verdict, explained: Callable[[_Named], dict[str, Any]]) -> dict[str, Any]:
    drifting = sorted(
        (one for one in verdict.segments if one.state is State.DRIFT), key=lambda one: -one.statistic
    )
    innocent = [one.segment for one in verdict.segments if one.state is State.OK]
    guilty = []
    for rank, one in enumerate(drifting[:GUILTY]):
        first = _grouped(one.segment, one.tests)[0]
        found: dict[str, Any] = {
            "segment": one.segment,
            "x": one.statistic,
            "rows": one.rows,
            "feature": first.feature,
        }
        guilty.append(found | (explained(first) if rank < EXPLAINED_PARTS else {}))
    return {
        "guilty": guilty,
        "innocent": innocent[:INNOCENT],
        "of": {"guilty": len(drifting), "innocent": len(innocent), "all": len(verdict.segments)},
    }


def _named(verdict: Verdict) -> list[_Named]:
    """The features that the whole names, or where it names none those of the segments; largest x first."""
    if verdict.named:
        return _grouped("", verdict.tests)
    drifting = [one for one in verdict.segments if one.state is State.DRIFT]
    found = [named for one in drifting for named in _grouped(one.segment, one.tests)]
    return sorted(found, key=lambda one: -one.excess)


def _grouped(segment: str, tests: Sequence[Test]) -> list[_Named]:
    grouped: dict[str, list[Test]] = {}
    for test in tests:
        if test.x > 1 or test.feature in grouped:
            grouped.setdefault(test.feature, []).append(test)
    return [_Named(segment, feature, tuple(own)) for feature, own in grouped.items()]


def _explained(
    named: _Named, window: Window, verdict: Verdict, prepared: Prepared, words: Words
) -> dict[str, Any]:
    feature, first = named.feature, named.tests[0]
    scores = {} if named.segment else verdict.scores.get(feature, {})
    if feature in (names.ERROR, names.LATENCY) and first.test in (feature, names.EARLY):
        kind = Kind.ERRORS if feature == names.ERROR else Kind.LATENCY
        excess = scores.get(feature, first.score)
        return told_beside(kind, scores, scores.get(f"{feature}_ratio", first.score), excess)
    frame = prepared.frame
    index = next(i for i, profile in enumerate(frame.features) if profile.name == feature)
    profile = frame.features[index]
    novel = window.novel.get(int(frame.layout.column[index]), {}) if profile.kind in CATEGORIES else {}
    change = change_of(
        Subject(index, frame, window, named.tests, scores, bool(named.segment or prepared.seasons))
    )
    return told(change, profile, words, novel)
