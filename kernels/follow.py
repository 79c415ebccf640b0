"""Records that look like a template: nothing is searched, only compared, and several are read side by side.

Where the next value of a record begins is known only when this one has ended; while one record waits for that,
the others go on.
"""

from __future__ import annotations

import numpy as np

from kernels.jit import inline
from kernels.layout import Array
from kernels.program import (
    CAREFUL,
    COUNT_FLAGS,
    COUNT_SERIAL,
    COUNT_SPOT,
    COUNT_SPOTS,
    EPOCH,
    FIELD_COLUMNS,
    FIELD_EXTRA,
    LAST,
    LIMIT_BYTES,
    LIMIT_DEPTH,
    MODEL,
    NODE,
    NUMBER,
    RECENT,
    SKIP,
    STEP_COLUMNS,
    STEP_ENTRY,
    STEP_FIELD,
    STEP_KIND,
    STEP_NODE,
    STEP_SIZE,
    STEP_TARGET,
    STEP_TEXT,
    TAKEN,
    TEMPLATE_COLUMNS,
    TEMPLATE_HITS,
    TEMPLATE_MISSES,
    TIME_DIVISOR,
    TIME_FACTOR,
    TOGETHER,
    TOKEN,
)
from kernels.read import read_rare, read_token, skip_value
from kernels.series import DIFFERENT, follow_numbers, follow_odd_numbers
from kernels.template import fill_missing
from kernels.text import NON_ASCII, is_null, is_utf8, matches, skip_short_string
from kernels.when import read_epoch
from kernels.words import byte, get, load8, put, times

_BYTES = "const uint8[::1]"
_TABLE = "int32[::1]"
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xC2B2AE3D27D4EB4F)
_SLOT = np.uint64(58)
"""64 minus the bits of a place among RECENT."""
_MANY = 1 << 30
"""Hits and misses are counted no further: they have 32 bits, and a daemon has months."""


@inline
def _read_known(
    data: Array,
    at: int,
    step: int,
    target: int,
    place: int,
    templates: Array,
    recent: Array,
    table: Array,
    entries: Array,
    text: Array,
    counts: Array,
    tokens: Array,
    missed: Array,
) -> int:
    """As `read_token`, looking first at the token that stood here last, then at some others of the row."""
    if byte(data, at) != 34:
        return read_token(data, at, target, place, table, entries, text, counts, tokens, missed)
    last = get(templates, step + STEP_ENTRY)
    size = get(entries, last * 4 + 1)
    if last > 0 and matches(data, at, text, get(entries, last * 4), size):
        put(tokens, place, np.int32(last))
        return at + size
    end, flags = skip_short_string(data, at + 1)
    if end < 0 or flags:
        return read_token(data, at, target, place, table, entries, text, counts, tokens, missed)
    mixed = times(load8(data, at) + times(load8(data, max(end - 8, 0)), _SPREAD), _MIX)
    spot = target * RECENT + np.int64(mixed >> _SLOT)
    entry = get(recent, spot)
    if get(entries, entry * 4 + 1) == end - at and matches(data, at, text, get(entries, entry * 4), end - at):
        put(tokens, place, np.int32(entry))
    else:
        end = read_token(data, at, target, place, table, entries, text, counts, tokens, missed)
        entry = get(tokens, place) if end >= 0 else 0
        if entry > 0:
            put(recent, spot, np.int32(entry))
    if entry > 0:
        put(templates, step + STEP_ENTRY, np.int32(entry))
    return end


@inline
def _read_other(
    data: Array,
    at: int,
    step: int,
    kind: int,
    record: int,
    records: int,
    fields: Array,
    nodes: Array,
    templates: Array,
    recent: Array,
    table: Array,
    entries: Array,
    text: Array,
    settings: Array,
    counts: Array,
    scratch: Array,
    marks: Array,
    objects: Array,
    owners: Array,
    hashes: Array,
    values: Array,
    tokens: Array,
    events: Array,
    errors: Array,
    vectors: Array,
    missed: Array,
) -> int:
    """End of a value that is no plain number; -1 where the record must be read the slower way."""
    target = get(templates, step + STEP_TARGET)
    field = get(templates, step + STEP_FIELD)
    if kind == SKIP:
        if byte(data, at) == 34:
            end, flags = skip_short_string(data, at + 1)
            counts[COUNT_FLAGS] |= flags
            return end
        node = get(templates, step + STEP_NODE)
        return skip_value(data, at, settings[LIMIT_DEPTH], node, nodes, objects, owners, hashes, marks)
    if kind == TOKEN or kind == MODEL:
        place = target * records + record
        at = _read_known(
            data, at, step, target, place, templates, recent, table, entries, text, counts, tokens, missed
        )
        other = kind == MODEL and get(tokens, place) != get(fields, field * FIELD_COLUMNS + FIELD_EXTRA)
        return -1 if other else at
    if kind == EPOCH:
        ms, at = read_epoch(data, at, settings[TIME_DIVISOR], settings[TIME_FACTOR])
        events[record] = ms
        return at
    if kind == LAST:
        return at
    if kind == NODE:
        return at + 4 if is_null(data, at) else -1
    return read_rare(
        data, at, field, record, records, fields, scratch, values, tokens, events, errors, vectors
    )


