"""What the page shows, computed before the template sees it: no arithmetic in HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from monitor.judge.catalogue import ESTIMATED
from monitor.plan import Kind
from monitor.verdict import State, Test, Verdict
from monitor.view import ModelView, View
from monitor.web import shape
from monitor.web.compared import beside_store
from monitor.web.performing import performing
from monitor.web.picture import Bar, counts_of
from monitor.web.registered import registry

FIGURES = 3
"""Features drawn large on a card; the first three causes explain nearly every incident."""
TESTS = 8
"""Rows of a card's table; all of them are at `/api/v1/models/<m>/features`."""
SEGMENTS = 12
"""Segments of a card's table; all of them are at `/api/v1/models/<m>`."""
STRIP = 48
"""Past windows in a strip: two days of hourly ones."""
INCIDENTS = 30
"""Incidents on the page; all that are kept are at `/api/v1/incidents`."""
NAMES = 10
"""Names under the bars of one figure; more would be cut to two letters each."""
X_FULL = 4.0
"""x at which a bar is full: four times the threshold; the bar says how near, the number how far."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Reference against window for one feature, as rectangles in a box of 100 × 100."""

    test: Test
    bars: tuple[tuple[Bar, Mapping[str, float]], ...]
    low: str
    high: str
    special: tuple[Bar, ...]
    names: tuple[str, ...] = ()
    """One under each bar; empty where the values are numbers or too many to be read."""


def board(view: View) -> dict[str, Any]:
    """The template's context."""
    cards = [
        _card(model) | {"registry": registry(model, view.registries.get(model.plan.name))}
        for model in shape.by_state(view.models)
    ]
    partitions = [_partition(one, view.now) for one in shape.partitions(view)]
    incidents = [_incident(body) for body in shape.incidents(view)]
    return {
        "view": view,
        "now": shape.moment(view.now),
        "uptime": (view.now - view.started) / 1000,
        "checkpoint_age": _age(view.checkpoint_last, view.now),
        "states": Counter(str(card["state"]) for card in cards),
        "cards": cards,
        "incidents": incidents[:INCIDENTS],
        "incidents_hidden": max(len(incidents) - INCIDENTS, 0),
        "incidents_open": sum(one["state"] == "firing" for one in incidents),
        "elsewhere": [shape.elsewhere(one) for one in view.elsewhere],
        "partitions": partitions,
        "lag": sum(one["lag"] or 0 for one in partitions),
        "arrival": _arrival(partitions),
        "falls_back": any(one["fallsBack"] for one in partitions),
        "paused": sum(bool(one["paused"]) for one in partitions),
        "pending": [(name, count) for name, count in sorted(view.outbox.items()) if count],
        "retrains": [_retrain(body) for body in shape.retrains(view)[:INCIDENTS]],
    }


def _age(moment: int, now: int) -> float | None:
    return max(now - moment, 0) / 1000 if moment >= 0 else None


def _arrival(partitions: Iterable[Mapping[str, Any]]) -> float | None:
    """Seconds until the last one has caught up; None where that is not known of one, or nothing is behind."""
    times = [one["caughtUpIn"] for one in partitions if one["lag"]]
    return None if not times or None in times else max(times)


def _partition(shaped: dict[str, Any], now: int) -> dict[str, Any]:
    return {**shaped, "state": "drift" if shaped["paused"] else "ok", "now": now}


def _card(model: ModelView) -> dict[str, Any]:
    verdict = shape.worst(model)
    shaped = shape.detail(model)
    tests = verdict.tests[:TESTS] if verdict else ()
    return {
        **shaped,
        "strips": [_strip(model, name, shaped["windows"].get(name)) for name in shaped["plan"]["windows"]],
        "figures": _figures(model, verdict) if verdict else (),
        "alarms": _alarms(model),
        "causes": _changes(verdict),
        "where": verdict.diagnosis.get("where", {}).get("text", "") if verdict else "",
        "parts": _parts(verdict),
        "commands": verdict.diagnosis.get("commands", ()) if verdict else (),
        "tests": [(test, min(test.x / X_FULL, 1.0) * 100) for test in tests],
        "tests_hidden": len(verdict.tests) - len(tests) if verdict else 0,
        "segments": _segments(verdict),
        "segments_hidden": max(len(verdict.segments) - SEGMENTS, 0) if verdict else 0,
        "beside": [shape.beside(one) for one in verdict.beside] if verdict else (),
        "compat": _compat(verdict),
        "estimate": _estimate(verdict),
        "performing": performing(model),
        "store": beside_store(model),
        "spent": _spent(shaped["budget"]),
        "proof": _proof(verdict),
    }


