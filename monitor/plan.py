"""Plain values that the daemon builds from the configuration for the layers below it.

Lower layers never see configuration classes (ARCHITECTURE.md, who may import whom).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.judge.catalogue import NEYMAN

Path = tuple[str | int, ...]
"""A dotted path, split: ("features", "age"), ("inputs", 0, "data", 3)."""


class TimeUnit(enum.StrEnum):
    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "us"
    NANOSECONDS = "ns"
    RFC3339 = "rfc3339"


_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms"))
PREVIOUS, LAST_WEEK = "previous_window", "same_window_last_week"
"""Names of `ModelPlan.beside` that have no file."""
LONGEST_VECTOR = 8_192
"""Numbers in one vector: the longest embeddings in use have 4,096."""
MOST_MEMBERS = 16
"""Features of one group. The more there are, the less the kernel sees of a change of two: in windows of 1,000 rows a
correlation of 0.8 that goes to 0.4 is found in a group of 2, one that goes to 0 in one of 8, and a flip to -0.8 in
one of 16, and of 32 not any more (`bench.groups`)."""


class Kind(enum.StrEnum):
    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    VECTOR = "vector"


@dataclass(frozen=True, slots=True)
class FeaturePlan:
    """One monitored column and its contract. The prediction is a feature named "prediction"."""

    name: str
    path: Path
    kind: Kind
    nullable: bool = True
    range: tuple[float | None, float | None] = (None, None)
    """Closed interval of allowed values; None is open."""
    allowed: tuple[str, ...] = ()
    """Allowed categories; empty allows all."""
    numbers_in_strings: bool = False
    """Accept "1.5" for 1.5."""
    length: int = 0
    """Numbers in a vector; 0 for other kinds."""
    categories: tuple[str, ...] | None = None
    """Of a hidden column (`monitor.segments`): the categories with a slot of their own; others have no
    name. None: as the reference says."""
    members: tuple[str, ...] = ()
    """Of a group: the numeric features whose values are its vector. It has no path, and stands behind all others."""


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """A column whose values are segments: `name`=value; see `monitor.segments`."""

    name: str
    path: Path
    kind: Kind = Kind.CATEGORICAL
    """CATEGORICAL, or BOOLEAN where a boolean feature has the same path."""
    values: tuple[str, ...] = ()
    """Values that have a segment of their own; all others are one, `other`."""


class RuleKind(enum.StrEnum):
    NULL = "null"
    RANGE = "range"
    CATEGORY = "category"


@dataclass(frozen=True, slots=True)
class Rule:
    """One countable breach: index in `Sketch.violations` is its place in `ModelPlan.rules`."""

    feature: str
    kind: RuleKind


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """A family of windows. `size`, `step` in milliseconds; step == size is tumbling.

    Ends lie at multiples of `step` since the epoch in UTC, or since local midnight in `timezone`
    when `step` is a multiple of a day.
    """

    name: str
    size: int
    step: int
    timezone: str = "UTC"

    @property
    def overlap(self) -> int:
        """How many of the windows before it share rows with one."""
        return -(-self.size // self.step) - 1


@dataclass(frozen=True, slots=True)
class Budget:
    """False pages that the operator accepts: `pages` per `period` milliseconds."""

    pages: float
    period: int


@dataclass(frozen=True, slots=True)
class RawRule:
    """A raw limit outside the budget: `score(feature) op limit in quorum among for windows of of windows`."""

    name: str
    score: str
    feature: str
    operator: str
    """One of > >= < <=."""
    limit: float
    windows: int
    """On end; of a figure also for a time, ms and negative."""
    action: str
    """ticket | page | retrain"""
    of: int = 0
    """So many of the last `of` windows break it; 0: all on end."""
    quorum: int = 0
    """Features or segments that break it; 0: the one that is named. Then `feature` is the segments' column, "" any."""
    among: str = ""
    """features | segments"""
    clear: float | None = None
    """It holds on until the value is at this, once it held; None: until it is at the limit."""

    @property
    def text(self) -> str:
        """As it is written: `psi > 0.25 in 3 features for 2 of 5 windows`."""
        text = f"{self.subject} {self.operator} {self.limit:g}"
        if self.quorum:
            text += f" in {self.quorum} {self.among}"
        if self.of:
            return f"{text} for {self.windows} of {self.of} windows"
        if self.windows < 0:
            size, unit = next((size, unit) for size, unit in _UNITS if not -self.windows % size)
            return f"{text} for {-self.windows // size}{unit}"
        return text + (f" for {self.windows} windows" if self.windows > 1 else "")

    @property
    def subject(self) -> str:
        """psi(age); accuracy, where it is of the whole."""
        return f"{self.score}({self.feature})" if self.feature else self.score


