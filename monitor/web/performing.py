"""How well a model does, as the page draws it: no arithmetic in HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from monitor.labels.figures import Basis
from monitor.labels.provisional import ASSUMES, Provisional
from monitor.labels.reconcile import SCORES, worth
from monitor.labels.steps import quantiles
from monitor.labels.versions import left_out, recorded
from monitor.verdict import Verdict
from monitor.view import ModelView
from monitor.web.figures import class_of
from monitor.web.shape import moment

DRAWN = {
    "score": ("auc", "accuracy", "f1"),
    "class": ("accuracy", "macro_f1", "macro_recall"),
    "number": ("mae", "rmse", "bias"),
}
"""Figures that are drawn over time, by kind of prediction; the API has all."""
LONGEST = 48
"""Measured windows in a drawing: two days of hourly ones."""
MEANWHILE = 4
"""Windows that wait for labels in the table."""
SEGMENTS = 8


@dataclass(frozen=True, slots=True)
class Course:
    """One figure over time, in a box of 100 × 100, the best at no particular side."""

    figure: str
    value: float | None
    low: float | None
    high: float | None
    band: str
    """Points of the polygon between the bounds."""
    line: str
    expected: str
    """Points of what was estimated without labels; "" where nothing was."""
    ticks: tuple[tuple[float, float, float, str], ...]
    """x, y of the upper and of the lower end, and a text: windows whose labels have not all come, by weights."""
    top: float
    bottom: float


def performing(model: ModelView) -> list[dict[str, Any]]:
    """One for each window name that was measured or waits for labels."""
    names = [spec.name for spec in model.plan.windows]
    return [one for name in names if (one := _family(model, name))]


def _family(model: ModelView, name: str) -> dict[str, Any] | None:
    history = [one for one in model.performance.get(name, ()) if one.scores.get("")][-LONGEST:]
    waiting = model.provisional.get(name, ())
    if model.plan.join is None or not (history or waiting):
        return None
    newest = history[-1] if history else None
    whole = newest.scores[""] if newest else {}
    return {
        "name": name,
        "detail": newest.detail if newest else "No window has all of its labels yet.",
        "end": moment(newest.end) if newest else None,
        "coverage": whole.get("label_coverage"),
        "courses": _courses(model, history, waiting),
        "since": moment(history[0].end) if history else None,
        "parts": _parts(newest, DRAWN[model.plan.join.kind]),
        "estimates": _estimates(model, name, newest),
        "waiting": [_waiting(one, DRAWN[model.plan.join.kind]) for one in waiting[::-1][:MEANWHILE]],
        "waiting_hidden": max(len(waiting) - MEANWHILE, 0),
        "assumes": ASSUMES,
        "delays": _delays(model),
    }


def one_kind(model: ModelView) -> str:
    """Of the predictions: score, class or number."""
    assert model.plan.join is not None
    return model.plan.join.kind


def _courses(
    model: ModelView, history: Sequence[Verdict], waiting: Sequence[Provisional]
) -> tuple[Course, ...]:
    weighted = [one for one in waiting if one.basis is Basis.WEIGHTED]
    drawn = [_course(figure, history, weighted) for figure in DRAWN[one_kind(model)]]
    return tuple(one for one in drawn if one is not None)


def _course(figure: str, history: Sequence[Verdict], waiting: Sequence[Provisional]) -> Course | None:
    known = [one for one in history if figure in one.scores[""]]
    coming = [one for one in waiting if figure in one.figures]
    if not known and not coming:
        return None
    values = [one.scores[""] for one in known]
    expected = [(at, one.estimate["figures"][figure][0]) for at, one in enumerate(known) if _has(one, figure)]
    shown = [row[name] for row in values for name in (figure, f"{figure}_low", f"{figure}_high")]
    shown += [value for _, value in expected]
    shown += [value for one in coming for value in one.figures[figure]]
    top, bottom = _span(shown)
    wide = max(len(known) + len(coming) - 1, 1)

    def point(at: int, value: float) -> tuple[float, float]:
        own = min(max(value, bottom), top)
        return round(100 * at / wide, 2), round(100 * (top - own) / (top - bottom), 2)

    upper = [point(at, row[f"{figure}_high"]) for at, row in enumerate(values)]
    lower = [point(at, row[f"{figure}_low"]) for at, row in enumerate(values)]
    ticks = []
    for at, one in enumerate(coming, len(known)):
        own = one.figures[figure]
        x, y = point(at, own.high)
        ticks.append((x, y, point(at, own.low)[1], f"{moment(one.end)}: {own.value:.4g} by weights"))
    return Course(
        figure=figure,
        value=values[-1][figure] if values else None,
        low=values[-1][f"{figure}_low"] if values else None,
        high=values[-1][f"{figure}_high"] if values else None,
        band=_points([*upper, *reversed(lower)]),
        line=_points(point(at, row[figure]) for at, row in enumerate(values)),
        expected=_points(point(at, value) for at, value in expected),
        ticks=tuple(ticks),
        top=top,
        bottom=bottom,
    )


def _has(one: Verdict, figure: str) -> bool:
    return bool(one.estimate) and figure in one.estimate["figures"]


def _span(values: Iterable[float]) -> tuple[float, float]:
    """The largest and the smallest that is finite, a twentieth apart from the edge."""
    finite = [value for value in values if isfinite(value)] or [0.0]
    top, bottom = max(finite), min(finite)
    pad = (top - bottom) / 20 or 0.01
    return top + pad, bottom - pad


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _parts(newest: Verdict | None, drawn: Sequence[str]) -> list[dict[str, Any]]:
    """What the newest measured window is made of: segments, and versions of the model where there are several."""
    if newest is None:
        return []
    segments = {name: own for name, own in newest.scores.items() if name}
    versions = recorded(newest) if len(newest.versions) > 1 else {}
    found = [
        {"kind": "segment", "anchor": "labelled", "rows": _rows(segments, drawn), "hidden": 0},
        {"kind": "version", "anchor": "rollout", "rows": _rows(versions, drawn), "hidden": left_out(newest)},
    ]
    return [one for one in found if one["rows"]]


def _rows(parts: Mapping[str, Mapping[str, float]], drawn: Sequence[str]) -> list[dict[str, Any]]:
    """Those with most labels, with the first figure that they have."""
    ranked = sorted(parts, key=lambda name: (-parts[name].get("labels", 0.0), name))
    found = []
    for name in ranked[:SEGMENTS]:
        own = parts[name]
        figure = next((one for one in drawn if one in own), None)
        if figure is not None:
            bounds = own[figure], own[f"{figure}_low"], own[f"{figure}_high"]
            found.append({"name": name, "labels": own.get("labels", 0.0), "figure": figure, "bounds": bounds})
    return found


def _estimates(model: ModelView, name: str, newest: Verdict | None) -> list[dict[str, Any]]:
    """What was estimated of the newest measured window, what was measured, and how far apart these are in a week."""
    if newest is None:
        return []
    errors = worth(model.performance[name])
    return [
        {
            "by": "scores alone" if way == SCORES else f"scores and {way}",
            "figure": figure,
            "measured": newest.scores[""].get(figure),
            "estimated": _estimated(newest, way).get(figure, (None,))[0],
            **own._asdict(),
        }
        for way, found in errors.items()
        for figure, own in found.items()
        if figure in {"auc", "accuracy", "f1"}
    ]


def _estimated(one: Verdict, way: str) -> dict[str, Sequence[float]]:
    if not one.estimate:
        return {}
    found = one.estimate["figures"] if way == SCORES else one.estimate["segments"].get(way, {})
    return dict(found)


def _waiting(one: Provisional, drawn: Sequence[str]) -> dict[str, Any]:
    figure = next((name for name in drawn if name in one.figures), "")
    return {
        "end": moment(one.end),
        "predictions": one.predictions,
        "coverage": one.labelled / one.predictions if one.predictions else None,
        "expected": one.expected,
        "basis": str(one.basis),
        "figure": figure,
        "bounds": one.figures[figure] if figure else None,
        "early": one.early[figure].value if figure in one.early else None,
    }


def _delays(model: ModelView) -> list[dict[str, Any]]:
    """Seconds after which half, nine in ten and nearly all labels had come, of all and of each class."""
    if model.delays is None:
        return []
    return [
        {"label": "all" if name == "" else class_of(model, name), "seconds": [value / 1000 for value in own]}
        for name, own in quantiles(model.delays).items()
    ]
