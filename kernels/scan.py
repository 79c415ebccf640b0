"""Step 2: the JSON records of a batch to columns, in one pass over their bytes.

A record is taken only where every byte of it is accounted for: valid JSON, valid UTF-8, no key twice,
not too deep, and every field that is read of a type that its column holds. Everything else is declined,
without a reason; a slower decoder has the last word on it. So nothing here may take what that one
rejects, or read it differently.
"""

from __future__ import annotations

import numpy as np

from kernels.fields import turn
from kernels.follow import take_together
from kernels.jit import bare_kernel, inline
from kernels.layout import Array
from kernels.number import finish
from kernels.program import (
    CLOSED,
    COUNT_FLAGS,
    COUNT_FOUND,
    COUNT_MISSED,
    COUNT_SERIAL,
    COUNT_SPOT,
    COUNT_STEPS,
    DECLINED,
    EDGE,
    EPOCH,
    FIELD_COLUMNS,
    FIELD_EDGE_SIZE,
    FIELD_EXTRA,
    FIELD_KIND,
    FIELD_NEXT,
    FIELD_NODE,
    FIELD_SEEN,
    FIELD_TARGET,
    LEAVES,
    LIMIT_BYTES,
    LIMIT_DEPTH,
    MODEL,
    NODE,
    NODE_AT,
    NODE_COLUMNS,
    NODE_DEPTH,
    NODE_FIELD,
    NODE_IS_ARRAY,
    NUMBER,
    OTHER_MODEL,
    ROWS,
    SKIP,
    STEPS,
    TAKEN,
    TEMPLATE_STEPS,
    TIME_DIVISOR,
    TIME_FACTOR,
    TOGETHER,
    TOKEN,
    TRACE_BEGIN,
    TRACE_COLUMNS,
    TRACE_END,
    TRACE_FIELD,
    TRACE_NODE,
    UNKNOWN,
)
from kernels.read import fill_absent, read_decimal, read_rare, read_token, skip_value
from kernels.template import aim, learn
from kernels.text import NON_ASCII, is_null, is_utf8, matches, skip_space, skip_space_until
from kernels.when import read_epoch
from kernels.words import byte, get, put

TILE = 992
"""Records after which numbers are made of characters: 24 columns of them are 190 kB, in the second-level cache still.
No power of two: rows of as many bytes would lie in each other's way in the first one."""

_BYTES = "const uint8[::1]"
_TABLE = "int32[::1]"


