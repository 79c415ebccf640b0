"""Values: from their bytes to the columns. Each gives the position behind the value; -1: declined."""

from __future__ import annotations

import numpy as np

from kernels.jit import bare_kernel, inline
from kernels.layout import Array
from kernels.number import NAN, SIGN, eisel_lemire, read_long, read_number, read_short, to_double
from kernels.program import (
    BOOLEAN,
    COUNT_FLAGS,
    COUNT_MISSED,
    EPOCH,
    ERROR,
    FIELD_COLUMNS,
    FIELD_EXTRA,
    FIELD_KIND,
    FIELD_SEEN,
    FIELD_TARGET,
    MODEL,
    NODE_COLUMNS,
    NODE_DEPTH,
    NUMBER,
    RFC3339,
    SCHEMA_FIELDS,
    TEXT_NUMBER,
    TOKEN,
    VECTOR,
)
from kernels.skip import skip_container
from kernels.text import hash_of, is_null, matches, skip_literal, skip_scalar, skip_space, skip_string
from kernels.when import read_rfc3339
from kernels.words import bits_of, byte, get, put

_BYTES = "const uint8[::1]"
_TABLE = "int32[::1]"


@bare_kernel(f"int64({_BYTES}, int64, float64[::1], int64)")
def read_plain(data: Array, at: int, values: Array, place: int) -> int:
    """End of the number or null at `at`, written to values[place]; -1: declined.

    data    uint8[bytes]
    values  float64[…]   mutated
    """
    mantissa, power, negative, whole, end = read_number(data, at)
    if end < 0:
        put(values, place, np.nan)
        return at + 4 if is_null(data, at) else -1
    value, fits = to_double(mantissa, power)
    put(values, place, -value if negative and not (whole and value == 0.0) else value)
    return end if fits else -1


@bare_kernel(f"int64({_BYTES}, int64, uint64[::1], int64)")
def read_slow(data: Array, at: int, bits: Array, place: int) -> int:
    """End of the number or null at `at`, whose double's bits are written to bits[place]; -1: declined.

    data  uint8[bytes]
    bits  uint64[…]   mutated
    """
    mantissa, behind, negative, end = read_long(data, at)
    if end >= 0:
        value = eisel_lemire(mantissa, -behind)[0]
        put(bits, place, bits_of(value) | np.uint64(negative) << SIGN)
        return end
    mantissa, power, negative, whole, end = read_number(data, at)
    if end < 0:
        put(bits, place, NAN)
        return at + 4 if is_null(data, at) else -1
    value, fits = to_double(mantissa, power)
    put(bits, place, bits_of(-value if negative and not (whole and value == 0.0) else value))
    return end if fits else -1


@inline
def read_decimal(
    data: Array, at: int, bits: Array, lengths: Array, firsts: Array, place: int, line: int
) -> int:
    """End of the number or null at `at`; -1: declined. The bits of its value go to bits[place], or its characters,
    which `kernels.number.finish` makes doubles of, with their length and the first of them."""
    word, length, first, end = read_short(data, at)
    if end >= 0:
        put(bits, place, word)
        put(lengths, line, np.uint8(length))
        put(firsts, line, np.uint8(first))
        return end
    return read_slow(data, at, bits, place)


@inline
def read_text_number(data: Array, at: int, values: Array, place: int) -> int:
    """End of a number in quotes, written to values[place]; an empty text is missing; -1: declined."""
    if byte(data, at + 1) == 34:
        values[place] = np.nan
        return at + 2
    mantissa, power, negative, _, end = read_number(data, at + 1)
    if end < 0 or byte(data, end) != 34:
        return -1
    value, fits = to_double(mantissa, power)
    values[place] = -value if negative else value
    return end + 1 if fits else -1


