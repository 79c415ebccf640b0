"""The table of faults and the tests agree."""

from __future__ import annotations

import ast
import re
from pathlib import Path

FOLDER = Path(__file__).parent
ROW = re.compile(r"^\| (\d+) \|.*\| ([^|]*) \|$", re.MULTILINE)
ROWS = 58


def table():
    """Row → what its last column says."""
    found = ROW.findall((FOLDER / "README.md").read_text(encoding="utf-8"))
    return {int(number): where for number, where in found}


def written():
    """(file, name) of every test that is named after a row."""
    for path in sorted(FOLDER.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_row_"):
                yield path.name, node.name


def test_every_row_names_its_tests_and_every_test_its_row():
    """Each row once, in order; each test in the row of its number, and nowhere else."""
    rows = table()
    assert list(rows) == list(range(1, ROWS + 1))
    named = {
        (number, file, name)
        for number, where in rows.items()
        for name, file in re.findall(r"\[(test_row_\w+)\]\((test_\w+\.py)\)", where)
    }
    assert named == {(int(name.split("_")[2]), file, name) for file, name in written()}