@inline
def follow(
    data: Array,
    starts: Array,
    ends: Array,
    spot: int,
    first: int,
    records: int,
    fields: Array,
    nodes: Array,
    templates: Array,
    patterns: Array,
    recent: Array,
    table: Array,
    entries: Array,
    text: Array,
    settings: Array,
    counts: Array,
    objects: Array,
    owners: Array,
    hashes: Array,
    values: Array,
    bits: Array,
    lengths: Array,
    firsts: Array,
    tokens: Array,
    events: Array,
    errors: Array,
    vectors: Array,
    missed: Array,
) -> bool:
    """Read TOGETHER records from `spot` on, if all of them look like the template; False where one does not.

    Plain numbers are checked later, by `kernels.number.finish`.
    """
    scratch = counts[COUNT_SPOT : COUNT_SPOT + 1]
    marks = counts[COUNT_SERIAL : COUNT_FLAGS + 1]
    spots = counts[COUNT_SPOTS : COUNT_SPOTS + TOGETHER]
    for i in range(TOGETHER):
        put(spots, i, get(starts, spot + i))
    step = TEMPLATE_COLUMNS
    while True:
        kind = get(templates, step + STEP_KIND)
        if kind == NUMBER:
            step = follow_numbers(
                data, spots, step, templates, patterns, first + spot, spot, bits, lengths, firsts
            )
            if step == DIFFERENT:
                return False
            if step >= 0:
                continue
            step, kind = -1 - step, CAREFUL
        if kind == CAREFUL:
            step = follow_odd_numbers(
                data, spots, step, templates, patterns, first + spot, spot, bits, lengths, firsts
            )
            if step == DIFFERENT:
                return False
            continue
        size = get(templates, step + STEP_SIZE)
        pattern = get(templates, step + STEP_TEXT)
        for i in range(TOGETHER):
            at = get(spots, i)
            if not matches(data, at, patterns, pattern, size):
                return False
            at = _read_other(
                data, at + size, step, kind, first + spot + i, records, fields, nodes, templates,
                recent, table, entries, text, settings, counts, scratch, marks, objects, owners, hashes, values,
                tokens, events, errors, vectors, missed,
            )  # fmt: skip
            if at < 0:
                return False
            put(spots, i, at)
        if kind == LAST:
            break
        step += STEP_COLUMNS
    wrong = 0
    for i in range(TOGETHER):
        wrong += get(spots, i) != get(ends, spot + i)
    return wrong == 0


@inline
def take_together(
    data: Array,
    starts: Array,
    ends: Array,
    spot: int,
    first: int,
    fields: Array,
    nodes: Array,
    templates: Array,
    patterns: Array,
    recent: Array,
    table: Array,
    entries: Array,
    text: Array,
    settings: Array,
    counts: Array,
    objects: Array,
    owners: Array,
    hashes: Array,
    values: Array,
    bits: Array,
    lengths: Array,
    firsts: Array,
    tokens: Array,
    events: Array,
    errors: Array,
    vectors: Array,
    status: Array,
    missed: Array,
) -> bool:
    """Read TOGETHER records from `spot` on as the template says; False where one differs from it."""
    records, chunk = len(status), len(starts)
    counts[COUNT_FLAGS] = 0
    longest = 0
    for at in range(spot, spot + TOGETHER):
        longest = max(longest, get(ends, at) - get(starts, at))
    followed = longest <= settings[LIMIT_BYTES] and follow(
        data, starts, ends, spot, first, records, fields, nodes, templates, patterns, recent, table, entries, text,
        settings, counts, objects, owners, hashes, values, bits, lengths, firsts, tokens, events, errors, vectors, missed,
    )  # fmt: skip
    if counts[COUNT_FLAGS] & NON_ASCII:
        for at in range(spot, spot + TOGETHER):
            followed = followed and is_utf8(data, starts[at], ends[at])
    if not followed:
        for row in range(spot, len(lengths), chunk):
            for at in range(row, row + TOGETHER):
                put(lengths, at, np.uint8(0))
        templates[TEMPLATE_MISSES] = min(templates[TEMPLATE_MISSES], _MANY) + 1
        return False
    for record in range(first + spot, first + spot + TOGETHER):
        fill_missing(record, records, fields, templates, settings, values, tokens, errors, vectors)
        status[record] = TAKEN
    templates[TEMPLATE_HITS] = min(templates[TEMPLATE_HITS], _MANY) + TOGETHER
    templates[TEMPLATE_MISSES] = 0
    return True
