from __future__ import annotations

import re
import tomllib

from tests.rules.tree import ROOT


def test_changelog_starts_with_the_version_of_the_project() -> None:
    """The newest entry speaks of the version that is built; an Unreleased section may stand above."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = ROOT / "CHANGELOG.md"
    assert changelog.is_file(), "CHANGELOG.md:1: missing"
    versions = re.findall(r"^## \[?v?(\d[^\]\s]*)", changelog.read_text(encoding="utf-8"), re.MULTILINE)
    assert versions, "CHANGELOG.md:1: no version - a heading like '## [0.1.0] - 2026-01-31' is right"
    assert versions[0] == project["version"], f"CHANGELOG.md: {versions[0]} - {project['version']} is right"
