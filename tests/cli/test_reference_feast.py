"""What `reference build --from feast:…` says where it cannot begin; tests/consistency builds one of a real store."""

from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner

from monitor.cli.reference import command
from monitor.cli.reference_feast import WHERE
from monitor.errors import DriftlineError


def build(folder, *options):
    """The error of a build."""
    out = folder / "m.ref"
    told = CliRunner().invoke(
        command,
        ["build", "--from", f"feast:{folder}", "--model", "m", "-o", str(out), *options],
    )
    assert not out.exists()
    assert told.exit_code != 0
    assert isinstance(told.exception, SystemExit | DriftlineError)
    return str(told.exception) if isinstance(told.exception, DriftlineError) else told.stderr


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "feature_store.yaml").write_text("project: rides\n")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--service or --view, one of them"),
        (("--service", "a", "--view", "b"), "--service or --view, one of them"),
        (("--service", "a"), "no entities"),
        (
            ("--service", "a", "--entity-df", "e.csv", "--since", "30d ago"),
            "--since and --until are for topics",
        ),
    ],
)
def test_options_that_cannot_work_are_told(repository, options, said):
    """Before anything is imported or read."""
    assert said in build(repository, *options)


def test_a_folder_without_a_repository_is_told(tmp_path):
    """Where one is expected."""
    assert "no feature_store.yaml" in build(tmp_path, "--service", "a", "--entity-df", "e.csv")


def test_feast_is_asked_for_where_it_is_missing(repository, monkeypatch):
    """It is an extra, of the environment that the command runs in."""
    monkeypatch.setitem(sys.modules, "feast", None)
    told = build(repository, "--service", "a", "--entity-df", "e.csv")
    assert "Feast cannot be imported" in told
    assert WHERE in told
    assert "pip install 'driftline[feast]'" in told
