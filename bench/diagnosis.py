"""How often the kind of a change is named right, and its onset within a pane, at the size that the judge just detects.

    python -m bench.diagnosis [--seeds 1000] [--tries 40]
    python -m bench.run --only diagnosis

For each kind of change of each feature of a simulated model (tests/judge/changes.py) the size is sought by bisection at
which the judge names the feature in 90 % of the windows. Then windows are drawn with fresh seeds, and those that
the judge names the feature in are diagnosed. For onsets a change begins in one of the 24 panes of its window
(tests/judge/onsets.py), at the size that is found in that window, and is looked for in 48.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bench.figure import figure, say
from tests.judge import changes, onsets

SEEDS = 1_000
GOAL, GOAL_ONSET = ">= 0.95", ">= 0.9"


def figures(*, smoke: bool = False) -> list[dict[str, Any]]:
    """The share named right of each kind, and the share dated within a pane. The worst cases stand in the notes."""
    chosen = changes.cases()[:: 12 if smoke else 1]
    seeds, tries = (4, 8) if smoke else (SEEDS, changes.TRIES)
    matrix = changes.confusion(chosen, seeds, tries=tries, progress=say)
    found = [
        figure(
            f"kind of change named right: {kind}",
            "share",
            row.right,
            goal=GOAL,
            rounds=row.seeds,
            notes=", ".join(f"{said} {count}" for said, count in row.said.items())
            + (f"; worst: {row.notes}" if row.notes else ""),
        )
        for kind, row in matrix.rows.items()
    ]
    return [*found, *(_onset(kind, one) for kind, one in dated(chosen, seeds, tries=tries))]


def dated(chosen: Sequence[changes.Case], seeds: int, *, tries: int) -> Iterator[tuple[str, onsets.Dated]]:
    """By kind, and all of them together."""
    own, off, known = changes.world(), [], []
    for kind in dict.fromkeys(case.kind for case in chosen):
        one = onsets.dated(own, [case for case in chosen if case.kind == kind], seeds, tries=tries)
        say(
            f"  onset of {kind}: {_within(one.off):.1%} of {len(one.off)}, known {_within(one.known):.1%}, none is found of {one.lost}"
        )
        off.append(one.off)
        known.append(one.known)
        yield kind, one
    yield "all kinds", onsets.Dated(np.concatenate(off), np.concatenate(known), {}, ())


def _within(off: np.ndarray) -> float:
    return float(np.mean(np.abs(off) <= 1)) if len(off) else float("nan")


def _onset(kind: str, one: onsets.Dated) -> dict[str, Any]:
    off = one.off
    sizes = sorted(one.sizes.values())
    notes = f"exactly {np.mean(off == 0):.1%}, earlier by more {np.mean(off < -1):.1%}, later by more {np.mean(off > 1):.1%}"
    notes += f"; who knows what the rows are distributed like after it dates {_within(one.known):.1%}"
    if sizes:
        notes += f"; sizes {sizes[0]:.2g} to {sizes[-1]:.2g}"
    if one.lost:
        notes += f"; never found with power 0.9, left out: {', '.join(one.lost)}"
    return figure(
        f"onset within one pane of 24: {kind}",
        "share",
        _within(off),
        goal=GOAL_ONSET,
        rounds=len(off),
        notes=notes,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=SEEDS, help="windows per kind")
    parser.add_argument(
        "--tries", type=int, default=changes.TRIES, help="windows that tell the power at a size"
    )
    options = parser.parse_args()
    print(changes.confusion(changes.cases(), options.seeds, tries=options.tries, progress=say).table())
    print(
        "\n| onset | windows | within a pane | exactly | within a pane, who knows |\n|---|---:|---:|---:|---:|"
    )
    for kind, one in dated(changes.cases(), options.seeds, tries=options.tries):
        print(
            f"| {kind} | {len(one.off)} | {_within(one.off):.1%} | {np.mean(one.off == 0):.1%} | {_within(one.known):.1%} |"
        )


if __name__ == "__main__":
    main()
