"""Settings of the models that are watched."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from monitor.config.base import Group, expand
from monitor.config.diagnosed import Contract, Diagnosis
from monitor.config.fields import (
    PLACEHOLDER,
    Choice,
    DottedPath,
    Duration,
    Flag,
    Name,
    Share,
    Text,
    Whole,
    Zone,
    as_number,
    bounded,
    parsed,
    refuse,
    typed,
)
from monitor.config.intake import DAY, HOUR, MINUTE, SECOND, Span
from monitor.config.labelled import Labels
from monitor.config.limited import Limit
from monitor.config.maintenance import format_maintenance, parse_maintenance
from monitor.config.quantity import format_budget, format_duration, parse_budget
from monitor.config.referenced import ReferenceSource
from monitor.config.registered import Registry
from monitor.config.retraining import Retrain
from monitor.config.stored import FeatureStore
from monitor.judge.catalogue import NEYMAN, PRODUCTS, SEASONS, VOTERS
from monitor.plan import LAST_WEEK, LONGEST_VECTOR, MOST_MEMBERS, PREVIOUS, Maintenance

LEARN = "learn"
MOST_SEGMENTS = 100
"""Values of one column: each is counted in cells of its own, and has every test of the model once more."""
MOST_GROUPS = 16
"""Groups of one model: each costs about 0.4 µs a record, and 1 kB of every pane and partition."""


def _tolerance(value: Any) -> Any:
    if isinstance(value, str) and str(value) == LEARN:
        return LEARN
    number = as_number(value)
    if not 0 <= number <= 10:
        raise refuse("out-of-range", "a tolerance is `learn` or a number from 0 to 10", got=value)
    return number


def _range(value: Any) -> Any:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise refuse("bad-range", "a range has two ends, [0, 120]; null leaves one open")
    low, high = (None if end is None or typed(end) is None else as_number(end) for end in value)
    if low is not None and high is not None and low > high:
        raise refuse("bad-range", f"the range is empty: {low:g} is above {high:g}")
    if low is None and high is None:
        raise refuse("bad-range", "the range is open at both ends; leave it out")
    return low, high


Tolerance = Annotated[
    Any,
    BeforeValidator(_tolerance),
    WithJsonSchema({"anyOf": [{"const": LEARN}, {"type": "number", "minimum": 0}, PLACEHOLDER]}),
]
Range = Annotated[
    tuple[float | None, float | None],
    BeforeValidator(_range),
    WithJsonSchema(
        {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": {"anyOf": [{"type": "number"}, {"type": "null"}, PLACEHOLDER]},
        }
    ),
]
Budget = Annotated[
    tuple[float, int],
    parsed("bad-budget", parse_budget, tuple),
    PlainSerializer(lambda value: format_budget(*value)),
    WithJsonSchema({"type": "string", "pattern": r"^\S+ +per +\S+$"}),
]


class Window(Group):
    """A family of windows of event time."""

    shorthand = "size"

    size: Annotated[Duration, bounded(10 * SECOND, 92 * DAY, format_duration)] = Field(
        description="Length of a window.", examples=["1h", "24h"]
    )
    step: Annotated[Duration, bounded(10 * SECOND, 92 * DAY, format_duration)] | None = Field(
        default=None,
        description="Distance between the ends of windows; left out, windows follow each other. "
        "It divides the size.",
        examples=["1h"],
    )
    timezone: Zone = Field(
        default="UTC",
        description="Windows of whole days end at midnight in this zone, and seasons follow its clock.",
        examples=["Europe/Berlin"],
    )


class Beside(Group):
    """What windows are shown beside, without a vote."""

    shorthand = "name"

    name: Name = Field(
        description=f"{PREVIOUS} or {LAST_WEEK}; any other name with a file.",
        examples=[PREVIOUS],
    )
    file: Text = Field(
        default="",
        description="Another reference, that `driftline reference build` wrote; a relative one lies beside this "
        "configuration file.",
        examples=["/ref/churn-2025.ref"],
    )


class Column(Group):
    """What a feature, the prediction and the label have in common."""

    nullable: Flag = Field(
        default=True, description="false: a missing value is a violation.", examples=[False]
    )
    range: Range | None = Field(
        default=None, description="Closed interval of allowed numbers.", examples=[[0, 120]]
    )
    allowed: tuple[Text, ...] = Field(
        default=(), description="Allowed categories; left out, all are.", examples=[["DE", "FR"]]
    )
    numbers_in_strings: Flag = Field(default=False, description='Accept "1.5" for 1.5.', examples=[True])
    tolerance: dict[Text, Tolerance] = Field(
        default_factory=dict,
        description="Movement that counts as normal, per test: learn, or a number in units of PSI.",
        examples=[{"psi": 0.02}],
    )


class Feature(Column):
    """One input of the model."""

    shorthand = "path"

    path: DottedPath = Field(
        default=(),
        description="Where it stands in a record; left out, as in the reference.",
        examples=["features.age"],
    )
    kind: Annotated[str, Choice(("numeric", "categorical", "boolean", "vector"))] | None = Field(
        default=None,
        description="Left out, as in the reference. vector: a list of numbers, an embedding.",
        examples=["numeric"],
    )
    length: Annotated[Whole, bounded(1, LONGEST_VECTOR)] | None = Field(
        default=None,
        description="Numbers in a vector; left out, as in the reference.",
        examples=[384],
    )


class Outcome(Column):
    """The prediction, or the label when the record already holds it."""

    shorthand = "path"

    path: DottedPath = Field(description="Where it stands in a record.", examples=["score"])
    kind: Annotated[str, Choice(("score", "class", "number"))] = Field(
        default="score",
        description="score: a probability; class: a category; number: a regression.",
        examples=["score"],
    )


class Segment(Group):
    """A column by whose values a model is also watched."""

    shorthand = "path"

    feature: Text = Field(
        default="",
        description="A categorical or boolean feature; left out, as the path, the one of the segments' name.",
        examples=["country"],
    )
    path: DottedPath = Field(
        default=(), description="Where a column that is no feature stands.", examples=["ctx.region"]
    )
    values: tuple[Text, ...] = Field(
        default=(),
        max_length=MOST_SEGMENTS,
        description="Values that are watched each on their own; all others are one segment, `other`, and rows "
        "without a value `missing`.",
        examples=[["DE", "FR"]],
    )
    top: Annotated[Whole, bounded(1, MOST_SEGMENTS)] = Field(
        default=10,
        description="Without values: the ones with most rows in the reference.",
        examples=[20],
    )


class Model(Group):
    """One served model."""

    source: Text = Field(
        default="",
        description="One of `sources`; may be left out when there is only one.",
        examples=["predictions"],
    )
    reference: Annotated[ReferenceSource, expand(ReferenceSource)] | None = Field(
        default=None,
        description="What is normal; left out, all verdicts are unknown(no_reference).",
        examples=[{"file": "/ref/churn.ref"}],
    )
    registry: Registry | None = Field(
        default=None,
        description="The model registry that says which version is judged, and by which reference.",
        examples=[{"url": "https://mlflow.example", "alias": "champion"}],
    )
    budget: Budget = Field(
        default=(2.0, 30 * DAY), description="False pages the operator accepts.", examples=["2 per 30d"]
    )
    season: Annotated[str, Choice(("none", *SEASONS))] = Field(
        default="none",
        description="What of the reference a window is compared with: all of it, or the same hours or days, in the "
        "time zone of the windows.",
        examples=["hour_of_day"],
    )
    beside: tuple[Annotated[Beside, expand(Beside)], ...] = Field(
        default=(),
        description="What each window is compared with beside its reference; shown, and no vote.",
        examples=[[PREVIOUS, LAST_WEEK, {"name": "last-year", "file": "/ref/churn-2025.ref"}]],
    )
    compat: tuple[Annotated[str, Choice(PRODUCTS)], ...] = Field(
        default=(), description="Products whose own scores are shown too; no vote.", examples=[["evidently"]]
    )
    early: Share = Field(
        default=0.2,
        description="Share of the budget for alarms before a window closes; 0: none. The tests of closed windows keep "
        "the rest, and more where the reference would be too short for that.",
        examples=[0.2],
    )
    windows: dict[Name, Annotated[Window, expand(Window)]] = Field(
        default_factory=lambda: {"1h": Window(size=HOUR)},
        min_length=1,
        description="Families of windows by name.",
        examples=[{"1h": {"size": "1h"}, "1d": {"size": "24h", "step": "1h"}}],
    )
    pane: Annotated[Duration, bounded(10 * SECOND, 5 * MINUTE, format_duration)] | None = Field(
        default=None,
        description="Slice of event time that counts are kept for; it divides all sizes and steps. "
        "Left out, it follows from them.",
        examples=["1m"],
    )
    allowed_lateness: Span = Field(
        default=5 * MINUTE,
        description="Records later than this behind the watermark are counted as late, not applied.",
        examples=["5m"],
    )
    features: dict[Name, Annotated[Feature, expand(Feature)]] = Field(
        default_factory=dict,
        description="Inputs by name. All features of the reference are watched; those named "
        "here get another path or a contract.",
        examples=[{"age": {"path": "features.age", "kind": "numeric", "range": [0, 120]}}],
    )
    prediction: Annotated[Outcome, expand(Outcome)] | None = Field(
        default=None,
        description="What the model answered; watched like a feature, under the name prediction.",
        examples=[{"path": "score", "kind": "score"}],
    )
    label: Annotated[Outcome, expand(Outcome)] | None = Field(
        default=None,
        description="The truth, where the record already holds it; watched like a feature, named label.",
        examples=[{"path": "label", "kind": "class"}],
    )
    labels: Labels | None = Field(
        default=None,
        description="The truth, on another topic where it comes later, or in the record: what the model's performance is measured by.",
        examples=[{"source": "outcomes", "path": "label", "wait": "24h"}],
    )
    feature_store: FeatureStore | None = Field(
        default=None,
        description="The online feature store that the model's inputs come from: a sample of records is compared with it.",
        examples=[
            {
                "url": "https://feast.example",
                "entities": {"driver_id": "driver"},
                "features": {"conv_rate": "driver_stats:conv_rate"},
            }
        ],
    )
    segments: dict[Name, Annotated[Segment, expand(Segment)]] = Field(
        default_factory=dict,
        description="Columns by whose values the model is also watched, within the same budget. The reference is "
        "built again with them.",
        examples=[
            {"country": {"feature": "country", "top": 10}, "tier": {"path": "ctx.tier", "values": ["gold"]}}
        ],
    )
    groups: dict[Name, Annotated[tuple[Text, ...], Field(min_length=2, max_length=MOST_MEMBERS)]] = Field(
        default_factory=dict,
        max_length=MOST_GROUPS,
        description="Numeric features that are also judged together, for changes that none of them shows alone, like a "
        "correlation that flips. Small groups see more: of 2 to 4, say. The reference is built again with them.",
        examples=[{"money": ["income", "debt"]}],
    )
    contract: Contract = Field(
        default=Contract(),
        description="What holds for all columns; what holds for one stands with it.",
        examples=[{"private": True}],
    )
    diagnosis: Diagnosis = Field(
        default=Diagnosis(),
        description="What a diagnosis is made of, and what it may say.",
        examples=[{"sample": 512, "values": "names"}],
    )
    min_records: Annotated[Whole, bounded(1, 10**9)] = Field(
        default=50, description="Windows with fewer records are unknown.", examples=[50]
    )
    tolerance: dict[Text, Tolerance] = Field(
        default_factory=dict,
        description="Movement that counts as normal, by test, or test and feature: learn, or a "
        "number in units of PSI.",
        examples=[{"psi": "learn", "psi(age)": 0.02}],
    )
    ratio_tolerance: Share = Field(
        default=0.005,
        description="Movement of ratios (missing, novel, …) that counts as normal.",
        examples=["0.5%"],
    )
    detectors: tuple[Annotated[str, Choice(VOTERS)], ...] = Field(
        default=(NEYMAN,),
        description="What votes beside psi, ks, g and ratios. neyman: four numbers for location, spread and shape of each "
        "numeric feature, sooner than psi where the whole feature changes. [] for none.",
        examples=[["neyman", "wasserstein"]],
    )
    rules: dict[Name, Annotated[Limit, expand(Limit)]] = Field(
        default_factory=dict,
        description="Raw limits, outside the budget, by name.",
        examples=[{"hard-limit": {"when": "psi(age) > 0.25 for 3 windows", "do": "ticket"}}],
    )
    page_on: Annotated[str, Choice(("drift", "harm"))] = Field(
        default="drift",
        description="harm: a drift is a ticket, and pages only where a limit on performance (`rules`) is broken, by labels or "
        "by all bounds of the estimate without them.",
        examples=["drift"],
    )
    maintenance: tuple[
        Annotated[
            Maintenance,
            parsed("bad-maintenance", parse_maintenance, Maintenance),
            PlainSerializer(format_maintenance),
            WithJsonSchema({"type": "string"}),
        ],
        ...,
    ] = Field(
        default=(),
        description="When nobody is told of what windows find that end then: days, a time of day, how long and a time zone, or "
        "from one time to another. What still drifts in the first window after it is told of then.",
        examples=[["sat,sun 02:00 for 3h in Europe/Berlin", "2026-12-24T00:00 to 2026-12-27T00:00 in UTC"]],
    )
    retrain: Retrain = Field(
        default=Retrain(),
        description="When retraining is asked for.",
        examples=[{"mode": "suggest", "when": ["drift for 3 windows"], "target": "airflow"}],
    )
    champion: Text = Field(
        default="champion",
        description="The variant that is judged; rows without a variant are too.",
        examples=["champion"],
    )
    clear_after: Annotated[Whole, bounded(1, 1000)] = Field(
        default=2, description="Consecutive ok windows that resolve an incident.", examples=[2]
    )
    runbook: Text = Field(
        default="",
        description="Link in every alert of this model.",
        examples=["https://wiki.example/runbooks/churn"],
    )