class Shown(enum.StrEnum):
    """What the text of a diagnosis may say of values."""

    NAMES = "names"
    """Categories by name, numbers by range."""
    CODES = "codes"
    """Which slot, not what lies in it."""
    NONE = "none"
    """Features alone."""


@dataclass(frozen=True, slots=True)
class RetrainPlan:
    mode: str = "off"
    """off | suggest | auto"""
    windows: int = 1
    """Consecutive drifting windows before a request."""
    cooldown: int = 86_400_000
    """Milliseconds between requests of one model."""
    max_per_day: int = 1
    min_records: int = 0
    target: str = ""
    paused: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class JoinPlan:
    """How the labels of another topic find the predictions of a model."""

    source: str
    """Of the labels; "": they stand in the record of the prediction."""
    kind: str
    """score | class | number"""
    wait: int
    """Labels count that come at most so long after the prediction, ms; or before it."""
    digest: bytes
    """8 bytes: of all that gives the kept rows their meaning."""
    classes: tuple[str, ...] = ()
    """class: those that are told apart; score: labels that the score is the probability of, all others are not."""
    threshold: float = 0.5
    """score: what is predicted to be one of `classes`."""
    scale: float = 1.0
    """number: what errors are counted in."""
    is_label: bool = False
    """The plan is that of the labels themselves."""
    most: int = 1 << 62
    """Predictions of one partition that may wait for labels at once."""
    most_early: int = 1 << 62
    """Labels of one partition that may wait for predictions at once: `monitor.labels.brief`."""
    path: Path = ()
    """Of the label, where it stands in the record of the prediction."""


@dataclass(frozen=True, slots=True)
class StorePlan:
    """What of a model's records is compared with an online feature store."""

    entities: Mapping[str, Path]
    """Join key of the store → where records have it."""
    features: Mapping[str, str]
    """Feature → what the store calls it, "view:feature"."""
    share: float = 1.0
    """Of the records; those of smallest hash."""
    per_minute: int = 300
    """Records that are asked in a minute, at most, by each process."""
    tolerance: float = 1e-6
    """How far numbers may differ, relative to the larger."""
    max_age: int = 60_000
    """Ms after its event time for which a record may be compared."""
    limits: tuple[RawRule, ...] = ()
    """On the ratio of mismatches; `feature` is "" of whole records."""


@dataclass(frozen=True, slots=True)
class ConceptPlan:
    """Who watches the errors of a model: names of `monitor.labels.concept.OF_ERRORS`, and what a change brings about."""

    detectors: tuple[str, ...] = ()
    action: str = "ticket"
    """As of a raw rule."""

    @staticmethod
    def rule(detector: str) -> str:
        """The rule that a change opens an incident by; none of a configuration has a slash in its name."""
        return f"concept/{detector}"

    @property
    def rules(self) -> tuple[RawRule, ...]:
        return tuple(
            RawRule(self.rule(name), name, "errors", ">", 0.0, 1, self.action) for name in self.detectors
        )


