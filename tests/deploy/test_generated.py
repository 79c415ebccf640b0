from __future__ import annotations

import importlib.util

import pytest
import yaml

from tests.deploy.render import CHART, CONFIGS

SPEC = importlib.util.spec_from_file_location("generate", CONFIGS / "generate.py")
GENERATE = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(GENERATE)
FILES = GENERATE.files()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(CONFIGS).as_posix())
def test_what_is_taken_from_elsewhere_is_current(path):
    """Chart and overlays have the rules, dashboards, schema and configurations of today."""
    assert path.is_file(), "write it with `make configs`"
    assert path.read_text() == FILES[path], "stale: write it with `make configs`"


def test_nothing_old_is_left():
    """What is no longer made is no longer there."""
    kept = {path for path in (CHART / "files").rglob("*") if path.is_file()}
    assert kept <= FILES.keys()


def test_the_rules_are_the_same_for_the_operator():
    """The PrometheusRule of the overlays holds the groups of rules.yml, no more and no less."""
    rule = yaml.safe_load((CONFIGS / "kustomize/components/monitoring/prometheusrule.yaml").read_text())
    assert rule["spec"] == yaml.safe_load((CONFIGS / "prometheus" / "rules.yml").read_text())
