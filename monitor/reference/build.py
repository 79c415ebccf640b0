"""Building a reference from rows of training or logged data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.layout import FIRST_BIN, LATENCY_BINS
from monitor.errors import ReferenceInvalid
from monitor.novel import hash64
from monitor.plan import LONGEST_VECTOR, Kind
from monitor.reference.adopt import adopted, arranged, segmented_as
from monitor.reference.bins import GROUPS, LARGEST, QUANTILES, coarse_groups, numeric_edges
from monitor.reference.calibrated import tally_calibration
from monitor.reference.design import block_effects, cluster_effects, window_size
from monitor.reference.grouped import GroupDeclaration, declare_groups, places_of
from monitor.reference.profile import FeatureProfile, Reference
from monitor.reference.sampled import Keeper
from monitor.reference.segment_tally import (
    HIDDEN_COLUMN,
    SegmentDeclaration,
    segment_columns,
    tally_segments,
)
from monitor.reference.span import HOUR, MAX_PANES, pane_size, show_span
from monitor.reference.survey import ColumnSurvey, Survey, ranked, survey
from monitor.reference.table import FeatureDeclaration, Table
from monitor.reference.tally import Encoder, Placement, summed, tally
from monitor.reference.vector import profile_group, profile_vectors, without_waves

Progress = Callable[[int], None]
PANE = 300_000
CATEGORIES = 250
"""Categories with a slot of their own; the tail shares `other`. 250 and the three special slots
stay within the 2 kB per pane of a numeric feature."""
NOTHING = float("nan")
"""A statistic of a feature that has no values."""


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """How finely a reference is kept.

    window   size of the windows that will be judged, milliseconds; blocks inside them give the
             design effects. 0: an hour. See `design.window_size`
    unit     greatest common divisor of window sizes and steps; see `span.pane_size`
    sample   rows that are kept as slot codes, at most: see `monitor.sample.reference_rows`
    """

    quantiles: int = QUANTILES
    categories: int = CATEGORIES
    max_panes: int = MAX_PANES
    window: int = 0
    unit: int = 0
    sample: int = 0


def build(
    table: Table | Iterable[Table],
    *,
    model: str,
    name: str,
    features: Sequence[FeatureDeclaration] | None = None,
    pane: int = PANE,
    created: int = 0,
    origin: Mapping[str, Any] | None = None,
    settings: BuildSettings | None = None,
    progress: Progress | None = None,
    segments: Sequence[SegmentDeclaration] = (),
    groups: Sequence[GroupDeclaration] = (),
    bins: Reference | None = None,
) -> Reference:
    """The reference of a table, or of a source of tables that can be read several times.

    features  None: every column, its kind read off the values
    pane      milliseconds; grows when there would be more than `settings.max_panes`
    created   milliseconds; a parameter, so that equal input gives equal bytes
    progress  is told the rows read so far, from 0 again in each of at most 7 passes
    segments  columns that rows are counted by once more; `features` holds those that are no feature of
              the model, by their `hidden` declarations, and a label that is none by `calibrated.LABEL`
    groups    numeric features that are also counted together; they become the last features
    bins      a reference whose bins and segments are taken over, so that rows counted by it can be compared with
              this one; the features must be the same

    Raises ReferenceInvalid when there are no rows, a declared column is missing, or a column
    does not fit its declared kind or its group. The result has no `digest`; writing it gives one.
    """
    settings = settings or BuildSettings()
    chunks = _watched([table] if isinstance(table, Table) else table, progress)
    every = declare_groups(features if features is not None else _undeclared(chunks), groups)
    every, segments = (arranged(every, bins), segmented_as(segments, bins)) if bins else (every, segments)
    declared = tuple(feature for feature in every if not feature.name.startswith(HIDDEN_COLUMN))
    surveyed = survey(chunks, features=every, pane=pane)
    found = replace(surveyed, columns=[c for c in surveyed.columns if c.feature in declared])
    timed = found.timed
    size = pane_size(found.panes, pane=pane, unit=settings.unit, limit=settings.max_panes) if timed else 0
    profiles = _profiles(found.columns, settings, model=model, bins=bins)
    encoder = Encoder(declared, profiles, _bare(profiles).layout())
    keeper = Keeper(encoder.layout, settings.sample)
    total = tally(chunks, encoder, _placement(size), keeper)
    panes = total.panes(size)
    sample, sampled = keeper.kept(panes.starts // max(size, 1))
    counts = summed(panes.indptr, panes.slots, panes.values, encoder.layout.slots)
    profiles = tuple(
        _grouped(profile, counts[encoder.layout.start[i] : encoder.layout.start[i + 1]])
        for i, profile in enumerate(profiles)
    )
    columns = segment_columns(segments, surveyed.columns, profiles)
    calibration, also = tally_calibration(chunks, every, profiles, columns)
    profiles = _designed(chunks, replace(encoder, profiles=profiles), found, settings, pane=pane)
    return Reference(
        model=model, name=name, created=created, origin=dict(origin or {}), features=profiles,
        panes=panes, pane=size,
        timed=timed,
        rows=int(panes.rows.sum()),
        errors=int(panes.errors.sum()),
        counts=counts,
        latency=summed(panes.latency_indptr, panes.latency_bins, panes.latency_values, LATENCY_BINS),
        notes=(*_notes(found, size=size, pane=pane, unit=settings.unit), *also),
        vectors=np.zeros(encoder.layout.vectors.words, np.int64) + total.words,
        sample=sample,
        sampled=sampled,
        segments=tally_segments(
            chunks, columns, encoder, found.columns, _placement(size), panes, size
        ),
        calibration=calibration,
    )  # fmt: skip


class _Watched:
    """Chunks that tell how far they have been read."""

    def __init__(self, chunks: Iterable[Table], progress: Progress) -> None:
        self._chunks, self._progress = chunks, progress

    def __iter__(self) -> Iterator[Table]:
        rows = 0
        for chunk in self._chunks:
            yield chunk
            rows += len(chunk)
            self._progress(rows)


def _watched(chunks: Iterable[Table], progress: Progress | None) -> Iterable[Table]:
    return chunks if progress is None else _Watched(chunks, progress)


def _undeclared(chunks: Iterable[Table]) -> tuple[FeatureDeclaration, ...]:
    for chunk in chunks:
        return tuple(FeatureDeclaration(name) for name in chunk.columns)
    raise ReferenceInvalid("there are no rows - the input of the reference - at least one row is right")


def _placement(size: int) -> Placement:
    def place(table: Table) -> NDArray[np.int64]:
        if table.events is None or size == 0:
            return np.zeros(len(table), np.int64)
        return np.asarray(np.floor_divide(table.events, size), np.int64)

    return place


def _profiles(
    columns: Sequence[ColumnSurvey], settings: BuildSettings, *, model: str, bins: Reference | None
) -> tuple[FeatureProfile, ...]:
    known = {} if bins is None else {profile.name: profile for profile in bins.features}
    found: list[FeatureProfile] = []
    for column in columns:
        profile = (
            _group(column, found, model=model)
            if column.feature.members
            else _profile(column, settings, model=model)
        )
        like = known.get(profile.name)
        vectors = column.vectors() if profile.vector is not None else None
        found.append(profile if like is None else adopted(profile, like, vectors))
    return tuple(found)


def _group(column: ColumnSurvey, known: Sequence[FeatureProfile], *, model: str) -> FeatureProfile:
    column.length = column.feature.length
    members = tuple(one.name for one in column.feature.members)
    center, scale = places_of(members, known)
    vector = profile_group(column.vectors(), center, scale, model=model, feature=column.feature.name)
    return replace(_unmeasured(column, Kind.VECTOR), vector=vector, members=members)


def _profile(column: ColumnSurvey, settings: BuildSettings, *, model: str) -> FeatureProfile:
    kind = column.settle()
    if kind is Kind.NUMERIC:
        return _numeric(column, settings)
    if kind is Kind.VECTOR:
        return _vector(column, model=model)
    names: tuple[str, ...] = ("false", "true")
    rare: set[int] = set()
    novelty = 0.0
    if kind is Kind.CATEGORICAL:
        every = [category for category, _ in ranked(column.categories)]
        names = tuple(every[: settings.categories])
        rare = {hash64(category) for category in every[settings.categories :]}
        once = sum(count == 1 for count in column.categories.values())
        novelty = once / max(column.categories.total(), 1)
    rest = np.array(sorted(rare), np.uint64)
    return replace(_unmeasured(column, kind), categories=names, tail=rest, novelty=novelty)


def _unmeasured(column: ColumnSurvey, kind: Kind) -> FeatureProfile:
    """The profile of a feature that is no number."""
    return FeatureProfile(
        name=column.feature.name,
        path=column.feature.live_path,
        kind=kind,
        edges=np.empty(0),
        coarse=np.empty(0, np.int16),
        categories=(),
        center=0.0,
        scale=1.0,
        minimum=NOTHING,
        maximum=NOTHING,
        mean=NOTHING,
        std=NOTHING,
        iqr=NOTHING,
    )


def _vector(column: ColumnSurvey, *, model: str) -> FeatureProfile:
    """A declared length stands where there are no vectors to read it off. Raises ReferenceInvalid."""
    length = column.length or column.feature.length
    if not 1 <= length <= LONGEST_VECTOR:
        raise ReferenceInvalid(
            f"vectors of {length} numbers - feature {column.feature.name} - 1 to {LONGEST_VECTOR} are right"
        )
    column.length = length
    vector = profile_vectors(column.vectors(), model=model, feature=column.feature.name)
    return replace(_unmeasured(column, Kind.VECTOR), vector=vector)


def _numeric(column: ColumnSurvey, settings: BuildSettings) -> FeatureProfile:
    """Edges and moments; the coarse groups wait for the exact counts."""
    values = _ordered(column.sampled())
    empty = column.finite == 0
    edges = numeric_edges(
        values, minimum=column.minimum, maximum=column.maximum, quantiles=settings.quantiles
    )
    low, middle, high = (_quantile(values, q) for q in (0.25, 0.5, 0.75))
    iqr = min(high - low, LARGEST)
    mean, std = _moments(column, values)
    return FeatureProfile(
        name=column.feature.name,
        path=column.feature.live_path,
        kind=Kind.NUMERIC,
        edges=edges,
        coarse=np.zeros(len(edges) - 1, np.int16),
        categories=(),
        center=0.0 if empty else middle,
        scale=1.0 if empty else iqr or std or 1.0,
        minimum=NOTHING if empty else column.minimum,
        maximum=NOTHING if empty else column.maximum,
        mean=NOTHING if empty else mean,
        std=NOTHING if empty else std,
        iqr=NOTHING if empty else iqr,
    )


def _ordered(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Finite `values`, put in ascending order where they are."""
    from kernels.order import ascend  # compiles or loads the kernel

    ascend(values.view(np.uint64), np.empty(len(values), np.uint64))
    return values


