from __future__ import annotations

import re

from monitor.cli.main import COMMANDS
from tests.rules.tree import ROOT


def test_the_readme_lists_every_command() -> None:
    """Whoever reads the list has them all, in the order of `driftline --help`."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"`driftline --help` \| `([a-z ]+)`", text)
    assert found, "README.md: no list of the commands"
    assert found[1].split() == list(COMMANDS), f"README.md: {found[1]} - {' '.join(COMMANDS)} is right"