@dataclass(frozen=True, slots=True)
class Maintenance:
    """When nobody is told of incidents that open: each of `days` from a minute of the day on, for `length` ms; or, where
    that is 0, from `begin` to `until`."""

    timezone: str = "UTC"
    days: tuple[int, ...] = ()
    """Monday is 0."""
    minute: int = 0
    length: int = 0
    begin: int = -1
    until: int = -1


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """All that ingest, evaluate and the judge need to know about one model. Times in ms."""

    name: str
    source: str
    features: tuple[FeaturePlan, ...]
    """In layout order: the order of the reference's features."""
    rules: tuple[Rule, ...]
    windows: tuple[WindowSpec, ...]
    pane: int
    budget: Budget
    config: str
    """Digest of the layout, the paths, the contract rules and the pane: what gives counts meaning."""
    reference: str = ""
    """Path of the reference file; "" when there is none yet."""
    champion: str = "champion"
    """Rows of this variant, and rows that name none, are judged."""
    early: float = 0.2
    """Share of the budget for looks before a window closes."""
    lateness: int = 300_000
    min_records: int = 50
    tolerance: Mapping[str, float] = field(default_factory=dict)
    """Test or "test(feature)" → fixed PSI-unit tolerance; absent means learnt."""
    ratio_tolerance: float = 0.005
    detectors: tuple[str, ...] = (NEYMAN,)
    """What votes beside psi, ks, g and ratios, of `monitor.judge.catalogue.VOTERS`."""
    beside: Mapping[str, str] = field(default_factory=dict)
    """What windows are also compared with, without a vote: PREVIOUS, LAST_WEEK, or a name and its reference file."""
    compat: tuple[str, ...] = ()
    """Products whose scores are shown, of `monitor.judge.catalogue.PRODUCTS`."""
    season: str = "none"
    """none | hour_of_day | day_of_week | hour_of_week: what of the reference a window is compared with."""
    raw_rules: tuple[RawRule, ...] = ()
    retrain: RetrainPlan = field(default_factory=RetrainPlan)
    clear_after: int = 2
    """Consecutive ok windows that resolve an incident."""
    runbook: str = ""
    segments: tuple[SegmentPlan, ...] = ()
    groups: tuple[str, ...] = ()
    """Groups whose features are judged together; others of the reference are counted and do not vote."""
    sample: int = 0
    """Rows kept of each pane and source partition, as slot codes, for the diagnosis; 0: none."""
    shown: Shown = Shown.NAMES
    join: JoinPlan | None = None
    harm: tuple[RawRule, ...] = ()
    """Limits on performance, by name; they look at windows whose labels are in. `feature` is a segment, "" the whole."""
    concept: ConceptPlan = field(default_factory=ConceptPlan)
    maintenance: tuple[Maintenance, ...] = ()
    page_on_harm: bool = False
    """A drift is a ticket unless a limit on performance is broken, by labels or by the estimate."""
    store: StorePlan | None = None
    registered: bool = False
    """A model registry says which version is judged, by which reference: see `monitor.reigns`."""
    version: str | None = None
    """Rows of this version alone are judged; None: those of any."""
    borrowed: bool = False
    """The reference is that of another version: what drifts may be the version's own, so it is a ticket and no page."""

    @property
    def measured(self) -> tuple[RawRule, ...]:
        """All that windows whose labels are in open incidents by."""
        return (*self.harm, *self.concept.rules)

    @property
    def limits(self) -> tuple[RawRule, ...]:
        """All raw limits, whatever they are on."""
        return (*self.raw_rules, *self.measured, *(self.store.limits if self.store is not None else ()))


@dataclass(frozen=True, slots=True)
class DeadLetterPlan:
    to: str = "file"
    """topic | file | count"""
    path: str = ""
    """File path, or topic name."""
    limit: float = 0.05
    """Share of rejects in the last `over` records of a partition above which it is paused; 1 never."""
    over: int = 1000
    max_bytes: int = 1 << 30
    """Size cap of a dead-letter file; at the cap the partition waits."""


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """One input topic and how its records are read. Times in milliseconds."""

    name: str
    topic: str
    id: Path = ()
    time: Path = ()
    """Empty: the record timestamp is the event time."""
    time_unit: TimeUnit = TimeUnit.MILLISECONDS
    model: Path = ()
    """Empty: the source carries exactly one model."""
    version: Path = ()
    variant: Path = ()
    latency: Path = ()
    latency_unit: TimeUnit = TimeUnit.MILLISECONDS
    error: Path = ()
    """A field that is present and neither null, false, 0, "", "ok" nor a 2xx status: an error."""
    max_bytes: int = 1 << 20
    max_depth: int = 64
    models: tuple[str, ...] = ()
    dead_letter: DeadLetterPlan = field(default_factory=DeadLetterPlan)
    start: str = "earliest"
    """Where a partition without state starts: earliest | latest."""
    unreadable: str = "stop"
    """What happens at a batch that Kafka has and nobody can read: stop | skip."""
    max_future: int = 300_000
    bound: int = 30_000
    """Watermark bound."""
    idle: int = 60_000
    max_ahead: int = 604_800_000
    """How far ahead of the agreed watermark a row may lie before it needs AGREE rows that agree."""
