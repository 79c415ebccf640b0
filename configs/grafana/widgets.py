"""The panels that the dashboard is made of, and where they stand."""

from __future__ import annotations

from typing import Any

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
GREEN, AMBER, RED, GREY = "green", "orange", "red", "text"


def target(expr: str, legend: str, *, instant: bool = False) -> dict[str, Any]:
    """One query."""
    return {
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": expr,
        "format": "table" if instant and not legend else "time_series",
        "instant": instant,
        "legendFormat": legend or "__auto",
        "range": not instant,
    }


def steps(*pairs: tuple[float | None, str]) -> dict[str, Any]:
    """Colours from values upwards; the first value is None."""
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in pairs]}


def panel(kind: str, title: str, text: str, targets: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A panel without a place; `unit` and `thresholds` go where Grafana wants them."""
    defaults: dict[str, Any] = {
        "unit": more.pop("unit", "none"),
        "thresholds": more.pop("thresholds", steps((None, GREEN))),
        "mappings": more.pop("mappings", []),
        "color": {"mode": "thresholds" if kind in {"stat", "gauge"} else "palette-classic"},
        "custom": more.pop("custom", {}),
    }
    for key in ("min", "max", "decimals", "noValue"):
        if key in more:
            defaults[key] = more.pop(key)
    return {
        "type": kind,
        "title": title,
        "description": text,
        "datasource": SOURCE,
        "targets": [{**one, "refId": chr(ord("A") + index)} for index, one in enumerate(targets)],
        "fieldConfig": {"defaults": defaults, "overrides": more.pop("overrides", [])},
        "options": more.pop("options", {}),
        **more,
    }


def stat(title: str, text: str, expr: str, **more: Any) -> dict[str, Any]:
    options = {
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "auto",
    }
    return panel("stat", title, text, [target(expr, title)], options=options, **more)


def lines(title: str, text: str, *queries: tuple[str, str], **more: Any) -> dict[str, Any]:
    custom = {
        "lineWidth": 1,
        "fillOpacity": 8,
        "showPoints": "never",
        "spanNulls": True,
        **more.pop("custom", {}),
    }
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel(
        "timeseries", title, text, [target(expr, legend) for expr, legend in queries],
        custom=custom, options=options, **more,
    )  # fmt: skip


def states(title: str, text: str, expr: str, legend: str) -> dict[str, Any]:
    """A row per series, red while it is 1."""
    mapping = {
        "type": "value",
        "options": {"0": {"text": "ok", "color": GREEN}, "1": {"text": "drift", "color": RED}},
    }
    return panel(
        "state-timeline", title, text, [target(expr, legend)],
        mappings=[mapping],
        custom={"fillOpacity": 80, "lineWidth": 0},
        options={"mergeValues": True, "rowHeight": 0.8, "showValue": "never", "legend": {"showLegend": False}},
    )  # fmt: skip


def place(rows: list[tuple[str, list[tuple[int, int, dict[str, Any]]]]]) -> list[dict[str, Any]]:
    """Panels left to right under a row of their own, 24 columns wide."""
    placed: list[dict[str, Any]] = []
    y = 0
    for title, items in rows:
        placed.append(
            {
                "type": "row",
                "title": title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": y, "w": 24, "h": 1},
            }
        )
        y += 1
        x = tallest = 0
        for width, height, one in items:
            if x + width > 24:
                x, y, tallest = 0, y + tallest, 0
            placed.append({**one, "gridPos": {"x": x, "y": y, "w": width, "h": height}})
            x, tallest = x + width, max(tallest, height)
        y += tallest
    return [{**one, "id": index} for index, one in enumerate(placed, 1)]
