from __future__ import annotations

import re
import shlex
import shutil
from itertools import pairwise

import pytest
import yaml
from click.testing import CliRunner

from tests.deploy.render import CHART, CONFIGS, ENVIRONMENTS, ROOT, run

FOLDER = CONFIGS / "ci" / "github"
FILES = sorted(FOLDER.glob("*.yaml"))
WORKFLOWS = {path.stem: yaml.load(path.read_text(), yaml.BaseLoader) for path in FILES}
STEPS = [
    step for flow in WORKFLOWS.values() for job in flow["jobs"].values() for step in job.get("steps", ())
]
COMMANDS = [step["run"] for step in STEPS if "run" in step]


def test_actionlint_finds_nothing(programs, tmp_path):
    """Syntax, expressions, contexts and the inputs between both files are right."""
    target = tmp_path / ".github" / "workflows"
    shutil.copytree(FOLDER, target)
    (tmp_path / ".git").mkdir()
    names = [str(path) for path in sorted(target.iterdir())]
    done = run("actionlint", "-no-color", "-shellcheck=", "-pyflakes=", *names)
    assert done.returncode == 0, done.stdout
    text = (target / "driftline.yaml").read_text()
    (target / "driftline.yaml").write_text(text.replace("with: {environment: dev,", "with: {where: dev,"))
    assert run("actionlint", "-no-color", "-shellcheck=", "-pyflakes=", *names).returncode == 1


def test_every_action_has_a_version():
    """No action floats on a branch."""
    for step in STEPS:
        if "uses" in step:
            assert re.search(r"@v\d+(\.\d+)*$|@[0-9a-f]{40}$", step["uses"]), step["uses"]


def test_environments_follow_each_other():
    """Every environment is validated; prod waits for staging, staging for dev, all for tests and image."""
    jobs = WORKFLOWS["driftline"]["jobs"]
    assert tuple(jobs["configuration"]["strategy"]["matrix"]["environment"]) == ENVIRONMENTS
    assert set(jobs["image"]["needs"]) == {"configuration", "test"}
    for name, before in zip(ENVIRONMENTS, ("image", "dev", "staging"), strict=True):
        assert before in jobs[name]["needs"]
        assert jobs[name]["with"]["environment"] == name
        assert "needs.image.outputs.digest" in jobs[name]["with"]["digest"]
    deploy = WORKFLOWS["driftline-deploy"]["jobs"]["deploy"]
    assert deploy["environment"] == "${{ inputs.environment }}"
    assert deploy["concurrency"]["cancel-in-progress"] == "false"


def words(command: str) -> list[list[str]]:
    """The lines of a command as a shell takes them."""
    joined = command.replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in joined.splitlines() if line.strip()]


def test_every_target_and_file_exists():
    """What the steps call of this repository is there."""
    makefile = (ROOT / "Makefile").read_text().replace("$(VENV)", ".venv")
    for command in COMMANDS:
        for line in words(command):
            if line[:1] == ["make"]:
                for target in line[1:]:
                    assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target
        for path in re.findall(r"configs/[\w./$-]+", command):
            for name in ENVIRONMENTS:
                assert (ROOT / re.sub(r"\$(ENVIRONMENT|name)\b", name, path)).exists(), path
    for step in STEPS:
        for key in ("go-version-file", "cache-dependency-path"):
            if key in step.get("with", {}):
                assert (ROOT / step["with"][key]).is_file()


def test_driftline_takes_its_commands(monkeypatch):
    """`config print` and `config diff` of the workflow run as they stand there, for every environment."""
    from monitor.cli.config import command as config

    monkeypatch.chdir(ROOT)
    called = 0
    for command in COMMANDS:
        for line in words(command):
            if line[0] != ".venv/bin/driftline":
                continue
            for name in ENVIRONMENTS:
                given = [
                    word.replace("$ENVIRONMENT", name).replace("before/", "configs/environments/")
                    for word in line[1 : line.index("|") if "|" in line else None]
                ]
                assert given.pop(0) == "config"
                done = CliRunner().invoke(config, given)
                assert done.exit_code == 0, (given, done.output)
                called += 1
    assert called == 2 * len(ENVIRONMENTS)


@pytest.mark.parametrize("verb", ["upgrade", "test", "rollback"])
def test_helm_takes_its_commands(programs, verb):
    """Every option of the steps is one that this Helm has, and every value one that the chart has."""
    (line,) = (line for command in COMMANDS for line in words(command) if line[:2] == ["helm", verb])
    known = set(re.findall(r"--[\w-]+", run("helm", verb, "--help").stdout))
    options = {word.partition("=")[0] for word in line if word.startswith("--")}
    assert options <= known
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for option, word in pairwise(line):
        if option in {"--set", "--set-string"}:
            for part in word.split(","):
                keys = part.partition("=")[0].split(".")
                found = values
                for key in keys:
                    found = found[key]
    if verb == "upgrade":
        assert {"--rollback-on-failure", "--install"} <= options


def test_helm_is_of_the_version_that_is_tested():
    """The workflow sets up the Helm that the tests of the chart run with."""
    (setup,) = (step for step in STEPS if step.get("uses", "").startswith("azure/setup-helm@"))
    pinned = (ROOT / "tests" / "deploy" / "tools" / "go.mod").read_text()
    assert f"helm.sh/helm/v4 {setup['with']['version']}" in pinned


def test_no_secret_is_printed():
    """Secrets reach steps by the environment, never by the text of a command."""
    for command in COMMANDS:
        assert "secrets." not in command
        assert "${{" not in command