def _compat(verdict: Verdict | None) -> list[dict[str, Any]]:
    """Scores as other products have them, of the features that moved furthest."""
    if verdict is None:
        return []
    order = list(dict.fromkeys(test.feature for test in verdict.tests))
    return [
        {"product": product, "feature": feature, **own[feature]}
        for product, own in verdict.compat.items()
        for feature in [name for name in order if name in own][: shape.WORST]
    ]


def _estimate(verdict: Verdict | None) -> dict[str, Any]:
    """What is expected without labels: by the scores alone, and by segments of each column."""
    found = verdict.estimate if verdict is not None else {}
    if not found:
        return {}
    ways = {"scores alone": found["figures"]}
    ways |= {f"scores and {column}": own for column, own in found["segments"].items()}
    rows = [
        {"by": by, "figures": [(name, *own[name]) for name in ESTIMATED if name in own]}
        for by, own in ways.items()
    ]
    return {"assumes": found["assumes"], "threshold": found["threshold"], "rows": rows}


def _alarms(model: ModelView) -> list[dict[str, Any]]:
    """What looks found in windows that have not closed since."""
    closed = {name: verdict.end for name, verdict in model.latest.items()}
    still = (one for name, one in model.alarms.items() if one.end > closed.get(name, -1))
    return [{**shape.window(one), "changed": shape.moment(one.changed_from)} for one in still]


def _segments(verdict: Verdict | None) -> list[dict[str, Any]]:
    """Those that moved furthest first, then those that could not be judged; each with its worst test."""
    found = sorted(verdict.segments, key=lambda one: -one.statistic) if verdict else []
    return [
        {
            "segment": one.segment,
            "state": one.state,
            "rows": one.rows,
            "x": one.statistic,
            "width": min(one.statistic / X_FULL, 1.0) * 100,
            "worst": f"{one.tests[0].test}({one.tests[0].feature})" if one.tests else one.detail,
        }
        for one in found[:SEGMENTS]
    ]


def _parts(verdict: Verdict | None) -> Mapping[str, Any]:
    """Which segments carry the change and which do not; empty without segments."""
    found = verdict.diagnosis.get("segments") if verdict else None
    if not found or not found["guilty"]:
        return {}
    of = found["of"]
    return {
        "guilty": [one["segment"] for one in found["guilty"]],
        "innocent": found["innocent"],
        "hidden": of["innocent"] - len(found["innocent"]),
    }


def _changes(verdict: Verdict | None) -> list[Mapping[str, Any]]:
    """The features of the diagnosis whose kind of change is known, largest first."""
    causes = verdict.diagnosis.get("features", ()) if verdict else ()
    return [one for one in causes if "text" in one]


def _proof(verdict: Verdict | None) -> str:
    if verdict is None or verdict.proven:
        return ""
    return (
        f"Budget not proven: the reference has {verdict.reference_windows} windows of this size, "
        f"{verdict.windows_needed} are needed."
    )


def _spent(budget: Mapping[str, float]) -> float:
    """Width of the meter, 0–100."""
    return min(budget["sent"] / budget["pages"], 1.0) * 100 if budget["pages"] > 0 else 100.0


def _strip(model: ModelView, name: str, latest: Mapping[str, Any] | None) -> dict[str, Any]:
    """The last windows of one name as squares, oldest first."""
    newest = [kept for kept in model.history if kept.window == name][-STRIP:]
    squares = [{"state": str(kept.state), "end": shape.moment(kept.end)} for kept in newest]
    return {"name": name, "latest": latest, "squares": squares}


def _figures(model: ModelView, verdict: Verdict) -> tuple[Figure, ...]:
    """The features that explain a window that is not ok; one figure each."""
    if verdict.state not in {State.DRIFT, State.WARN}:
        return ()
    first: dict[str, Test] = {}
    for test in verdict.tests:
        if test.x > 1:
            first.setdefault(test.feature, test)
    figures = []
    for feature, test in list(first.items())[:FIGURES]:
        counts = counts_of(model, feature, verdict.window)
        if counts is not None and len(counts.window):
            figures.append(_figure(test, counts.bars(), named=counts.profile.kind is not Kind.NUMERIC))
    return tuple(figures)


