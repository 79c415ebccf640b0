"""Segments: the values of declared columns that a model's rows are also counted and judged by.

A row belongs to the whole, whose segment is "", and to one segment of every declared column:
"country=DE", "country=other" where its value has no segment of its own, "country=missing".
"""

from __future__ import annotations

from dataclasses import replace

from kernels.layout import FIRST_BIN, Layout
from monitor.judge.catalogue import OF_VECTORS
from monitor.plan import FeaturePlan, Kind, ModelPlan, SegmentPlan
from monitor.reference.vector import without_waves

WHOLE = ""
PREDICTION = "prediction"
"""Name of the feature that is what the model answered."""
MISSING = "missing"
OTHER = "other"
RESERVED = frozenset({MISSING, OTHER})
"""What no value with a segment of its own can be called."""


def segment_of(column: str, value: str) -> str:
    return f"{column}={value}"


def by_code(segment: SegmentPlan) -> tuple[str, ...]:
    """The segment of each code of `Columns.segments`; codes are those of a categorical feature's slots."""
    rest = (MISSING, OTHER, OTHER)
    assert len(rest) == FIRST_BIN
    return tuple(segment_of(segment.name, value) for value in (*rest, *segment.values))


def names(plan: ModelPlan) -> tuple[str, ...]:
    """Every segment that a model can have, by column: values, then `other`, then `missing`."""
    return tuple(
        segment_of(segment.name, value)
        for segment in plan.segments
        for value in (*segment.values, OTHER, MISSING)
    )


def hidden(plan: ModelPlan) -> tuple[FeaturePlan, ...]:
    """Columns that are read and not counted, behind those of the features: which segment a row belongs to, and where
    labels are joined the class that was predicted, and the label that stands beside the prediction.

    One for each declared column, also where a feature is read at the same path: its slots may be other ones.
    No feature can be called as they are.
    """
    columns = tuple(
        FeaturePlan(f"\0segment {one.name}", one.path, one.kind, categories=one.values)
        for one in plan.segments
    )
    join = plan.join
    if join is None or join.is_label:
        return columns
    if join.kind == "class":
        path = next(feature.path for feature in plan.features if feature.name == PREDICTION)
        columns += (FeaturePlan("\0class", path, Kind.CATEGORICAL, categories=join.classes),)
    if not join.source and join.kind == "number":
        columns += (FeaturePlan("\0label", join.path, Kind.NUMERIC),)
    elif not join.source:
        columns += (FeaturePlan("\0label", join.path, Kind.CATEGORICAL, categories=join.classes),)
    return columns


def part_plan(plan: ModelPlan) -> ModelPlan:
    """How one segment is judged: breaches of the contract are counted for the whole, and so are vectors and groups."""
    own = tuple(name for name in plan.detectors if name not in OF_VECTORS)
    return replace(plan, rules=(), detectors=own, raw_rules=(), groups=())


def part_layout(layout: Layout) -> Layout:
    """What is counted in a segment: of vectors only how many there are, or they would cost the most by far."""
    return layout._replace(vectors=without_waves(layout.vectors)) if layout.vectors.count else layout
