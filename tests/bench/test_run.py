from __future__ import annotations

import json

import pytest

from bench import night, run
from bench.figure import figure


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """What each group measures, by name; files go to a folder of their own."""
    answers = {}
    monkeypatch.setattr(run, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(run, "README", tmp_path / "README.md")
    monkeypatch.setattr(run, "_group", lambda name, smoke: answers[name])
    return answers


def measured(value):
    """A group of one figure."""
    when = {"measured": "2026-01-01T00:00:00+00:00", "revision": "abc", "seed": 1, "load": [0.0, 0.0, 0.0]}
    return {**when, "seconds": 1.0, "figures": [figure("n", "u", value)]}


def test_a_group_measured_alone_leaves_the_others_as_they_were(groups) -> None:
    """A long run can be made up of several; each group keeps its own date."""
    groups.update(decode=measured(1.0), counting=measured(2.0))
    assert run.measure(["decode", "counting"], smoke=False) == 0
    groups["counting"] = measured(3.0)
    run.measure(["counting"], smoke=False)
    found = json.loads(run.RESULTS.read_text())["groups"]
    assert [found[name]["figures"][0]["ours"] for name in ("decode", "counting")] == [1.0, 3.0]
    assert "## Counting" in run.README.read_text()


def test_a_broken_group_does_not_keep_the_others_from_being_measured(groups, capsys) -> None:
    """What broke is named at the end and in the exit code."""
    groups.update(decode="exit 1", counting=measured(2.0))
    assert run.measure(["decode", "counting"], smoke=False) == 1
    assert "broken: decode: exit 1" in capsys.readouterr().err
    assert list(json.loads(run.RESULTS.read_text())["groups"]) == ["counting"]


def test_a_smoke_run_writes_nothing(groups) -> None:
    """Figures of little data are not worth keeping."""
    groups["decode"] = measured(1.0)
    assert run.measure(["decode"], smoke=True) == 0
    assert not run.RESULTS.exists()


def test_every_group_has_a_title_in_the_report() -> None:
    """A group without one would be measured and not shown."""
    assert set(run.GROUPS) == set(run.report.TITLES)


def test_a_step_of_the_night_nests_the_page_it_prints() -> None:
    """The title of a page gives way to the section's; its sections move down."""
    assert night._nested("# Figures\n\ntext\n\n## Goals") == "text\n\n### Goals"
    assert night._nested("### Rates\n\ntable") == "### Rates\n\ntable"


def test_the_seed_of_a_night_is_its_date() -> None:
    """Everything that is drawn can be drawn again."""
    seeded = [step.command for step in night.steps("20260102").values() if "--seed" in step.command]
    assert len(seeded) >= 4
    assert all(command[command.index("--seed") + 1] == "20260102" for command in seeded)
