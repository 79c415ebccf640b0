"""The segments of a model: what the configuration says, and what the reference adds to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from monitor.config.crosscheck_model import unknown_feature
from monitor.config.finding import Problem, Steps
from monitor.config.watched import MOST_SEGMENTS, Model, Segment
from monitor.plan import FeaturePlan, Kind, SegmentPlan
from monitor.reference.profile import CATEGORIES, Reference
from monitor.segments import RESERVED

BOOLEANS = ("false", "true")


def feature_of(name: str, given: Segment) -> str:
    """The feature that a column is; "" for one of its own."""
    return given.feature or ("" if given.path else name)


def check_segments(model: Model, steps: Steps) -> Iterator[Problem]:
    """What the configuration alone tells."""
    total = 0
    for name, given in model.segments.items():
        at = (*steps, "segments", name)
        total += len(given.values or range(given.top)) + len(RESERVED)
        if "=" in name:
            yield Problem("bad-name", at, "the name of segments cannot hold =", at_key=True)
        if given.feature and given.path:
            yield Problem(
                "conflict", (*at, "path"), f"segments by {name} have a feature and a path", at_key=True
            )
        for index, value in enumerate(given.values):
            if value in RESERVED:
                yield Problem(
                    "reserved-name",
                    (*at, "values", index),
                    f"`{value}` is the segment of rows with no value of their own",
                    help="leave it out: there is always one",
                )
            elif value in given.values[:index]:
                yield Problem("conflict", (*at, "values", index), f"`{value}` stands twice")
    if total > 2 * MOST_SEGMENTS:
        yield Problem(
            "too-many-segments",
            (*steps, "segments"),
            f"models.{steps[1]} has {total} segments",
            at_key=True,
            help=f"at most {2 * MOST_SEGMENTS}, each column's `other` and `missing` among them",
        )


def plan_segments(
    model: Model,
    name: str,
    features: Sequence[FeaturePlan],
    reference: Reference | None,
    problems: list[Problem],
) -> tuple[SegmentPlan, ...]:
    """The columns with their values; `top` ones are those that the reference was counted by, or would be."""
    known = {feature.name: feature for feature in features}
    plans = []
    for column, given in model.segments.items():
        at, called = ("models", name, "segments", column), feature_of(column, given)
        feature = known.get(called) or next(
            (f for f in features if not called and f.path == given.path), None
        )
        if called and feature is None:
            problems.append(unknown_feature(called, at, tuple(known)))
            continue
        if feature is not None and feature.kind not in CATEGORIES:
            text = f"{feature.name} is {feature.kind}: segments are by categories"
            problems.append(Problem("bad-segments", at, text, help="name a categorical or a boolean feature"))
            continue
        kind = Kind.CATEGORICAL if feature is None else feature.kind
        path = given.path if feature is None else feature.path
        values = BOOLEANS if kind is Kind.BOOLEAN else given.values or _top(column, given, called, reference)
        plans.append(SegmentPlan(column, path, kind, values))
    return tuple(plans)


def _top(column: str, given: Segment, feature: str, reference: Reference | None) -> tuple[str, ...]:
    if reference is None:
        return ()
    counted = next((own.values for own in reference.segments if own.name == column), None)
    if counted is None:
        profiles = (profile for profile in reference.features if profile.name == feature)
        counted = next((tuple(c for c in p.categories if c not in RESERVED) for p in profiles), ())
    return counted[: given.top]