@inline
def read_token(
    data: Array,
    at: int,
    row: int,
    place: int,
    table: Array,
    entries: Array,
    text: Array,
    counts: Array,
    tokens: Array,
    missed: Array,
) -> int:
    """End of the string, number or literal at `at`, whose entry is written to tokens[place]; -1: declined."""
    c = byte(data, at)
    if c == 34:
        end, flags = skip_string(data, at + 1)
        counts[COUNT_FLAGS] |= flags
    elif c >= 97:
        end = skip_literal(data, at)
        if c == 110 and end >= 0:
            put(tokens, place, np.int32(0))
            return end
    else:
        mantissa, power, _, whole, end = read_number(data, at)
        if end >= 0 and not whole and not to_double(mantissa, power)[1]:
            return -1
    if end < 0:
        return -1
    size = end - at
    h = np.int64(hash_of(data, at, size, row))
    mask = len(table) - 1
    slot = h & mask
    while get(table, slot) > 0:
        entry = get(table, slot) - 1
        same = get(entries, entry * 4 + 3) == h and get(entries, entry * 4 + 2) == row
        same = same and get(entries, entry * 4 + 1) == size
        if same and matches(data, at, text, get(entries, entry * 4), size):
            put(tokens, place, np.int32(entry))
            return end
        slot = (slot + 1) & mask
    k = counts[COUNT_MISSED]
    if 2 * k >= len(missed):
        return -1
    missed[2 * k] = at
    missed[2 * k + 1] = end
    counts[COUNT_MISSED] = k + 1
    put(tokens, place, np.int32(-1 - k))
    return end


@bare_kernel(f"int64({_BYTES}, int64, int64[::1])")
def read_error(data: Array, at: int, out: Array) -> int:
    """End of the error status at `at`, a scalar; -1: declined.

    data  uint8[bytes]
    out   int64[1]   mutated: 0 for null, false, 0, "", ok, 2xx, "false", "0", "null", "none"; 1 for all else
    """
    c = byte(data, at)
    out[0] = 1
    if c == 34:
        end, flags = skip_string(data, at + 1)
        size = end - at - 2
        if end < 0 or flags:
            return -1
        if size > 0 and (byte(data, at + 1) == 32 or byte(data, end - 2) == 32):
            return -1
        low = 0
        for i in range(min(size, 6)):
            low = low << 8 | byte(data, at + 1 + i) | (32 if byte(data, at + 1 + i) >= 65 else 0)
        fine = size == 0 or (size == 1 and low == 0x30) or (size == 2 and low == 0x6F6B)
        fine = fine or (size == 4 and (low == 0x6E756C6C or low == 0x6E6F6E65))
        fine = fine or (size == 5 and low == 0x66616C7365)
        digits = 0x30 <= (low >> 8 & 255) <= 0x39 and 0x30 <= (low & 255) <= 0x39
        fine = fine or (size == 3 and low >> 16 == 0x32 and digits)
        out[0] = not fine
        return end
    if c >= 97:
        end = skip_literal(data, at)
        out[0] = c == 116
        return end
    mantissa, _, negative, whole, end = read_number(data, at)
    if end < 0 or not whole:
        return -1
    fine = mantissa == np.uint64(0) or (np.uint64(200) <= mantissa < np.uint64(300) and not negative)
    out[0] = not fine
    return end


@bare_kernel(f"int64({_BYTES}, int64, int64, float64[::1])")
def read_vector(data: Array, at: int, length: int, out: Array) -> int:
    """End of the array of `length` numbers at `at`; -1: declined.

    data  uint8[bytes]
    out   float64[at least length]   mutated: the first `length` are
    """
    if byte(data, at) != 91:
        return -1
    p = skip_space(data, at + 1)
    for i in range(length):
        mantissa, power, negative, whole, end = read_number(data, p)
        if end < 0:
            return -1
        value, fits = to_double(mantissa, power)
        if not fits:
            return -1
        out[i] = -value if negative and not (whole and value == 0.0) else value
        p = skip_space(data, end)
        if byte(data, p) != (44 if i < length - 1 else 93):
            return -1
        p += 1
        if i < length - 1:
            p = skip_space(data, p)
    return p if length > 0 else -1


