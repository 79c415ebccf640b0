"""Which fields the compiled scanner reads for a model, and where their values go."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from kernels import program as p
from monitor.intake.program import Leaf
from monitor.plan import FeaturePlan, Kind, ModelPlan, Path, SourcePlan, TimeUnit

Place = tuple[int, int]
"""Row of `tokens`, and which of those that read it."""


class Role(enum.StrEnum):
    """What else than a category a token may be; no feature may have such a name."""

    VERSION = "\0version"
    VARIANT = "\0variant"
    MODEL = "\0model"


@dataclass(slots=True)
class Leaves:
    """What is read, and from which row of the scanner's output each column comes."""

    leaves: list[Leaf] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    """Rows of `values`, per numeric feature."""
    latency: int = -1
    """Row of `values`; -1 where no latency is read."""
    codes: list[Place] = field(default_factory=list)
    """Per categorical feature."""
    version: Place | None = None
    variant: Place | None = None
    model: Place | None = None
    value_rows: int = 0
    dims: int = 0
    """Columns of `vectors`: those of all vector features side by side."""
    readers: list[list[str]] = field(default_factory=list)
    """Who reads each row of `tokens`: names of features, or a Role."""


def choose(source: SourcePlan, plan: ModelPlan) -> Leaves | None:
    """The fields of a model; None where they cannot be read in one pass: a path that is read in two
    ways, records that are arrays, a vector deeper than records may be."""
    chosen = Leaves()
    known: dict[Path, Leaf] = {}
    try:
        for feature in plan.features:
            _feature(chosen, known, feature)
        if source.version:
            chosen.version = _token(chosen, known, source.version, p.TOKEN, Role.VERSION)
        if source.variant:
            chosen.variant = _token(chosen, known, source.variant, p.TOKEN, Role.VARIANT)
        if source.model:
            chosen.model = _token(chosen, known, source.model, p.MODEL, Role.MODEL)
        if source.latency:
            chosen.latency = _number(chosen, known, source.latency, p.NUMBER)
        if source.time:
            kind = p.RFC3339 if source.time_unit is TimeUnit.RFC3339 else p.EPOCH
            _leaf(known, source.time, kind, 0)
        if source.error:
            _leaf(known, source.error, p.ERROR, 0)
    except _ReadTwice:
        return None
    chosen.leaves = list(known.values())
    is_array = any(isinstance(path[0], int) for path in known)
    too_deep = any(leaf.kind == p.VECTOR and len(leaf.path) >= source.max_depth for leaf in chosen.leaves)
    return None if is_array or too_deep else chosen


class _ReadTwice(Exception):
    """A path is read as two kinds."""


def _feature(chosen: Leaves, known: dict[Path, Leaf], feature: FeaturePlan) -> None:
    if feature.kind is Kind.NUMERIC:
        kind = p.TEXT_NUMBER if feature.numbers_in_strings else p.NUMBER
        chosen.values.append(_number(chosen, known, feature.path, kind))
    elif feature.kind is Kind.VECTOR:
        if feature.path in known:
            raise _ReadTwice
        known[feature.path] = Leaf(feature.path, p.VECTOR, chosen.dims, feature.length)
        chosen.dims += feature.length
    else:
        kind = p.BOOLEAN if feature.kind is Kind.BOOLEAN else p.TOKEN
        chosen.codes.append(_token(chosen, known, feature.path, kind, feature.name))


def _number(chosen: Leaves, known: dict[Path, Leaf], path: Path, kind: int) -> int:
    row = _leaf(known, path, kind, chosen.value_rows)
    chosen.value_rows = max(chosen.value_rows, row + 1)
    return row


def _token(chosen: Leaves, known: dict[Path, Leaf], path: Path, kind: int, reader: str) -> Place:
    row = _leaf(known, path, kind, len(chosen.readers))
    if row == len(chosen.readers):
        chosen.readers.append([])
    chosen.readers[row].append(reader)
    return row, len(chosen.readers[row]) - 1


def _leaf(known: dict[Path, Leaf], path: Path, kind: int, target: int) -> int:
    """Row of the output that a path goes to: the one it goes to already, or `target`."""
    leaf = known.setdefault(path, Leaf(path, kind, target))
    if leaf.kind != kind:
        raise _ReadTwice
    return leaf.target