def _moments(column: ColumnSurvey, values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation; from the sorted values where all are kept, so that the
    last digit does not depend on how the rows were cut into chunks."""
    mean, variance = column.mean, column.spread / max(column.finite, 1)
    if 0 < len(values) == column.finite:
        with np.errstate(over="ignore", invalid="ignore"):
            mean, variance = float(np.mean(values)), float(np.var(values))
    std = variance**0.5
    return float(np.nan_to_num(mean, posinf=LARGEST, neginf=-LARGEST)), min(std, LARGEST)


def _quantile(ordered: NDArray[np.float64], q: float) -> float:
    """The smallest value with at least the share `q` at or below it; always a value that occurs."""
    if len(ordered) == 0:
        return 0.0
    return float(ordered[max(int(np.ceil(q * len(ordered))) - 1, 0)])


def _bare(profiles: tuple[FeatureProfile, ...]) -> Reference:
    """A reference without counts, for its layout."""
    from monitor.reference.tally import PaneTally

    return Reference(
        model="",
        name="",
        created=0,
        origin={},
        features=profiles,
        panes=PaneTally().panes(1),
        pane=0,
        timed=False,
        rows=0,
        errors=0,
        counts=np.empty(0, np.int64),
        latency=np.empty(0, np.int64),
    )


def _grouped(profile: FeatureProfile, counts: NDArray[np.int64]) -> FeatureProfile:
    """The profile with its coarse view, from the exact counts of its slots."""
    if profile.kind is not Kind.NUMERIC:
        return profile
    return replace(profile, coarse=coarse_groups(counts[FIRST_BIN:-1], groups=GROUPS))


def _designed(
    chunks: Iterable[Table], encoder: Encoder, found: Survey, settings: BuildSettings, *, pane: int
) -> tuple[FeatureProfile, ...]:
    """The profiles with their design effects; 1 and not measured where rows cannot tell."""
    effects: list[float | None] = [None] * len(encoder.profiles)
    layout = encoder.layout  # whose vectors count for nothing here but their presence
    encoder = replace(encoder, layout=layout._replace(vectors=without_waves(layout.vectors)))
    wanted = settings.window or HOUR
    if found.clustered:
        effects = cluster_effects(chunks, encoder, window=wanted if found.timed else 0)
    elif found.timed:
        window = window_size(found.panes, pane=pane, rows=found.rows, wanted=wanted)
        effects = block_effects(chunks, encoder, panes=found.panes, pane=pane, window=window)
    return tuple(
        profile if effect is None else replace(profile, design=effect, design_measured=True)
        for profile, effect in zip(encoder.profiles, effects, strict=True)
    )


def _notes(found: Survey, *, size: int, pane: int, unit: int) -> tuple[str, ...]:
    notes = []
    if not found.timed:
        notes.append("untimed: no event times, so no windows, seasons or learnt tolerances come from it")
    if found.sampled < found.rows:
        notes.append(f"edges from a sample of {found.sampled} of {found.rows} rows; counts are exact")
    if size > pane:
        notes.append(f"panes of {show_span(size)} instead of {show_span(pane)}: there would be too many")
    if unit and size > unit:
        notes.append(f"windows of {show_span(unit)} cannot be cut from panes of {show_span(size)}")
    for column in found.columns:
        if column.forgotten:
            notes.append(f"{column.feature.name}: too many categories to count, the rarest were forgotten")
        if not column.finite and not column.categories:
            notes.append(f"{column.feature.name}: no values, it cannot be judged")
    return tuple(notes)
