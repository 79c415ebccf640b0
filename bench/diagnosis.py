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
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from bench.figure import figure, say
from bench.machine import on_all_cores
from tests.judge import changes, onsets

SEEDS = 1_000
GOAL, GOAL_ONSET = ">= 0.95", ">= 0.9"


def figures(*, smoke: bool = False) -> list[dict[str, Any]]:
    """The share named right of each kind, and the share dated within a pane. The worst cases stand in the notes."""
    every = 12 if smoke else 1
    seeds, tries = (4, 8) if smoke else (SEEDS, changes.TRIES)
    measured = measure(seeds, tries, every=every)
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
        for one in measured.values()
        for kind, row in one.named.rows.items()
    ]
    return [*found, *(_onset(kind, one) for kind, one in _and_all(measured))]


class Measured(NamedTuple):
    """What was said of the changes of one kind."""

    named: changes.Matrix
    dated: onsets.Dated


def measure(seeds: int, tries: int, *, every: int = 1) -> dict[str, Measured]:
    """By kind, on all cores; of every so many cases."""
    kinds = list(dict.fromkeys(case.kind for case in changes.cases()[::every]))
    found = {}
    tasks = [(kind, seeds, tries, every) for kind in kinds]
    for kind, one in zip(kinds, on_all_cores(_measured, tasks), strict=True):
        off = one.dated.off
        right = ", ".join(f"{row.right:.1%} of {row.seeds}" for row in one.named.rows.values())
        say(f"  {kind}: named right {right}; dated {_within(off):.1%} of {len(off)}")
        found[kind] = one
    return found


def _measured(kind: str, seeds: int, tries: int, every: int) -> Measured:
    """In a process of a pool."""
    chosen = [case for case in changes.cases()[::every] if case.kind == kind]
    named = changes.confusion(chosen, seeds, tries=tries)
    return Measured(named, onsets.dated(changes.world(), chosen, seeds, tries=tries))


def _and_all(measured: Mapping[str, Measured]) -> Iterator[tuple[str, onsets.Dated]]:
    """By kind, and all of them together."""
    dated = {kind: one.dated for kind, one in measured.items()}
    yield from dated.items()
    whole = (np.concatenate([getattr(one, name) for one in dated.values()]) for name in ("off", "known"))
    yield "all kinds", onsets.Dated(*whole, {}, ())


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
    measured = measure(options.seeds, options.tries)
    whole = changes.Matrix({}, {}, {})
    for one in measured.values():
        whole = changes.Matrix(*(own | more for own, more in zip(whole, one.named, strict=True)))
    print(whole.table())
    print(
        "\n| onset | windows | within a pane | exactly | within a pane, who knows |\n|---|---:|---:|---:|---:|"
    )
    for kind, dated in _and_all(measured):
        shares = f"{_within(dated.off):.1%} | {np.mean(dated.off == 0):.1%} | {_within(dated.known):.1%}"
        print(f"| {kind} | {len(dated.off)} | {shares} |")


if __name__ == "__main__":
    main()
