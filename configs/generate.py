"""Writes what the chart and the overlays take from elsewhere: neither Helm nor Kustomize reads outside its folder.

`make configs` runs it, a test compares. Never edit what it writes:

    configs/helm/driftline/files/                  rules and dashboards, as they are
    configs/helm/driftline/values.schema.json      values.schema.in.yaml and the schema of the configuration
    configs/kustomize/base/base.yaml               environments/base.yaml
    configs/kustomize/overlays/E/environment.yaml  environments/E.yaml
    configs/kustomize/components/…                 a PrometheusRule of the rules; dashboards as they are
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

CONFIGS = Path(__file__).parent
CHART = CONFIGS / "helm" / "driftline"
KUSTOMIZE = CONFIGS / "kustomize"
ENVIRONMENTS = ("dev", "staging", "prod")
MODELINE = re.compile(r"\A# yaml-language-server: .*\n")
RULE = """\
# The rules of configs/prometheus/rules.yml as prometheus-operator takes them; written by `make configs`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: driftline
spec:
"""


def files() -> dict[Path, str]:
    """Path → text of every file that is made from others."""
    rules = (CONFIGS / "prometheus" / "rules.yml").read_text()
    found = {
        CHART / "files" / "rules.yml": rules,
        CHART / "values.schema.json": json.dumps(_values_schema(), indent=2, ensure_ascii=False) + "\n",
        KUSTOMIZE / "components" / "monitoring" / "prometheusrule.yaml": RULE + _groups(rules),
        KUSTOMIZE / "base" / "base.yaml": _layer("base"),
    }
    for name in ENVIRONMENTS:
        found[KUSTOMIZE / "overlays" / name / "environment.yaml"] = _layer(name)
    for path in sorted((CONFIGS / "grafana" / "dashboards").glob("*.json")):
        found[CHART / "files" / "dashboards" / path.name] = path.read_text()
        found[KUSTOMIZE / "components" / "dashboards" / path.name] = path.read_text()
    return found


def _layer(name: str) -> str:
    """A configuration file as it lies in a ConfigMap."""
    text = MODELINE.sub("", (CONFIGS / "environments" / f"{name}.yaml").read_text())
    return f"# configs/environments/{name}.yaml; written by `make configs`.\n{text}"


def _groups(rules: str) -> str:
    """The groups without the comment above them, two spaces further in."""
    text = rules[re.search(r"^groups:", rules, re.MULTILINE).start() :]
    return re.sub(r"^(?=.)", "  ", text, flags=re.MULTILINE)


def _values_schema() -> dict[str, Any]:
    """The values' own schema; `config` is the configuration, of which files and a Secret may hold any part."""
    schema = yaml.safe_load((CONFIGS / "helm" / "values.schema.in.yaml").read_text())
    config = json.loads((CONFIGS / "schema" / "driftline.schema.json").read_text())
    config.pop("$schema")
    config.pop("required")
    definitions = config.pop("$defs")
    schema["properties"]["config"] = _partial(config)
    schema["$defs"] |= {name: _partial(definition) for name, definition in definitions.items()}
    return schema


def _partial(schema: Any) -> Any:
    """Without examples, and without asking for what another layer may have."""
    if isinstance(schema, list):
        return [_partial(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _partial(one) for name, one in part.items()} if key == "properties" else _partial(part)
        for key, part in schema.items()
        if key not in {"examples", "title", "required", "minProperties"}
    }


def main() -> None:
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
