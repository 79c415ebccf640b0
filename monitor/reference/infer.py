"""What the records of an unknown topic look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from monitor.plan import Kind, Path, TimeUnit
from monitor.reference.category import canonical
from monitor.reference.moment import guess_unit
from monitor.reference.paths import find, flatten, format_path, outside, vectors_in
from monitor.reference.role import CONTAINERS, Candidate, assign, candidates, plain_name
from monitor.reference.survey import LOW_CARDINALITY

SHOWN = 5
"""Categories shown per field."""
LONGEST_SHOWN = 40
_KINDS = {bool: "boolean", int: "integer", float: "number", str: "string"}


@dataclass(frozen=True, slots=True)
class Field:
    """One scalar field of the records.

    present    records that have a value here; `nulls`: that have null or nothing
    kinds      JSON kind → records: boolean, integer, number, string
    distinct   distinct values
    minimum, maximum   of the numbers, None when there are none
    categories the most frequent values of a categorical field, by falling count
    samples    some texts, for guessing; never shown
    """

    path: Path
    present: int
    nulls: int
    kinds: Mapping[str, int]
    kind: Kind
    distinct: int
    minimum: float | None
    maximum: float | None
    categories: tuple[tuple[str, int], ...]
    samples: tuple[str, ...]
    time_unit: TimeUnit | None
    """The unit in which all values are plausible times, None when they are not."""
    length: int = 0
    """Numbers in a vector; such a field has no distinct values and no smallest one."""

    @property
    def is_unique_text(self) -> bool:
        """More a name or an id than a category."""
        return "string" in self.kinds and self.distinct > max(LOW_CARDINALITY, self.present // 2)

    @property
    def is_mixed(self) -> bool:
        """Values of kinds that live ingest does not take together."""
        return len({"number" if kind == "integer" else kind for kind in self.kinds}) > 1


@dataclass(frozen=True, slots=True)
class Schema:
    """What `infer` found in `records` records, `refused` of which were no JSON objects.

    roles       the best field for each role
    candidates  every field that may have a role
    features    fields that are probably inputs, in the order of the records
    left_out    fields that are neither, each with the reason
    """

    records: int
    refused: int
    fields: tuple[Field, ...]
    roles: Mapping[str, Candidate]
    candidates: tuple[Candidate, ...] = ()
    features: tuple[Field, ...] = ()
    left_out: Mapping[Path, str] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    """The model names in the records, most frequent first."""


def infer(values: Sequence[bytes | None]) -> Schema:
    """The schema of some records. Pure; takes any bytes."""
    records, refused = [], 0
    decoder = msgspec.json.Decoder()
    for value in values:
        try:
            record = decoder.decode(value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            record = None
        if isinstance(record, dict):
            records.append(record)
        else:
            refused += 1
    columns: dict[Path, list[Any]] = {}
    for record in records:
        for path, scalar in flatten(record):
            columns.setdefault(path, []).append(scalar)
    above = {path[:depth] for path in columns for depth in range(1, len(path))}
    # an object that is null in some records is no field of its own
    columns = {
        path: column
        for path, column in columns.items()
        if path not in above or any(value is not None for value in column)
    }
    lengths = vectors_in(records)
    columns = {path: column for path, column in columns.items() if outside(path, lengths)}
    vectors = tuple(_vector(path, length, records) for path, length in lengths.items())
    scalars = tuple(_describe(path, column, records=len(records)) for path, column in columns.items())
    unusable = _unusable((*columns, *lengths))
    usable = tuple(one for one in scalars if one.path not in unusable)
    roles = assign(usable)
    features, left_out = _split(usable, roles)
    return Schema(
        records=len(records),
        refused=refused,
        fields=scalars + vectors,
        roles=roles,
        candidates=tuple(one for found in usable for one in candidates(found)),
        features=features + tuple(one for one in vectors if one.path not in unusable),
        left_out=unusable | left_out,
        models=_models(columns, roles),
    )


def _describe(path: Path, column: Sequence[Any], *, records: int) -> Field:
    values = [value for value in column if value is not None]
    kinds = Counter(_KINDS[type(value)] for value in values)
    numbers = [value for value in values if type(value) in {int, float}]
    names = Counter(canonical(value) for value in values)
    kind = _kind(kinds, distinct=len(names))
    shown = (
        ()
        if kind is Kind.NUMERIC
        else tuple(sorted(names.items(), key=lambda item: (-item[1], item[0]))[:SHOWN])
    )
    return Field(
        path=path,
        present=len(values),
        nulls=records - len(values),
        kinds=dict(kinds),
        kind=kind,
        distinct=len(names),
        minimum=min(map(_double, numbers), default=None),
        maximum=max(map(_double, numbers), default=None),
        categories=tuple((name[:LONGEST_SHOWN], count) for name, count in shown),
        samples=tuple(value for value in values[:20] if isinstance(value, str)),
        time_unit=guess_unit(values),
    )


def _vector(path: Path, length: int, records: Sequence[Mapping[str, Any]]) -> Field:
    present = sum(find(record, path) is not None for record in records)
    return Field(
        path=path, present=present, nulls=len(records) - present, kinds={"array": present}, kind=Kind.VECTOR,
        distinct=0, minimum=None, maximum=None, categories=(), samples=(), time_unit=None, length=length,
    )  # fmt: skip


def _kind(kinds: Mapping[str, int], *, distinct: int) -> Kind:
    if kinds.keys() == {"boolean"}:
        return Kind.BOOLEAN
    if "string" in kinds or "boolean" in kinds:
        return Kind.CATEGORICAL
    if kinds.keys() == {"integer"} and distinct <= LOW_CARDINALITY // 2:
        return Kind.CATEGORICAL
    return Kind.NUMERIC


def _double(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def _split(
    fields: Sequence[Field], roles: Mapping[str, Candidate]
) -> tuple[tuple[Field, ...], dict[Path, str]]:
    taken = {candidate.path for candidate in roles.values()}
    container = _container(fields, taken)
    features, left_out = [], {}
    for one in fields:
        if one.path in taken:
            continue
        reason = ""
        if container and one.path[: len(container)] != container:
            reason = f"outside {format_path(container)}"
        elif one.present == 0:
            reason = "always null"
        elif one.is_mixed:
            reason = f"mixed kinds: {', '.join(sorted(one.kinds))}"
        elif one.is_unique_text:
            reason = f"{one.distinct} different texts in {one.present} records"
        elif one.time_unit is not None and one.distinct > LOW_CARDINALITY:
            reason = f"looks like a time ({one.time_unit})"
        elif plain_name(one.path).endswith("_id") and one.distinct > one.present // 2:
            reason = "looks like an id"
        if reason:
            left_out[one.path] = reason
        else:
            features.append(one)
    return tuple(features), left_out


def _unusable(columns: Collection[Path]) -> dict[Path, str]:
    """Paths that no configuration can read, with the reason.

    One that is a value in some records and an object in others, one below something that is an
    object here and an array there, and a key that cannot be written.
    """
    below: dict[Path, set[type]] = {}
    for path in columns:
        for depth in range(len(path)):
            below.setdefault(path[:depth], set()).add(type(path[depth]))
    found: dict[Path, str] = {}
    for path in columns:
        if path in below:
            found[path] = "an object or array in some records"
        elif any(len(below[path[:depth]]) > 1 for depth in range(len(path))):
            found[path] = "below an object in some records, an array in others"
        elif any(isinstance(step, str) and '"' in step and "'" in step for step in path):
            found[path] = "a key with both kinds of quotes"
        elif any(path[:depth] in columns for depth in range(1, len(path))):
            found[path] = "below a value in some records"
    return found


def _container(fields: Sequence[Field], taken: set[Path]) -> Path:
    """The object that holds the inputs, () when there is none by its name."""
    counts: Counter[Path] = Counter()
    for one in fields:
        for depth in range(1, len(one.path)):
            if plain_name(one.path[:depth]) in CONTAINERS and one.path not in taken:
                counts[one.path[:depth]] += 1
                break
    return max(counts, key=lambda path: counts[path], default=())


def _models(columns: Mapping[Path, Sequence[Any]], roles: Mapping[str, Candidate]) -> tuple[str, ...]:
    if "model" not in roles:
        return ()
    names = Counter(canonical(value) for value in columns[roles["model"].path] if value is not None)
    return tuple(name for name, _ in names.most_common())
