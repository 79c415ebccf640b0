"""Settings of labels that come on another topic, and what becomes of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from monitor.config.base import Group
from monitor.config.fields import Choice, DottedPath, Duration, Share, Text, bounded
from monitor.config.finding import Problem, Steps, nearest
from monitor.config.intake import DAY, HOUR, MINUTE
from monitor.config.quantity import format_duration
from monitor.judge.catalogue import OF_ERRORS, OF_NUMBERS
from monitor.plan import ConceptPlan, FeaturePlan, JoinPlan, Kind, ModelPlan, SegmentPlan

MOST_CLASSES = 64


class Labels(Group):
    """The truth about predictions, where it comes later and on another topic."""

    source: Text | None = Field(
        default=None,
        description="One of `sources`: the topic of the labels. The `id` of its fields and that of the model's own source "
        "are the same for a prediction and its label. Without it labels stand in the records of the predictions.",
        examples=["outcomes"],
    )
    path: DottedPath = Field(description="Where the label stands in its record.", examples=["label"])
    wait: Annotated[Duration, bounded(MINUTE, 92 * DAY, format_duration)] = Field(
        default=24 * HOUR,
        description="How long after a window its labels are waited for. Its figures are made then, and what comes later "
        "counts no more.",
        examples=["24h", "30d"],
    )
    max_open: Annotated[int, Field(ge=1_000, le=1 << 40)] = Field(
        default=1_000_000,
        description="Predictions of one partition of their topic that are held while labels are waited for. Where more would "
        "be, ids are sampled by their hash, 1 in 2, 4, 8…; figures are of these and say so. `driftline check` counts their memory.",
        examples=[1_000_000],
    )
    max_early: Annotated[int, Field(ge=10_000, le=1 << 40)] = Field(
        default=1_000_000,
        description="Labels of one partition of their topic that are held for predictions which are still to come, of a day, or of "
        "`wait` where that is less. Where more come the others count only for predictions that are no later than they are, and "
        "windows that these could matter to say so. `driftline check` counts their memory.",
        examples=[1_000_000],
    )
    positive: tuple[Text, ...] = Field(
        default=("1", "true"),
        min_length=1,
        description="Of a prediction of kind score: labels that it is the probability of.",
        examples=[["fraud"]],
    )
    threshold: Share = Field(
        default=0.5, description="Scores from which on the prediction is positive.", examples=[0.5]
    )
    classes: Annotated[tuple[Text, ...], Field(max_length=MOST_CLASSES)] = Field(
        default=(),
        description="Of a prediction of kind class: those that are told apart; all others are one.",
        examples=[["cat", "dog"]],
    )
    detectors: tuple[Annotated[str, Choice(OF_ERRORS)], ...] = Field(
        default=(),
        description="Detectors of river that watch the errors of measured windows; a rise opens an incident, outside the budget.",
        examples=[["adwin"]],
    )
    on_change: Annotated[str, Choice(("ticket", "page", "retrain"))] = Field(
        default="ticket",
        description="What a rise that they find brings about: an alert of severity warning, or critical, or a retraining.",
        examples=["ticket"],
    )


def check_labels(
    labels: Labels | None,
    kind: str,
    *,
    own: str,
    with_id: AbstractSet[str],
    sources: AbstractSet[str],
    steps: Steps,
) -> Iterator[Problem]:
    """What the configuration alone tells. `kind`: of the prediction, "" without one; `own`: the model's source;
    `with_id`: sources whose fields have an id."""
    if labels is None:
        return
    at = (*steps, "labels")
    if labels.source is None:
        yield from _check_kind(labels, kind, steps)
        return
    if labels.source not in sources:
        yield Problem(
            "unknown-source", (*at, "source"), f"there is no source called `{labels.source}`",
            suggestion=nearest(labels.source, sources), help=f"sources: {', '.join(sorted(sources))}",
        )  # fmt: skip
        return
    if labels.source == own:
        text = f"models.{steps[1]}: labels and predictions come from one source"
        yield Problem("conflict", (*at, "source"), text, help="give the labels a source of their own")
    for source in dict.fromkeys((own, labels.source)):
        if source not in with_id:
            text = f"sources.{source} has no id by which labels find predictions"
            yield Problem(
                "missing-key", ("sources", source, "fields"), text, at_key=True,
                help="name its field: fields: {id: request_id}",
            )  # fmt: skip
    yield from _check_kind(labels, kind, steps)


def _check_kind(labels: Labels, kind: str, steps: Steps) -> Iterator[Problem]:
    at = (*steps, "labels")
    if not kind:
        yield Problem(
            "missing-key", at, f"models.{steps[1]} has labels, but no prediction", at_key=True,
            help="say where it stands: prediction: {path: score, kind: score}",
        )  # fmt: skip
    for place, name in enumerate(labels.detectors):
        if kind == "number" and name not in OF_NUMBERS:
            yield Problem(
                "conflict", (*at, "detectors", place), f"{name} counts wrong rows, and the prediction is a number",
                help=f"of a number: {', '.join(OF_NUMBERS)}",
            )  # fmt: skip
    if kind == "class" and not labels.classes:
        yield Problem(
            "missing-key", at, f"models.{steps[1]}.labels does not say which classes are told apart", at_key=True,
            help="labels: {classes: [cat, dog]}",
        )  # fmt: skip


def plan_join(
    labels: Labels, kind: str, *, prediction: FeaturePlan, segments: tuple[SegmentPlan, ...], ids: tuple[object, ...],
    scale: float,
) -> JoinPlan:  # fmt: skip
    """`ids`: paths of the ids of both sources; `scale`: what errors of a number are counted in."""
    classes = {"score": labels.positive, "class": labels.classes}.get(kind, ())
    meaning: list[object] = [kind, classes, prediction.path, labels.path, labels.source, ids]
    meaning += [[one.name, one.path, one.values] for one in segments]
    if labels.source is None:  # what is kept are sums, and not what they are made of
        meaning += [labels.threshold, scale]
    text = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).digest()[:8]
    if labels.source is None:
        return JoinPlan("", kind, 0, digest, classes, labels.threshold, scale, path=labels.path)
    return JoinPlan(
        labels.source, kind, labels.wait, digest, classes, labels.threshold, scale, most=labels.max_open,
        most_early=labels.max_early,
    )  # fmt: skip


def label_plan(plan: ModelPlan, labels: Labels) -> ModelPlan:
    """How the records of the labels are counted: a model of the same name with one column."""
    assert plan.join is not None
    assert labels.source is not None
    kind = Kind.NUMERIC if plan.join.kind == "number" else Kind.CATEGORICAL
    categories = None if kind is Kind.NUMERIC else plan.join.classes
    text = f"labels {plan.join.digest.hex()} {plan.pane}"
    return replace(
        plan, source=labels.source, features=(FeaturePlan("label", labels.path, kind, categories=categories),),
        rules=(), config=hashlib.sha256(text.encode()).hexdigest()[:16], reference="", segments=(), groups=(), sample=0,
        join=replace(plan.join, is_label=True), harm=(), concept=ConceptPlan(), raw_rules=(), store=None, beside={}, compat=(),
        detectors=(),
    )  # fmt: skip
