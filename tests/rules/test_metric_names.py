from __future__ import annotations

import re
from collections.abc import Iterator

from monitor.metrics import CATALOGUE
from tests.rules.tree import ROOT, committed, report

NAME = re.compile(r"(?<![\w:./-])driftline_[a-z0-9_]+\b")
RECORDED = re.compile(r"record:\s*['\"]?([\w:]+)")
OUTSIDE = ("configs/prometheus/", "configs/grafana/", "configs/runbooks/")


def mentions() -> Iterator[tuple[str, int, str]]:
    """(file, line, metric) wherever somebody queries or explains one."""
    files = [path for path in committed() if path.relative_to(ROOT).as_posix().startswith(OUTSIDE)]
    texts = {
        path: path.read_text(encoding="utf-8")
        for path in files
        if path.suffix in {".yml", ".yaml", ".json", ".md"}
    }
    recorded = {name for text in texts.values() for name in RECORDED.findall(text)}
    for path, text in texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            for name in NAME.findall(line):
                if name not in recorded:
                    yield path.relative_to(ROOT).as_posix(), number, name


def test_dashboards_and_rules_use_metrics_that_exist() -> None:
    """Every driftline_ name in a rule, dashboard or runbook is in the catalogue of `monitor.metrics`."""
    families = {name.removesuffix("_bucket") for name in CATALOGUE}  # prose may name a histogram as a whole
    breaches = [
        f"{path}:{line}: {name}"
        for path, line, name in mentions()
        if name not in CATALOGUE and not (path.endswith(".md") and name in families)
    ]
    report(breaches, "metrics that nothing exports")
