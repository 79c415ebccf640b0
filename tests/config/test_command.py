from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from monitor.cli.config import command
from monitor.config.schema import generate
from monitor.errors import ConfigError
from tests.config.cases import HEAD, TAIL, with_model


def run(*arguments: str, code: int = 0, stdin: str | None = None) -> str:
    result = CliRunner().invoke(command, list(arguments), input=stdin)
    if isinstance(result.exception, ConfigError):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str, str]:
    """A configuration, the same with another budget, and the same with another group."""
    texts = (
        HEAD + TAIL,
        with_model("budget: 1 per 30d"),
        (HEAD + TAIL).replace('9092"]', '9092"], group: g'),
    )
    paths = [tmp_path / f"{number}.yaml" for number in range(3)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return str(paths[0]), str(paths[1]), str(paths[2])


def test_print(files: tuple[str, str, str]) -> None:
    """YAML or JSON, redacted unless asked otherwise, with origins on request."""
    assert "group: driftline\n" in run("print", "-c", files[0])
    assert "# default" in run("print", "-c", files[0], "--mode", "origin")
    assert json.loads(run("print", "-c", files[0], "--format", "json"))["version"] == 1
    assert "group: driftline" in run("print", "-c", "-", stdin=HEAD + TAIL)


def test_diff(files: tuple[str, str, str]) -> None:
    """Exit 0 when the daemon would take it, 1 when a restart is needed."""
    assert run("diff", files[0], files[1]) == "live: models.m.budget 2 per 30d -> 1 per 30d\n"
    assert run("diff", files[0], files[0]) == "nothing differs\n"
    assert (
        run("diff", "--old", files[0], "--new", files[2], code=1) == "refused: kafka.group (restart needed)\n"
    )
    (row,) = json.loads(run("diff", files[0], files[1], "--output", "json"))
    assert (row["effect"], row["path"], row["old"], row["new"]) == (
        "live",
        "models.m.budget",
        "2 per 30d",
        "1 per 30d",
    )
    run("diff", files[0], code=2)
    run("diff", files[0], "--new", files[1], code=2)


def test_schema() -> None:
    """The schema that editors use, on stdout."""
    assert json.loads(run("schema")) == json.loads(json.dumps(generate()))


def test_an_invalid_configuration_is_refused(tmp_path: Path) -> None:
    """The error with everything in it is what the command line prints, with exit code 78."""
    (tmp_path / "c.yaml").write_text("version: 2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="bad-version"):
        run("print", "-c", str(tmp_path / "c.yaml"))