@inline
def skip_value(
    data: Array,
    at: int,
    levels: int,
    node: int,
    nodes: Array,
    objects: Array,
    owners: Array,
    hashes: Array,
    marks: Array,
) -> int:
    """End of a value that nobody reads; -1: declined."""
    if byte(data, at) | 32 == 123:
        room = levels - get(nodes, node * NODE_COLUMNS + NODE_DEPTH)
        return skip_container(data, at, room, objects, owners, hashes, marks)
    at, flags = skip_scalar(data, at)
    marks[1] |= flags
    return at


@inline
def fill(
    kind: int,
    target: int,
    extra: int,
    record: int,
    records: int,
    values: Array,
    tokens: Array,
    errors: Array,
    vectors: Array,
) -> None:
    """Write what null and an absent field stand for."""
    if kind == NUMBER or kind == TEXT_NUMBER:
        values[target * records + record] = np.nan
    elif kind == TOKEN or kind == BOOLEAN:
        tokens[target * records + record] = 0
    elif kind == ERROR:
        errors[record] = 0
    elif kind == VECTOR:
        vectors[record, target : target + extra] = np.nan


@bare_kernel(
    f"int64({_BYTES}, int64, int64, int64, int64, {_TABLE}, int64[::1], float64[::1], {_TABLE}, int64[::1],"
    " uint8[::1], float64[:, ::1])"
)
def read_rare(
    data: Array,
    at: int,
    field: int,
    record: int,
    records: int,
    fields: Array,
    spot: Array,
    values: Array,
    tokens: Array,
    events: Array,
    errors: Array,
    vectors: Array,
) -> int:
    """End of a value that is neither a plain number nor a token; -1: declined.

    data                       uint8[bytes]
    fields                     of `kernels.program.Program`
    spot                       int64[1]   scratch
    values, tokens, events, errors, vectors   of `kernels.program.Output`; the field's own are mutated
    """
    kind = fields[field * FIELD_COLUMNS + FIELD_KIND]
    target = fields[field * FIELD_COLUMNS + FIELD_TARGET]
    extra = fields[field * FIELD_COLUMNS + FIELD_EXTRA]
    place = target * records + record
    if kind == RFC3339:
        end = read_rfc3339(data, at, spot) if byte(data, at) == 34 else -1
        events[record] = spot[0]
        return end
    if is_null(data, at):
        fill(kind, target, extra, record, records, values, tokens, errors, vectors)
        return at + 4
    if kind == BOOLEAN:
        end = skip_literal(data, at)
        tokens[place] = extra + (byte(data, at) == 116)
        return end
    if kind == ERROR:
        end = read_error(data, at, spot)
        errors[record] = spot[0]
        return end
    if kind == VECTOR:
        return read_vector(data, at, extra, vectors[record, target:])
    if byte(data, at) == 34:
        return read_text_number(data, at, values, place)
    return read_plain(data, at, values, place)


@bare_kernel(
    f"boolean(int64, int64, {_TABLE}, int64[::1], float64[::1], {_TABLE}, uint8[::1], float64[:, ::1])"
)
def fill_absent(
    record: int,
    records: int,
    fields: Array,
    settings: Array,
    values: Array,
    tokens: Array,
    errors: Array,
    vectors: Array,
) -> bool:
    """Write what an absent field stands for; False where one is absent that must not be.

    fields, settings   of `kernels.program.Program`
    values, tokens, errors, vectors   of `kernels.program.Output`; mutated
    """
    for field in range(settings[SCHEMA_FIELDS]):
        base = field * FIELD_COLUMNS
        if fields[base + FIELD_SEEN] == record + 1:
            continue
        kind = fields[base + FIELD_KIND]
        if kind == EPOCH or kind == RFC3339 or kind == MODEL:
            return False
        target, extra = fields[base + FIELD_TARGET], fields[base + FIELD_EXTRA]
        fill(kind, target, extra, record, records, values, tokens, errors, vectors)
    return True
