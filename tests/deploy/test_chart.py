from __future__ import annotations

import json
import re

import pytest
import yaml
from jsonschema import Draft202012Validator

from monitor.version import read_version
from tests.deploy.render import CHART, ENVIRONMENTS, EXAMPLES, ROOT, chart_arguments, run, template

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
TEMPLATES = sorted(path for path in (CHART / "templates").rglob("*") if path.is_file())
MINIMAL = ("--values", CHART / "ci" / "minimal-values.yaml")


def paths(values, *, before=""):
    """Dotted names of the values that a person sets; what is a map of their own is one value."""
    whole = {"config", "resources", "podSecurityContext", "securityContext"}
    for name, value in values.items():
        nested = isinstance(value, dict) and value and name not in whole and not name.endswith("Probe")
        if nested:
            yield from paths(value, before=f"{before}{name}.")
        else:
            yield f"{before}{name}"


def test_every_value_is_documented():
    """A comment that begins with the name of the value says what it does; none speaks of what is not there."""
    text = (CHART / "values.yaml").read_text()
    documented = re.findall(r"^# ([\w.]+) -- \S", text, re.MULTILINE)
    assert sorted(documented) == sorted(paths(VALUES))
    assert len(documented) == len(set(documented))


def test_every_value_is_used():
    """No value is a promise that no template keeps."""
    text = "".join(path.read_text() for path in TEMPLATES)
    for path in paths(VALUES):
        assert re.search(rf"\.{path.split('.')[-1]}\b", text) or path.endswith("Probe"), path


def test_the_schema_knows_every_value():
    """The defaults fit the schema, each is in it, and nothing else is allowed."""
    Draft202012Validator.check_schema(SCHEMA)
    assert not list(Draft202012Validator(SCHEMA).iter_errors(VALUES))
    assert set(SCHEMA["properties"]) == set(VALUES) | {"global"}
    assert SCHEMA["additionalProperties"] is False


def test_the_version_is_that_of_the_package():
    """Chart and application have the version of pyproject.toml, as image tags do."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == read_version()


def test_templates_leave_the_namespace_to_the_release():
    """No template names one; one resource stands in each file, and each named template is the chart's own."""
    for path in TEMPLATES:
        text = path.read_text()
        assert not re.search(r"^\s*namespace:", text, re.MULTILINE), path.name
        assert len(re.findall(r"^kind:", text, re.MULTILINE)) <= 1, path.name
        for name in re.findall(r'define "([^"]+)"', text):
            assert name.startswith("driftline."), name
        assert re.fullmatch(r"[a-z_]+(-[a-z]+)*\.(yaml|tpl)|NOTES\.txt", path.name), path.name


@pytest.mark.parametrize("name", [*EXAMPLES, *ENVIRONMENTS])
def test_helm_finds_nothing_to_say(programs, name):
    """`helm lint --strict` passes for every example and environment."""
    done = run("helm", "lint", "--strict", CHART, *chart_arguments(name))
    assert done.returncode == 0, done.stdout + done.stderr


