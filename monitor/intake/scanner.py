"""The compiled way from bytes to `Columns`; what it declines is left to `monitor.intake.rows`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels import program as p
from kernels.blocks import are_equal
from kernels.layout import MISSING
from kernels.number import FLAWED
from kernels.program import DECLINED, OTHER_MODEL, TAKEN, Output
from kernels.scan import TILE, scan
from kernels.template import be_careful
from kernels.words import PADDING
from monitor.columns import NOTHING_NOVEL, Batch, Columns, Novel
from monitor.intake import convert
from monitor.intake.leaves import Leaves, Role, choose
from monitor.intake.packed import Packed
from monitor.intake.pool import Pool
from monitor.intake.program import build_program, forget_keys, set_entries
from monitor.intake.times import LATEST_MS, PER_MS
from monitor.intake.tokens import Meaning, Tokens
from monitor.names import CHAMPION
from monitor.plan import FeaturePlan, Kind, ModelPlan, SourcePlan
from monitor.reference.category import canonical
from monitor.reference.profile import Reference

JOINED = 1024
"""Records joined and scanned at a time where they do not: half a megabyte of usual ones. Twice as much comes
from the system in new pages, which costs four times as much as the copying."""
JOINED_BYTES = 1 << 20
"""Bytes after which such a chunk ends earlier, so that a batch of large records is not copied as a whole."""
ALL = np.zeros(0, np.uint8)
"""Every record of a chunk."""
FLAWLESS = 500
"""One in more records than this may have a number that looks plain and is not: it is read once more, which takes a
microsecond, and 20 for all of a batch. To read a column with care takes 4 ns a record."""
MISSED = 1 << 16
"""Unknown tokens per chunk; records with more of them are declined."""


@dataclass(slots=True)
class Scan:
    """What became of some records: `columns` of those that were taken, positions of the others."""

    columns: Columns
    declined: list[int]
    others: dict[str, list[int]]
    """Positions of the records that name another model of the source."""


class Scanner:
    """Reads the records of one model. Belongs to the ingest thread; see `scanner_of`.

    Which records it declines may depend on those before; what a record becomes does not.
    """

    def __init__(
        self, source: SourcePlan, plan: ModelPlan, reference: Reference | None, leaves: Leaves
    ) -> None:
        self.model = plan.name
        self._source = source
        self._leaves = leaves
        self._latency_ms = convert.LATENCY_MS.get(source.latency_unit, 1.0)
        self._missed = np.empty((MISSED, 2), np.int64)
        self._pool = Pool()
        self._lengths, self._firsts = np.empty((2, leaves.value_rows * TILE), np.uint8)
        self._flaws = np.empty(leaves.value_rows, np.uint64)
        divisor, factor = PER_MS.get(source.time_unit, (1, 1))
        readers = _readers(plan, reference, leaves)
        program = build_program(
            leaves.leaves,
            max_bytes=source.max_bytes,
            max_depth=source.max_depth,
            divisor=divisor,
            factor=factor,
        )
        tokens = Tokens(program, readers)
        set_entries(program, _know(tokens, source, plan, reference, leaves))
        self._tokens = tokens

    def read(self, batch: Batch, positions: NDArray[np.int64] | None) -> Scan:
        """Scan the records at `positions` (ascending; None: all of them)."""
        self._tokens.trim()
        if self._tokens.program.counts[p.COUNT_FULL]:
            forget_keys(self._tokens.program)
        count = len(batch) if positions is None else len(positions)
        leaves = self._leaves
        if isinstance(batch.values, Packed):
            chunks = [(0, count)]
        else:
            chunks = _chunks(batch.sizes if positions is None else batch.sizes[positions])
        values, vectors, events, tokens, codes, errors, status = self._pool.empty(
            ((leaves.value_rows, count), np.float64), ((count, leaves.dims), np.float64), ((count,), np.int64),
            ((len(leaves.readers), count), np.int32), ((len(leaves.codes), count), np.int32),
            ((count,), np.uint8), ((count,), np.uint8),
        )  # fmt: skip
        errors[:] = 0
        out = Output(values, tokens, events, errors, vectors, status, self._missed)
        for first, last in chunks:
            self._scan(*_place(batch, positions, first, last), first, out)
        return self._sort(batch, positions, out, codes)

    def _scan(
        self,
        data: NDArray[np.uint8],
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
        first: int,
        out: Output,
    ) -> None:
        flat = out.values.reshape(-1)
        bits = flat.view(np.uint64)
        flaws = self._flaws
        only = ALL
        for _ in range(2):  # what is read alone has plain numbers
            scan(
                data, starts, ends, first, only, *self._tokens.program, flat, bits, self._lengths, self._firsts, flaws,
                out.tokens.reshape(-1), out.events, out.errors, out.vectors, out.status, out.missed.reshape(-1),
            )  # fmt: skip
            last = first + len(starts)
            flawed = np.count_nonzero(flaws) > 0
            if flawed:
                only = self._flawed(
                    flaws, bits.reshape(out.values.shape)[:, first:last], out.status[first:last]
                )
            if self._tokens.program.counts[p.COUNT_MISSED]:
                self._resolve(data, first, last, out)
            if not flawed:
                return

    def _flawed(
        self, flaws: NDArray[np.uint64], bits: NDArray[np.uint64], status: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """Which records of a chunk must be read once more, alone: not all of their numbers are plain ones."""
        rows = np.flatnonzero(flaws)
        where = bits[rows] == FLAWED
        for row, count in zip(rows.tolist(), np.count_nonzero(where, axis=1).tolist(), strict=True):
            if count * FLAWLESS > len(status):
                be_careful(self._tokens.program.templates, row)
        found = where.any(axis=0)
        status[found] = DECLINED
        again: NDArray[np.uint8] = found.view(np.uint8)
        return again

    def _resolve(self, data: NDArray[np.uint8], first: int, last: int, out: Output) -> None:
        taken = out.status[first:last] == TAKEN
        for row, entries in enumerate(out.tokens):
            part = entries[first:last]
            part[~taken & (part < 0)] = 0
            self._tokens.resolve(row, part, out.missed, data)

    def _sort(
        self, batch: Batch, positions: NDArray[np.int64] | None, out: Output, codes: NDArray[np.int32]
    ) -> Scan:
        """Rows, records that name another model, and those that were declined."""
        status = out.status
        at = np.arange(len(status)) if positions is None else positions
        timestamps = batch.timestamps if positions is None else batch.timestamps[positions]
        if not self._source.time:
            out = out._replace(events=timestamps)
            status[(timestamps < 0) | (timestamps > LATEST_MS)] = DECLINED
        others: dict[str, list[int]] = {}
        declined: list[int] = []
        if np.count_nonzero(status):
            named = np.flatnonzero(status == OTHER_MODEL)
            if len(named) and self._leaves.model is not None:
                place = self._leaves.model
                for row, entry in zip(named.tolist(), out.tokens[place[0], named].tolist(), strict=True):
                    others.setdefault(self._tokens.name(place, entry), []).append(int(at[row]))
            declined = at[status == DECLINED].tolist()
            rows = np.flatnonzero(status == TAKEN)
            out = out._replace(
                values=out.values[:, rows], tokens=out.tokens[:, rows], vectors=out.vectors[rows],
                events=out.events[rows], errors=out.errors[rows],
            )  # fmt: skip
            at, timestamps = at[rows], timestamps[rows]
            codes = np.empty((len(codes), len(rows)), np.int32)
        return Scan(self._columns(batch, at, timestamps, out, codes), declined, others)

    def _columns(
        self,
        batch: Batch,
        at: NDArray[np.int64],
        timestamps: NDArray[np.int64],
        out: Output,
        codes: NDArray[np.int32],
    ) -> Columns:
        leaves, known, values = self._leaves, self._tokens, out.values
        for column, place in enumerate(leaves.codes):
            codes[column] = known.codes(place, out.tokens[place[0]])
        group, groups = self._groups(out.tokens, len(at))
        latency = np.full(len(at), np.nan)
        if leaves.latency >= 0:
            latency = convert.scaled(values[leaves.latency], self._latency_ms)
        return Columns(
            model=self.model,
            index=at,
            offsets=batch.offsets if len(at) == len(batch) else batch.offsets[at],
            timestamps=timestamps,
            events=out.events,
            values=values if leaves.values == list(range(len(values))) else values[leaves.values],
            codes=codes,
            vectors=out.vectors if leaves.dims else None,
            latency=latency,
            errors=out.errors,
            group=group,
            groups=groups,
            novel=self._novel(out.tokens),
        )

    def _groups(
        self, tokens: NDArray[np.int32], count: int
    ) -> tuple[NDArray[np.int32], tuple[tuple[str, str], ...]]:
        """Group of every row, and the distinct (version, variant)."""
        known, version, variant = self._tokens, self._leaves.version, self._leaves.variant
        read = [tokens[place[0]] for place in (version, variant) if place is not None]
        if all(are_equal(np.ascontiguousarray(entries)) for entries in read):
            keys = np.zeros(min(count, 1), np.int64)
            for entries in read:
                keys = keys << 32 | entries[:1]
            distinct, group = keys, np.zeros(0, np.int64)
        else:
            keys = np.zeros(count, np.int64)
            for entries in read:
                keys = keys << 32 | entries
            distinct, met, group = np.unique(keys, return_index=True, return_inverse=True)
            order = np.argsort(met)  # as they are met: their numbers depend on nothing that was learnt
            distinct, group = distinct[order], np.argsort(order)[group]
        found: dict[tuple[str, str], int] = {}
        numbers = []
        for key in distinct.tolist():
            first, second = (key >> 32, key & 0xFFFFFFFF) if version and variant else (key, key)
            named = (
                known.name(version, first) if version else "",
                known.name(variant, second) if variant else CHAMPION,
            )
            numbers.append(found.setdefault(named, len(found)))
        if len(found) < 2:
            return np.zeros(count, np.int32), tuple(found)
        return np.array(numbers, np.int32)[group], tuple(found)

    def _novel(self, tokens: NDArray[np.int32]) -> Novel:
        known = self._tokens
        parts: list[tuple[NDArray[np.int64], int, NDArray[np.int64]]] = []
        names: convert.Numbers[str] = convert.Numbers()
        for column, place in enumerate(self._leaves.codes):
            entries = tokens[place[0]]
            rows = np.flatnonzero(known.has_names(place, entries)).astype(np.int64)
            if len(rows):
                distinct, inverse = np.unique(entries[rows], return_inverse=True)
                numbers = np.array([names[known.name(place, entry)] for entry in distinct.tolist()], np.int64)
                parts.append((rows, column, numbers[inverse]))
        if not parts:
            return NOTHING_NOVEL
        return Novel(
            row=np.concatenate([rows for rows, _, _ in parts]).astype(np.int32),
            column=np.repeat([at for _, at, _ in parts], [len(rows) for rows, _, _ in parts]).astype(
                np.int32
            ),
            name=np.concatenate([numbers for _, _, numbers in parts]).astype(np.int32),
            names=tuple(names),
        )


def scanner_of(source: SourcePlan, plan: ModelPlan, reference: Reference | None) -> Scanner | None:
    """The scanner of a model; None where its fields cannot be read in one pass: see `choose`."""
    leaves = choose(source, plan)
    return None if leaves is None else Scanner(source, plan, reference, leaves)


def _readers(
    plan: ModelPlan, reference: Reference | None, leaves: Leaves
) -> list[list[Callable[[object], Meaning]]]:
    features = {feature.name: feature for feature in plan.features}
    roles: dict[str, Callable[[object], Meaning]] = {
        Role.VERSION: lambda value: (0, convert.names([value], "")[0]),
        Role.VARIANT: lambda value: (0, convert.names([value], CHAMPION)[0]),
        Role.MODEL: lambda value: (0, convert.names([value], "")[0]),
    }
    return [
        [roles[name] if name in roles else _category(features[name], reference) for name in row]
        for row in leaves.readers
    ]


def _category(feature: FeaturePlan, reference: Reference | None) -> Callable[[object], Meaning]:
    """Slot of a category, and its name where it has none of its own and somebody needs it."""
    profiles = {profile.name: profile for profile in reference.features} if reference is not None else {}
    slots = convert.slots_of(feature, profiles.get(feature.name))
    unnamed = convert.unnamed(feature)

    def read(value: object) -> Meaning:
        if value is None:
            return MISSING, None
        code = slots[value]
        return code, convert.shorten(canonical(value)) if code in unnamed else None  # type: ignore[arg-type]

    return read


def _know(
    tokens: Tokens, source: SourcePlan, plan: ModelPlan, reference: Reference | None, leaves: Leaves
) -> dict[int, int]:
    """Teach the tokens that can be foreseen; the entries that fields need, by row of `tokens`."""
    needed: dict[int, int] = {}
    if leaves.model is not None:
        for name in source.models:
            entry = tokens.know(leaves.model[0], convert.quoted(name))
            if name == plan.name:
                needed[leaves.model[0]] = entry
    profiles = {profile.name: profile for profile in reference.features} if reference is not None else {}
    categorical = [f for f in plan.features if f.kind in {Kind.CATEGORICAL, Kind.BOOLEAN}]
    for feature, (row, reader) in zip(categorical, leaves.codes, strict=True):
        if reader:
            continue
        if feature.kind is Kind.BOOLEAN:
            needed[row] = tokens.know(row, b"false")
            tokens.know(row, b"true")
        else:
            known = profiles[feature.name].categories if feature.name in profiles else ()
            for category in feature.categories or known:
                tokens.know(row, convert.quoted(category))
    return needed


def _chunks(sizes: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Ranges of records that are joined and scanned together."""
    count = len(sizes)
    if int(sizes.sum()) <= JOINED_BYTES * max(count // JOINED, 1):
        return [(first, min(first + JOINED, count)) for first in range(0, count, JOINED)]
    chunks, first, total = [], 0, 0
    for at, size in enumerate(sizes.tolist()):
        if at > first and (at - first >= JOINED or total + size > JOINED_BYTES):
            chunks.append((first, at))
            first, total = at, 0
        total += max(size, 0)
    return [*chunks, (first, count)]


def _place(
    batch: Batch, positions: NDArray[np.int64] | None, first: int, last: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Records [first, last) as the scanner reads them: where they lie, or joined."""
    values = batch.values
    if not isinstance(values, Packed):
        return _join(batch, positions, first, last)
    if positions is None:
        return values.data, values.starts[first:last], values.ends[first:last]
    chosen = positions[first:last]
    return values.data, values.starts[chosen], values.ends[chosen]


def _join(
    batch: Batch, positions: NDArray[np.int64] | None, first: int, last: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Records [first, last), a newline behind each and PADDING behind all; where each begins and ends.

    A null value is an empty record: it is declined.
    """
    values: Sequence[bytes | None]
    if positions is None:
        values, sizes = batch.values[first:last], batch.sizes[first:last]
    else:
        chosen = positions[first:last]
        values, sizes = [batch.values[at] for at in chosen.tolist()], batch.sizes[chosen]
    if sizes.min(initial=0) < 0:
        values, sizes = [value or b"" for value in values], np.maximum(sizes, 0)
    ends = np.cumsum(sizes + 1) - 1
    data = b"\n".join([*values, bytes(PADDING)])  # type: ignore[list-item]
    return np.frombuffer(data, np.uint8), ends - sizes, ends
