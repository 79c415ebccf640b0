"""`driftline reference diff`."""

from __future__ import annotations

import click

from monitor.cli.options import Exit, emit, output_option


@click.command("diff")
@click.argument("first")
@click.argument("second")
@click.option(
    "--limit", default=0.1, show_default=True, help="PSI, or share of missing values, that is drift."
)
@click.option(
    "--fail-on", type=click.Choice(["drift"]), help=f"Exit {int(Exit.DRIFT)} when a feature moved that far."
)
@output_option
def diff_command(first: str, second: str, limit: float, fail_on: str | None, output: str) -> None:
    """Compare two references: features, bins, and how far each distribution moved."""
    import math
    import sys

    from monitor.reference.difference import compare
    from monitor.reference.file import read

    difference = compare(read(first), read(second))
    drifted = difference.drifted(limit)
    data = {
        "added": difference.added,
        "removed": difference.removed,
        "features": [
            {
                "name": one.name,
                "psi": None if math.isnan(one.psi) else one.psi,
                "missing": one.missing,
                "changes": one.changes,
                "drift": one.name in drifted,
            }
            for one in difference.features
        ],
    }
    wide = max((len(one.name) for one in difference.features), default=7)
    lines = [f"+ {name}" for name in difference.added] + [f"- {name}" for name in difference.removed]
    lines.append(f"  {'feature':<{wide}}  {'psi':>8}  {'missing':>8}  changes")
    for one in difference.features:
        mark = "●" if one.name in drifted else " "
        psi = "-" if math.isnan(one.psi) else f"{one.psi:.4f}"
        lines.append(f"{mark} {one.name:<{wide}}  {psi:>8}  {one.missing:>+8.2%}  {', '.join(one.changes)}")
    emit(data, "\n".join(lines), output=output)
    if fail_on and (drifted or difference.added or difference.removed):
        sys.exit(Exit.DRIFT)