def _figure(test: Test, bars: tuple[Bar, ...], *, named: bool) -> Figure:
    top = max((share for bar in bars for share in (bar.reference, bar.window)), default=0.0) or 1.0
    width = 100 / max(len(bars), 1)
    drawn = tuple((bar, _rectangle(bar, index * width, width, top)) for index, bar in enumerate(bars))
    values = [bar.label for bar in bars if not bar.special]
    return Figure(
        test=test,
        bars=drawn,
        low=values[0].split(" to ")[0] if values else "",
        high=values[-1].split(" to ")[-1] if values else "",
        special=tuple(bar for bar in bars if bar.special),
        names=tuple(bar.label for bar in bars) if named and len(bars) <= NAMES else (),
    )


def _rectangle(bar: Bar, left: float, width: float, top: float) -> Mapping[str, float]:
    """Where the two bars stand: the reference fills its place, the window is narrower, in front."""
    before, after = 100 * bar.reference / top, 100 * bar.window / top
    return {
        "x": round(left + 0.04 * width, 3),
        "width": round(0.92 * width, 3),
        "y": round(100 - before, 2),
        "height": round(before, 2),
        "x2": round(left + 0.27 * width, 3),
        "width2": round(0.46 * width, 3),
        "y2": round(100 - after, 2),
        "height2": round(after, 2),
        "middle": round(left + width / 2, 3),
    }


def _incident(body: Mapping[str, Any]) -> dict[str, Any]:
    """An incident body of the ledger; an older driftline's may lack what is shown."""
    evidence = body.get("evidence") or {}
    window = evidence.get("window") or {}
    return {
        "id": str(body.get("id", "")),
        "model": str(body.get("model", "")),
        "segment": str(body.get("segment", "")),
        "rule": str(body.get("rule", "drift")),
        "severity": str(body.get("severity", "")),
        "state": str(body.get("state", "")),
        "cause": str(body.get("cause", "")),
        "causes": [str(one) for one in body.get("causes", ())],
        "onset": shape.moment(_whole(body.get("onset"))),
        "opened": shape.moment(_whole(body.get("opened"))),
        "early": bool(body.get("early")),
        "last": shape.moment(_whole(body.get("last"))),
        "window": str(window.get("name", body.get("window", ""))),
        "closed_because": str(body.get("closed_because", "")),
        "acked_by": str(body.get("acked_by", "")),
        "detail": str(evidence.get("detail", "")),
        "rows": evidence.get("rows"),
        "offsets": _offsets(evidence.get("since") or evidence.get("offsets") or {}),
        "diagnosis": [one for one in _diagnosis(evidence)["causes"] if "text" in one],
        "where": str(_diagnosis(evidence)["where"]),
        "commands": _diagnosis(evidence)["commands"],
    }


def _diagnosis(evidence: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"causes": (), "commands": (), "where": "", **(evidence.get("diagnosis") or {})}


def _retrain(body: Mapping[str, Any]) -> dict[str, Any]:
    shown = {key: str(body.get(key, "")) for key in ("id", "model", "state", "target", "cause", "decided_by")}
    run = (body.get("outcome") or {}).get("run") or {}
    return {
        **shown,
        "created": shape.moment(_whole(body.get("created"))),
        "run": str(run.get("state") or run.get("id", "")),
        "run_url": str(run.get("url", "")),
    }


def _whole(value: object) -> int:
    return value if isinstance(value, int) else -1


def _offsets(offsets: Mapping[str, Any]) -> list[dict[str, Any]]:
    """ "predictions/0": [first, last] → what `kcat -t … -p … -o … -c …` wants."""
    return [_offset(source, span) for source, span in offsets.items()]


def _offset(source: str, span: Iterable[int]) -> dict[str, Any]:
    topic, _, partition = source.rpartition("/")
    first, last = span
    return {
        "topic": topic,
        "partition": partition,
        "first": first,
        "last": last,
        "count": last - first + 1,
    }
