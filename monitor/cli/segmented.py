"""Whether the segments of a model can be judged by its reference, for `driftline check`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from monitor.cli.check_line import Line, doubtful, ok

if TYPE_CHECKING:
    from monitor.plan import ModelPlan
    from monitor.reference.profile import Reference

NAMED = 3
"""Segments that are named for each reason, in one line."""


def check_segments(plan: ModelPlan, reference: Reference) -> Iterator[Line]:
    """How many segments of each column are judged, and why others are not. Few rows of other values, or of none, are
    usual; of a value that has a segment of its own they are doubtful."""
    from monitor.judge.parts import unready
    from monitor.segments import RESERVED, segment_of
    from monitor.verdict import Unknown

    left = unready(reference, plan)
    counted = {column.name for column in reference.segments}
    for segment in plan.segments:
        subject = f"segments of {plan.name}, {segment.name}"
        if segment.name not in counted:
            yield doubtful(
                subject,
                "the reference is not counted by it, so that none is judged - build it again with "
                "`driftline reference build -c`",
            )
            continue
        usual = {segment_of(segment.name, value) for value in RESERVED}
        own = {segment_of(segment.name, value) for value in segment.values} | usual
        few = [name for name in left if name in own and left[name] is Unknown.REFERENCE_TOO_SMALL]
        absent = [name for name in left if name in own and left[name] is Unknown.NO_REFERENCE]
        text = f"{len(own) - len(few) - len(absent)} of {len(own)} can be judged"
        if few:
            text += f"; fewer than {plan.min_records} rows in the reference: {_named(few)}"
        if absent:
            text += (
                f"; not counted in it: {_named(absent)} - build it again with `driftline reference build -c`"
            )
        yield doubtful(subject, text) if absent or set(few) - usual else ok(subject, text)


def _named(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if names[NAMED:] else "")
