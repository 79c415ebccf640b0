"""Which features get series of their own, within a budget of series.

50 models × 200 features × 2 windows × 4 metrics are 80 000 series: a second of scrape and more than most
servers accept. So by default only the worst features of a model are exported; the rest is
counted as suppressed and stays readable at `/api/v1/models/<m>/features`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import is_

import numpy as np

from kernels.layout import MISSING, NON_FINITE
from monitor.incident.model import causes_of
from monitor.metrics import SERIES_SUPPRESSED_TOTAL
from monitor.verdict import State, Verdict, Window
from monitor.view import ModelView
from monitor.web.settings import PerFeature, WebSettings


@dataclass(frozen=True, slots=True)
class Measured:
    """What one window says of one feature; None where a score does not exist for it."""

    psi: float | None
    ks: float | None
    missing: float | None
    mmd: float | None = None

    def __len__(self) -> int:
        return sum(value is not None for value in (self.psi, self.ks, self.missing, self.mmd))


@dataclass(slots=True)
class _Ranked:
    """One model and window as of its latest verdict, with what it showed one window ago."""

    verdict: Verdict
    measured: Mapping[str, Measured]
    worst: tuple[str, ...]
    before: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    """The features of a model that are exported."""

    features: Sequence[str]
    drifted: frozenset[str]
    windows: Mapping[str, Mapping[str, Measured]]


class Selection:
    """Keeps the worst features of every model and window between scrapes. Used by one thread.

    A feature that leaves the worst stays for one more window, so that series do not flap.
    """

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        self._ranked: dict[tuple[str, str], _Ranked] = {}
        self._seen: tuple[Verdict, ...] = ()
        self._result: dict[str, Chosen] = {}

    def choose(self, models: Sequence[ModelView]) -> dict[str, Chosen]:
        """Model name → what to export of its features, in all within `max_series`.

        The same object as last time when no verdict was replaced since: between two windows a
        scrape need not choose, or encode, again.
        """
        seen = tuple(verdict for model in models for verdict in model.latest.values())
        same = len(seen) == len(self._seen) and all(map(is_, seen, self._seen))
        if not same or {model.plan.name for model in models} != self._result.keys():
            self._result = self._choose(models)
            self._seen = seen
        return self._result

    def _choose(self, models: Sequence[ModelView]) -> dict[str, Chosen]:
        candidates: list[tuple[bool, int, str, str, int]] = []
        possible: dict[str, Chosen] = {}
        fresh: set[str] = set()
        for model in models:
            name = model.plan.name
            if self._refresh(model):
                fresh.add(name)
            chosen = possible[name] = self._possible(model)
            wanted = self._wanted(model, chosen)
            for rank, feature in enumerate(wanted):
                candidates.append(
                    (feature not in chosen.drifted, rank, name, feature, _cost(chosen, feature))
                )
        self._forget(possible)
        kept = _within(sorted(candidates), self._settings.max_series)
        result = {}
        for name, chosen in possible.items():
            features = kept.get(name, [])
            if name in fresh:
                total = sum(_cost(chosen, feature) for feature in chosen.features)
                shown = sum(_cost(chosen, feature) for feature in features)
                SERIES_SUPPRESSED_TOTAL.labels(name).inc(total - shown)
            result[name] = Chosen(features, chosen.drifted, chosen.windows)
        return result

    def _refresh(self, model: ModelView) -> bool:
        """Take in verdicts that were not there at the last scrape; whether there was one."""
        changed = False
        for window, verdict in model.latest.items():
            key = (model.plan.name, window)
            old = self._ranked.get(key)
            if old is not None and old.verdict is verdict:
                continue
            ranked = _Ranked(verdict, measure(model, window), self._worst(verdict))
            if old is not None:
                same = _identity(old.verdict) == _identity(verdict)
                ranked.before = old.before if same else old.worst
                changed = changed or not same
            else:
                changed = True
            self._ranked[key] = ranked
        return changed

    def _worst(self, verdict: Verdict) -> tuple[str, ...]:
        return tuple(dict.fromkeys(test.feature for test in verdict.tests))[: self._settings.top_k]

    def _possible(self, model: ModelView) -> Chosen:
        windows = {w: self._ranked[model.plan.name, w].measured for w in model.latest}
        features = dict.fromkeys(feature.name for feature in model.plan.features)
        for measured in windows.values():
            features.update(dict.fromkeys(measured))
        for verdict in model.latest.values():
            features.update(dict.fromkeys(test.feature for test in verdict.tests))
        return Chosen(tuple(features), frozenset(named(model)), windows)

    def _wanted(self, model: ModelView, chosen: Chosen) -> Iterable[str]:
        if self._settings.per_feature is PerFeature.NONE:
            return ()
        worst = dict.fromkeys(named(model))
        ranked = [self._ranked[model.plan.name, window] for window in model.latest]
        for features in ([one.worst for one in ranked], [one.before for one in ranked]):
            for rank in range(self._settings.top_k):
                worst.update(dict.fromkeys(names[rank] for names in features if rank < len(names)))
        if self._settings.per_feature is PerFeature.ALL:
            worst.update(dict.fromkeys(chosen.features))
        known = frozenset(chosen.features)
        return [feature for feature in worst if feature in known]

    def _forget(self, models: Mapping[str, Chosen]) -> None:
        for key in [key for key in self._ranked if key[0] not in models]:
            del self._ranked[key]


def named(model: ModelView) -> tuple[str, ...]:
    """Features that the latest drift verdicts of a model name, in segments alone too, largest x first."""
    drifting = [verdict for verdict in model.latest.values() if verdict.state is State.DRIFT]
    tests = [test for verdict in drifting for _, test in causes_of(verdict) if test.x > 1]
    return tuple(dict.fromkeys(test.feature for test in sorted(tests, key=lambda test: -test.x)))


def measure(model: ModelView, window: str) -> dict[str, Measured]:
    """What the latest window of this name says of each feature."""
    scores = model.latest[window].scores
    missing = _missing(model, model.windows.get(window))
    found = {}
    for feature in dict.fromkeys((*missing, *scores)):
        score = scores.get(feature, {})
        found[feature] = Measured(score.get("psi"), score.get("ks"), missing.get(feature), score.get("mmd"))
    return found


def _missing(model: ModelView, window: Window | None) -> dict[str, float]:
    """Feature → share of rows without it, from the counts; of a group without one of its members."""
    if window is None or model.reference is None or window.rows == 0:
        return {}
    features = model.reference.features
    start = np.cumsum([0, *(profile.slots for profile in features)])[:-1]
    if len(start) == 0 or start[-1] >= len(window.counts):
        return {}
    absent = window.counts[start + MISSING]
    groups = [i for i, profile in enumerate(features) if profile.members]
    absent[groups] += window.counts[start[groups] + NON_FINITE]  # a row is of use where all members are there
    shares = absent / window.rows
    return dict(zip((profile.name for profile in features), shares.tolist(), strict=True))


def _identity(verdict: Verdict) -> tuple[int, int, str]:
    return (verdict.end, verdict.revision, verdict.reference)


def _cost(chosen: Chosen, feature: str) -> int:
    return 1 + sum(len(measured[feature]) for measured in chosen.windows.values() if feature in measured)


def _within(candidates: Iterable[tuple[bool, int, str, str, int]], limit: int) -> dict[str, list[str]]:
    """Model → features, drifted ones first, then the worst of every model in turn."""
    kept: dict[str, list[str]] = {}
    spent = 0
    for _, _, model, feature, cost in candidates:
        if spent + cost > limit:
            break
        spent += cost
        kept.setdefault(model, []).append(feature)
    return kept
