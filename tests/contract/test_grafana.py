from __future__ import annotations

import importlib.util
import json
import re

import pytest
import yaml

from monitor.metrics import CATALOGUE
from tests.contract.conftest import CONFIGS

DIRECTORY = CONFIGS / "grafana"
FILE = DIRECTORY / "dashboards" / "driftline.json"
DASHBOARD = json.loads(FILE.read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
NAME = re.compile(r"driftline_[a-z0-9_]+")
SELECTOR = re.compile(r"(driftline_[a-z0-9_]+)\{([^}]*)\}")

VALUES = {"$__rate_interval": "1m", "$__range": "1h", "$__interval": "15s"}
ALL = {"job": ".+", "instance": ".+", "model": ".*", "window": ".*", "feature": ".*"}

EMPTY = {
    *("Records rejected", "Distance of vectors", "Segments", "Labels", "Error of estimates"),
    *("Performance, by labels", "Performance, before labels are in"),
}
"""Panels that show nothing while all is well, as their queries end in a comparison, or for models without vectors,
segments or labels."""


def filled(expr: str) -> str:
    """The query as Grafana sends it with All selected."""
    for name, text in VALUES.items():
        expr = expr.replace(name, text)
    for name, text in ALL.items():
        expr = expr.replace(f"${name}", text)
    assert "$" not in expr, expr
    return expr


def variable(name: str) -> dict:
    return next(one for one in DASHBOARD["templating"]["list"] if one["name"] == name)


def test_the_json_is_what_the_script_writes(monkeypatch):
    """The committed dashboard is the generated one: run `python configs/grafana/generate.py` after a change."""
    monkeypatch.syspath_prepend(DIRECTORY)  # the script finds what lies beside it
    spec = importlib.util.spec_from_file_location("generate", DIRECTORY / "generate.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert FILE.read_text(encoding="utf-8") == script.render()


def test_it_can_be_provisioned_everywhere():
    """Classic model, fixed uid, no id, not editable, shared crosshair."""
    assert DASHBOARD["uid"] == "driftline"
    assert DASHBOARD["id"] is None
    assert DASHBOARD["editable"] is False
    assert 39 <= DASHBOARD["schemaVersion"] <= 42
    assert DASHBOARD["graphTooltip"] == 1


def test_variables_are_those_the_linter_wants():
    """A templated data source, then job and instance as multi-value variables that reload with the time range."""
    names = [one["name"] for one in DASHBOARD["templating"]["list"]]
    assert names == ["datasource", "job", "instance", "model", "window", "feature"]
    assert (variable("datasource")["type"], variable("datasource")["query"]) == ("datasource", "prometheus")
    for name in names[1:]:
        one = variable(name)
        assert one["datasource"]["uid"] == "${datasource}"
        assert one["refresh"] == 2
        assert one["multi"]
        assert one["includeAll"]
        assert re.fullmatch(rf"label_values\(driftline_\w+(\{{.*\}})?, {name}\)", one["definition"])
    assert {variable(name)["allValue"] for name in ("job", "instance")} == {".+"}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panels_are_those_the_linter_wants(panel):
    """Each panel has a title, a description, a unit, the templated data source and a query."""
    assert panel["title"]
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"]["uid"] == "${datasource}"
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["datasource"]["uid"] == "${datasource}"
        assert target["expr"].strip()
        assert target["legendFormat"]


@pytest.mark.parametrize(("title", "expr"), QUERIES)
def test_queries_are_those_the_linter_wants(title, expr):
    """Every selector matches job and instance; rate takes $__rate_interval; counters are never shown raw."""
    selectors = SELECTOR.findall(expr)
    assert len(selectors) == len(NAME.findall(expr)), "a selector without matchers"
    for name, matchers in selectors:
        assert 'job=~"$job"' in matchers
        assert 'instance=~"$instance"' in matchers
        used = {match.split("=")[0].strip() for match in matchers.split(",")}
        assert used <= {*CATALOGUE[name], "job", "instance"}
        if name.endswith(("_total", "_bucket", "_count", "_sum")):
            assert re.search(rf"(rate|increase)\({name}\{{[^}}]*\}}\[\$__\w+\]", expr)
    for name, span in re.findall(r"\b(i?rate)\([^[]*\[([^\]]*)\]", expr):
        assert span == "$__rate_interval", name


def test_panels_do_not_overlap():
    """Every cell of the grid belongs to one panel at most, and ids are unique."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("title", "expr"), QUERIES)
def test_every_query_runs_on_scraped_series(prometheus, title, expr):
    """A real Prometheus takes each query, and all but those of trouble return series."""
    rows = prometheus.query(filled(expr))
    assert rows or filled(expr).endswith(("> 0", "== 1")) or title in EMPTY


def test_variables_find_values(prometheus):
    """Each variable's label has values in the scraped series."""
    for name in ("job", "instance", "model", "window", "feature"):
        metric, _, matchers = variable(name)["definition"].removeprefix("label_values(").partition("{")
        series = metric.split(",")[0]
        assert prometheus.get(f"label/{name}/values", **{"match[]": series}), (name, matchers)


def test_the_annotation_runs(prometheus):
    """The query of the annotation is valid."""
    for one in DASHBOARD["annotations"]["list"]:
        prometheus.query(filled(one["expr"]))


def test_provisioning_points_at_the_dashboard():
    """The provider is not editable, and the data source is the one compose starts."""
    provider = yaml.safe_load((DIRECTORY / "provisioning" / "dashboards" / "driftline.yml").read_text())
    (one,) = provider["providers"]
    assert (one["type"], one["allowUiUpdates"]) == ("file", False)
    source = yaml.safe_load((DIRECTORY / "provisioning" / "datasources" / "prometheus.yml").read_text())
    assert source["datasources"][0]["type"] == "prometheus"
