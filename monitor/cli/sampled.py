"""Whether a drift of a model can be traced to the rows that carry it, for `driftline check`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from monitor.cli.check_line import Line, doubtful, ok

if TYPE_CHECKING:
    from monitor.plan import ModelPlan
    from monitor.reference.profile import Reference


def check_sample(plan: ModelPlan, reference: Reference) -> Iterator[Line]:
    """Rows that conditions are searched in; nothing where none are asked for."""
    from monitor.sample import WINDOW_ROWS, cell_rows

    if not plan.sample:
        return
    subject = f"sampled rows of {plan.name}"
    if not len(reference.sample):
        yield doubtful(
            subject,
            "the reference has none, so that no condition is named - build it again with `driftline reference build -c`",
        )
        return
    live = cell_rows(plan.sample, len(reference.features))
    yield ok(
        subject,
        f"{len(reference.sample)} of the reference, {live} of each pane and partition, {WINDOW_ROWS} of a window at most",
    )