@inline
def scan_record(
    data: Array,
    at: int,
    first: int,
    record: int,
    chunk: int,
    fields: Array,
    nodes: Array,
    elements: Array,
    keys: Array,
    edges: Array,
    lookup: Array,
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
    trace: Array,
    found: Array,
) -> int:
    """Read one record, whose opening brace ends at `at`: where its closing one ends; -1: declined.

    `first` and `chunk` are the records that `lengths` and `firsts` are about; found[0] becomes how many fields were read, and
    found[1] how many values there are, which stand in `trace`, one more than STEPS where there are more.
    Inlined: 29 arrays are 200 words to push, 60 ns a record.
    """
    records = len(status)
    rows = settings[ROWS]
    spot = counts[COUNT_SPOT : COUNT_SPOT + 1]
    marks = counts[COUNT_SERIAL : COUNT_FLAGS + 1]
    node = 0
    behind = rows
    count = 0
    steps = 0
    while True:
        field = get(fields, behind * FIELD_COLUMNS + FIELD_NEXT)
        size = get(fields, behind * FIELD_COLUMNS + FIELD_EDGE_SIZE)
        # What was learnt must not be the beginning of what stands here: white space would be left.
        guessed = field >= 0 and matches(data, at, edges, behind * EDGE, size)
        if guessed and byte(data, at + size) > 32:
            at += size
        else:
            is_array = get(nodes, node * NODE_COLUMNS + NODE_IS_ARRAY)
            if field == CLOSED and byte(data, at) == 125 and is_array == 0:
                at += 1
            else:
                field = turn(
                    data, at, node, behind, fields, nodes, elements, keys, edges, lookup, settings, counts, spot,
                )  # fmt: skip
                at = spot[0]
            if field == CLOSED:
                behind = get(nodes, node * NODE_COLUMNS + NODE_FIELD)
                if behind < 0:
                    found[0] = count
                    found[1] = steps
                    return at
                node = get(fields, behind * FIELD_COLUMNS + FIELD_NODE)
                continue
            if field == UNKNOWN:
                return -1
        base = field * FIELD_COLUMNS
        if get(fields, base + FIELD_SEEN) == record + 1:
            return -1
        put(fields, base + FIELD_SEEN, np.int32(record + 1 if field < rows - 1 else 0))
        kind = get(fields, base + FIELD_KIND)
        target = get(fields, base + FIELD_TARGET)
        place = target * records + record
        begin = at
        if kind == NUMBER:
            at = read_decimal(data, at, bits, lengths, firsts, place, target * chunk + record - first)
        elif kind == TOKEN or kind == MODEL:
            at = read_token(data, at, target, place, table, entries, text, counts, tokens, missed)
            if kind == MODEL and at >= 0 and get(tokens, place) != get(fields, base + FIELD_EXTRA):
                status[record] = OTHER_MODEL if get(tokens, place) > 0 else DECLINED
                return -1
        elif kind == NODE:
            inner = get(fields, base + FIELD_EXTRA)
            opening = 91 if get(nodes, inner * NODE_COLUMNS + NODE_IS_ARRAY) else 123
            if (
                byte(data, at) == opening
                and get(nodes, inner * NODE_COLUMNS + NODE_DEPTH) <= settings[LIMIT_DEPTH]
            ):
                put(nodes, inner * NODE_COLUMNS + NODE_AT, np.int32(0))
                node = inner
                behind = rows + inner
                at += 1
                continue
            at = at + 4 if is_null(data, at) else -1
        elif kind == EPOCH:
            ms, at = read_epoch(data, at, settings[TIME_DIVISOR], settings[TIME_FACTOR])
            events[record] = ms
        elif kind == SKIP:
            at = skip_value(data, at, settings[LIMIT_DEPTH], node, nodes, objects, owners, hashes, marks)
        else:
            at = read_rare(
                data, at, field, record, records, fields, spot, values, tokens, events, errors, vectors,
            )  # fmt: skip
        if at < 0:
            return -1
        count += kind < NODE
        behind = field
        put(trace, steps * TRACE_COLUMNS + TRACE_FIELD, field)
        put(trace, steps * TRACE_COLUMNS + TRACE_NODE, node)
        put(trace, steps * TRACE_COLUMNS + TRACE_BEGIN, begin)
        put(trace, steps * TRACE_COLUMNS + TRACE_END, at)
        steps += steps <= settings[STEPS]