REFUSED = {
    "no configuration": ([], ("no broker - config.kafka.brokers", "no source", "no model")),
    "a misspelt setting": ([*MINIMAL, "--set", "config.kafka.grup=x"], ("'grup' not allowed",)),
    "a misspelt value": ([*MINIMAL, "--set", "web.prot=1"], ("'prot' not allowed",)),
    "a moving tag": ([*MINIMAL, "--set", "image.tag=latest"], ("/image/tag",)),
    "too many pods": ([*MINIMAL, "--set", "replicas=13"], ("more pods than the 12 partitions - replicas",)),
    "KEDA beyond the partitions": (
        [*MINIMAL, "--set", "keda.enabled=true,keda.maxReplicas=13"],
        ("more pods than the 12 partitions - keda.maxReplicas",),
    ),
    "KEDA that falls back to more than it may": (
        [*MINIMAL, "--set", "keda.enabled=true,keda.maxReplicas=2,keda.minReplicas=3"],
        (
            "above keda.maxReplicas - keda.fallbackReplicas - at most 2",
            "above keda.maxReplicas - keda.minReplicas - at most 2",
        ),
    ),
    "KEDA without a bound": ([*MINIMAL, "--set", "keda.maxReplicas=null"], ("'/keda'", "'maxReplicas'")),
    "no port to Kafka": ([*MINIMAL, "--set", "networkPolicy.kafkaPorts=null"], ("'/networkPolicy'", "'kafkaPorts'")),
    "no service": ([*MINIMAL, "--set", "service=null"], ("missing property 'service'",)),
    "KEDA that would stop everything": ([*MINIMAL, "--set", "keda.minReplicas=0"], ("/keda/minReplicas",)),
    "local state without a volume": (
        [*MINIMAL, "--set", "config.state.log=local"],
        ("local state would go with the pod - config.state.log",),
    ),
    "two pods on local state": (
        [*MINIMAL, "--set", "config.state.log=local,persistence.enabled=true"],
        ("local state is one process, not 2 - replicas",),
    ),
    "a volume for nothing": ([*MINIMAL, "--set", "persistence.enabled=true"], ("nothing is kept on",)),
    "a grace period that cuts the stop": (
        [*MINIMAL, "--set", "terminationGracePeriodSeconds=20"],
        ("/terminationGracePeriodSeconds",),
    ),
    "one member for all pods": (
        [*MINIMAL, "--set", r"config.kafka.properties.group\.instance\.id=me"],
        ("pods would shut each other out as me - config.kafka.properties.group.instance.id",),
    ),
    "a file that is the chart's own": ([*MINIMAL, "--set", "configFiles.pod=a: b"], ("at '/configFiles/pod'",)),
    "a file with another name": ([*MINIMAL, "--set", "configFiles.A=a: b"], ("at '/configFiles'", "'A' not allowed")),
    "a variable that is the chart's own": ([*MINIMAL, "--set", "env.POD_NAME=a"], ("at '/env/POD_NAME'",)),
    "a secret whose name is no file's": (
        [*MINIMAL, "--set-json", 'secretFiles={"a/b":{"secret":"s","key":"k"}}'],
        ("at '/secretFiles'", "'a/b' not allowed"),
    ),
    "two configurations": (
        ["--set", "configExistingSecretName=a,configFiles.b=c: d"],
        ("two configurations - configFiles",),
    ),
    "a file that is no YAML": ([*MINIMAL, "--set", "configFiles.b=a: [" ], ("configFiles.b - YAML",)),
    "a topic that KEDA cannot read": (
        [*MINIMAL, "--set", "keda.enabled=true,config.sources.predictions.topic=${env:TOPIC}"],
        ("what KEDA cannot read - config.kafka.group, or topic or start of source predictions - keda.triggers",),
    ),
    "brokers that KEDA cannot read": (
        [*MINIMAL, "--set", "keda.enabled=true", "--set-json", 'config.kafka.brokers=["${env:B}"]'],
        ("brokers that KEDA cannot read - config.kafka.brokers is ${env:B}",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused_by_helm(programs, name):
    """What would fail in the cluster fails before, and the text says what would be right."""
    arguments, texts = REFUSED[name]
    done = template(*arguments)
    assert done.returncode != 0
    for text in texts:
        assert text in done.stderr


def test_defaults_can_be_taken_away(programs):
    """`null` removes a default of the configuration, and large whole numbers stay whole for driftline."""
    done = template(*MINIMAL, "--set", "config.log=null,config.metrics.max_series=5000000")
    assert done.returncode == 0, done.stderr
    (text,) = (
        one["data"]["driftline.yaml"]
        for one in yaml.safe_load_all(done.stdout)
        if one and one["kind"] == "ConfigMap"
    )
    assert "log:\n  format" not in text
    assert float(yaml.safe_load(text)["metrics"]["max_series"]) == 5_000_000


OPTIONAL = {
    "keda": ("ScaledObject", "keda.enabled=true"),
    "networkPolicy": ("NetworkPolicy", "networkPolicy.enabled=true"),
    "podDisruptionBudget": ("PodDisruptionBudget", "podDisruptionBudget.enabled=true"),
    "podMonitor": ("PodMonitor", "podMonitor.enabled=true"),
    "prometheusRule": ("PrometheusRule", "prometheusRule.enabled=true"),
    "grafana": ("ConfigMap", "grafana.dashboards.enabled=true"),
    "persistence": ("StatefulSet", "staticMembership=true"),
}


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_part_that_is_null_is_off(programs, name):
    """Whoever sets a part that can be left out to null gets the chart without it."""
    kind, on = OPTIONAL[name]
    off = {"persistence": "persistence.enabled=false", "grafana": "grafana.dashboards.enabled=false"}
    with_null = template(*MINIMAL, "--set", f"{name}=null")
    assert with_null.returncode == 0, with_null.stderr
    assert with_null.stdout == template(*MINIMAL, "--set", off.get(name, f"{name}.enabled=false")).stdout
    assert f"kind: {kind}\n" in template(*MINIMAL, "--set", on).stdout


VALUES_OF_PARTS = sorted(path for path in paths(VALUES) if "." in path)


@pytest.mark.parametrize("path", VALUES_OF_PARTS)
def test_a_value_that_is_null_is_left_out_or_refused_by_name(programs, path):
    """No bare error of a template, and no document without what it needs."""
    done = template(*MINIMAL, "--set", f"{path}=null")
    section, _, name = path.rpartition(".")
    if done.returncode:
        assert f"'/{section.replace('.', '/')}'" in done.stderr
        assert f"missing property '{name}'" in done.stderr
    else:
        assert "nil" not in done.stdout


def test_a_changed_configuration_replaces_the_pods(programs):
    """The pods carry a digest of the configuration."""
    texts = [template(*MINIMAL, "--set", f"config.log.level={level}").stdout for level in ("info", "debug")]
    digests = [re.search(r"checksum/config: (\w{64})", text)[1] for text in texts]
    assert digests[0] != digests[1]


def test_the_notes_say_how_to_look(programs):
    """After an installation its user knows the page, the check and the test."""
    done = run("helm", "install", "a", CHART, *MINIMAL, "--dry-run=client")
    assert done.returncode == 0, done.stderr
    for text in ("port-forward service/a-driftline 8710:8710", "driftline check", "helm test a"):
        assert text in done.stdout


def test_the_package_has_all_it_needs(programs, tmp_path):
    """A packaged chart renders by itself, rules and dashboards included."""
    assert run("helm", "package", CHART, "--destination", tmp_path).returncode == 0
    (package,) = tmp_path.iterdir()
    everything = ("--set", "prometheusRule.enabled=true,grafana.dashboards.enabled=true")
    done = run("helm", "template", "a", package, *MINIMAL, *everything)
    assert done.returncode == 0, done.stderr
    assert "DriftlineDown" in done.stdout
    assert '"uid": "driftline"' in done.stdout
    assert ROOT.name not in package.name
