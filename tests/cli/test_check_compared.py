"""What `driftline check` says of all that windows are compared with beside their reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from monitor.cli.options import Exit
from tests.cli.test_check import run, write


def test_how_far_scores_of_other_products_can_be_had(tmp_path: Path) -> None:
    """How many features exactly and nearly, and which not, for each product."""
    from monitor.reference.file import write as store
    from tests.judge import build

    profiles = [build.numeric_profile("a", 20), build.categorical_profile("b", ["x", "y"])]
    path = Path(write(tmp_path))
    text = path.read_text(encoding="utf-8").replace(
        "    features: {a: {path: a, kind: numeric}}", "    reference: m.ref\n    compat: [nannyml, popmon]"
    )
    path.write_text(text, encoding="utf-8")
    counts = np.concatenate([np.ones(24, np.int64), [1, 0, 0, 12, 11]])
    store(build.reference(profiles, counts[None], timed=False), tmp_path / "m.ref")
    shown = run("-c", str(path), "--no-network")
    assert "√ compat m, nannyml: its scores of 1 features exactly, of 1 nearly; configs/compat.md" in shown
    assert (
        "√ compat m, popmon: its scores of 1 features exactly, of 0 nearly, not of a; configs/compat.md"
        in shown
    )


def test_references_that_windows_are_shown_beside(tmp_path: Path) -> None:
    """One that cannot be read is wrong, one that lacks features doubtful."""
    from monitor.reference.file import write as store
    from tests.judge import build

    profiles = [build.numeric_profile(name, 20) for name in ("a", "b")]
    counts = np.ones((1, 2 * profiles[0].slots), np.int64)
    path = Path(write(tmp_path))
    others = "beside: [previous_window, {name: gone, file: x.ref}, {name: old, file: o.ref}, {name: same, file: m.ref}]"
    text = path.read_text(encoding="utf-8").replace(
        "    features: {a: {path: a, kind: numeric}}", f"    reference: m.ref\n    {others}"
    )
    path.write_text(text, encoding="utf-8")
    store(build.reference(profiles, counts, timed=False), tmp_path / "m.ref")
    store(build.reference(profiles[:1], counts[:, :24], timed=False, name="old"), tmp_path / "o.ref")
    shown = run("-c", str(path), "--no-network", code=Exit.FAILURE)
    assert "x beside m, gone: " in shown
    assert "~ beside m, old: old, 24 rows, 1 of 2 features" in shown
    assert "√ beside m, same: january, 24 rows, 2 of 2 features" in shown
    assert "beside m, previous_window" not in shown
