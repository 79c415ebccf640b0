"""What `driftline check` says of segments: a reference of before they were declared judges none of them."""

from __future__ import annotations

import pytest

from monitor.cli.check_line import Sign
from monitor.cli.segmented import check_segments
from monitor.plan import FeaturePlan, Kind, SegmentPlan
from tests.judge.build import plan
from tests.reference.test_segments import built, table

WITH = built(table())
AGAIN = "build it again with `driftline reference build -c`"


def said(reference, **segment):
    profiles = reference.features
    own = SegmentPlan(
        **{"name": "c", "path": ("c",), "kind": Kind.CATEGORICAL, "values": ("a", "b"), **segment}
    )
    features = tuple(FeaturePlan(p.name, p.path, p.kind) for p in profiles)
    made = plan(profiles, features=features, segments=(own,), min_records=50)
    (line,) = check_segments(made, reference)
    return line


@pytest.mark.parametrize(
    ("segment", "sign", "text"),
    [
        ({}, Sign.OK, "3 of 4 can be judged; fewer than 50 rows in the reference: c=missing"),
        (
            {"name": "city", "values": ()},
            Sign.DOUBTFUL,
            "the reference is not counted by it, so that none is judged - " + AGAIN,
        ),
        (
            {"values": ("a", "b", "new")},
            Sign.DOUBTFUL,
            "2 of 5 can be judged; fewer than 50 rows in the reference: c=missing; not counted in it: c=new, c=other - "
            + AGAIN,
        ),
    ],
)
def test_segments_that_the_reference_says_nothing_of_are_told(segment, sign, text) -> None:
    """They would be unknown for ever, and nobody would look for them."""
    line = said(WITH, **segment)
    assert (line.subject, line.sign, line.text) == (f"segments of m, {segment.get('name', 'c')}", sign, text)
