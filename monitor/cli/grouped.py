"""Whether the groups of a model's reference can be judged, for `driftline check`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from monitor.cli.check_line import Line, doubtful, ok

if TYPE_CHECKING:
    from monitor.plan import ModelPlan
    from monitor.reference.profile import Reference


def check_groups(plan: ModelPlan, reference: Reference) -> Iterator[Line]:
    """Of each group its members and how many rows have all of them; nothing where there are none."""
    low = 0
    for profile in reference.features:
        low += profile.slots
        if not profile.members or profile.vector is None:
            continue
        subject = f"group {profile.name} of {plan.name}"
        share = reference.counts[low - 1] / max(reference.rows, 1)  # the last slot holds the complete ones
        text = f"{', '.join(profile.members)}, complete in {share:.1%} of the reference's rows"
        if profile.name not in plan.groups:
            yield doubtful(
                subject, f"{text}; counted, and does not vote: groups of the configuration do not name it"
            )
        elif not any(profile.vector.traces):
            yield doubtful(subject, f"{text}; does not vote: there are no two different rows of it")
        else:
            yield ok(subject, text)
