"""How often the kind of a change is named right: a confusion matrix, at the size that the judge just detects.

    python -m bench.diagnosis [--seeds 200] [--tries 40]

For each kind of change of each feature of a simulated model (tests/judge/changes.py) the size is sought by bisection at
which the judge names the feature in 90 % of the windows. Then windows are drawn with fresh seeds, and those that
the judge names the feature in are diagnosed.
"""

from __future__ import annotations

import argparse
from typing import Any

from bench.figure import figure, say
from tests.judge import changes

SEEDS = 200
GOAL = ">= 0.95"


def figures(*, smoke: bool = False) -> list[dict[str, Any]]:
    """One figure a kind: the share named right. The worst stands last, with the whole matrix in its notes."""
    matrix = changes.confusion(changes.cases(), SEEDS, tries=changes.TRIES, progress=say) if not smoke else (
        changes.confusion(changes.cases()[::12], 4, tries=8, progress=say)
    )  # fmt: skip
    return [
        figure(
            f"kind of change named right: {kind}",
            "share",
            row.right,
            goal=GOAL,
            rounds=row.seeds,
            notes=row.notes,
        )
        for kind, row in matrix.rows.items()
    ]


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


if __name__ == "__main__":
    main()