@inline
def take(
    data: Array,
    begin: int,
    stop: int,
    first: int,
    record: int,
    chunk: int,
    fields: Array,
    nodes: Array,
    elements: Array,
    keys: Array,
    edges: Array,
    lookup: Array,
    table: Array,
    entries: Array,
    text: Array,
    settings: Array,
    counts: Array,
    objects: Array,
    owners: Array,
    hashes: Array,
    trace: Array,
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
    """Read one record, whatever those before looked like; False where it is declined."""
    found = counts[COUNT_FOUND : COUNT_STEPS + 1]
    status[record] = DECLINED
    at = skip_space_until(data, begin, stop)  # else records of white space alone are read again and again
    if at == stop or byte(data, at) != 123 or stop - begin > settings[LIMIT_BYTES]:
        return False
    counts[COUNT_FLAGS] = 0
    at = scan_record(
        data, at + 1, first, record, chunk, fields, nodes, elements, keys, edges, lookup, table, entries, text,
        settings, counts, objects, owners, hashes, values, bits, lengths, firsts, tokens, events, errors, vectors, status,
        missed, trace, found,
    )  # fmt: skip
    if at < 0 or at > stop or skip_space(data, at) < stop:
        return False
    if counts[COUNT_FLAGS] & NON_ASCII and not is_utf8(data, begin, stop):
        return False
    absent = found[0] != settings[LEAVES]
    if absent and not fill_absent(record, len(status), fields, settings, values, tokens, errors, vectors):
        return False
    status[record] = TAKEN
    return True


@inline
def scan_tile(
    data: Array,
    starts: Array,
    ends: Array,
    first: int,
    fields: Array,
    nodes: Array,
    elements: Array,
    keys: Array,
    edges: Array,
    lookup: Array,
    table: Array,
    entries: Array,
    text: Array,
    settings: Array,
    counts: Array,
    objects: Array,
    owners: Array,
    hashes: Array,
    templates: Array,
    patterns: Array,
    recent: Array,
    trace: Array,
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
) -> None:
    """Read the records of a tile; `aim` was called for it, or it has less than TOGETHER records."""
    lengths[:] = 0
    alone, following = 0, 0
    for spot in range(len(starts)):
        if following > 0:
            following -= 1
            continue
        if alone == 0 and spot + TOGETHER <= len(starts) and templates[TEMPLATE_STEPS] > 0:
            if take_together(
                data, starts, ends, spot, first, fields, nodes, templates, patterns, recent, table, entries, text,
                settings, counts, objects, owners, hashes, values, bits, lengths, firsts, tokens, events, errors, vectors,
                status, missed,
            ):  # fmt: skip
                following = TOGETHER - 1
                continue
            alone = TOGETHER
        alone = max(alone - 1, 0)
        begin, stop = starts[spot], ends[spot]
        if take(
            data, begin, stop, first, first + spot, len(starts), fields, nodes, elements, keys, edges, lookup, table,
            entries, text, settings, counts, objects, owners, hashes, trace, values, bits, lengths, firsts, tokens, events,
            errors, vectors, status, missed,
        ):  # fmt: skip
            learn(
                data, begin, stop, first + spot, counts[COUNT_STEPS], len(status), len(starts), fields, settings,
                templates, patterns, trace,
            )  # fmt: skip


@bare_kernel(
    f"void({_BYTES}, const int64[::1], const int64[::1], int64, const uint8[::1],"
    f" {_TABLE}, {_TABLE}, {_TABLE}, uint8[::1], uint8[::1],"
    f" {_TABLE}, {_TABLE}, int64[::1], uint8[::1], int64[::1], int64[::1], int64[::1], int64[::1], uint64[::1],"
    f" {_TABLE}, uint8[::1], {_TABLE}, int64[::1],"
    f" float64[::1], uint64[::1], uint8[::1], uint8[::1], uint64[::1], {_TABLE}, int64[::1], uint8[::1], float64[:, ::1], uint8[::1], int64[::1])"
)
def scan(
    data: Array,
    starts: Array,
    ends: Array,
    first: int,
    only: Array,
    fields: Array,
    nodes: Array,
    elements: Array,
    keys: Array,
    edges: Array,
    lookup: Array,
    table: Array,
    entries: Array,
    text: Array,
    settings: Array,
    counts: Array,
    objects: Array,
    owners: Array,
    hashes: Array,
    templates: Array,
    patterns: Array,
    recent: Array,
    trace: Array,
    values: Array,
    bits: Array,
    lengths: Array,
    firsts: Array,
    flaws: Array,
    tokens: Array,
    events: Array,
    errors: Array,
    vectors: Array,
    status: Array,
    missed: Array,
) -> None:
    """Read every record it can into the columns. Never reads beyond `data`, whatever the bytes are.

    data     uint8[bytes]     the records, a newline behind each, PADDING zero bytes behind all
    starts   int64[records]   record r is data[starts[r]:ends[r]]
    ends     int64[records]
    first    row of the outputs that record 0 is written to
    only     uint8[records]   1 for those that are read, by no template; empty: all of them are
    fields, nodes, elements, keys, edges, lookup, table, entries   of `kernels.program.Program`; mutated
    text, settings, counts, objects, owners, hashes   likewise, as said there
    templates, patterns, recent, trace         likewise
    values, tokens, events, errors, vectors, status, missed   of `kernels.program.Output`; mutated
    bits     uint64[…]        `values` seen as bits; mutated
    lengths, firsts   uint8[numeric rows · TILE]   scratch
    flaws    uint64[numeric rows]   mutated: 0 where there is nothing FLAWED in a row

    Whether a record is taken may depend on what was learnt from others; what is read from it does not.
    """
    for field in range(settings[ROWS]):
        fields[field * FIELD_COLUMNS + FIELD_SEEN] = 0
    counts[COUNT_MISSED] = 0
    flaws[:] = np.uint64(0)
    rows, high = len(lengths) // TILE, 0
    while high < len(starts):
        # Each of a few is a tile: one record in thousands must not cost as much as all of them.
        low, high = high, min(high + (1 if len(only) > 0 else TILE), len(starts))
        if len(only) == 0:
            aim(templates, len(status), high - low)
        elif only[low] == 0:
            continue
        cells = rows * (high - low)
        scan_tile(
            data, starts[low:high], ends[low:high], first + low, fields, nodes, elements, keys, edges, lookup,
            table, entries, text, settings, counts, objects, owners, hashes, templates, patterns, recent, trace,
            values, bits, lengths[:cells], firsts[:cells], tokens, events, errors, vectors, status, missed,
        )  # fmt: skip
        finish(bits, lengths[:cells], firsts[:cells], rows, first + low, len(status), flaws)
