"""Keys: which field a key is, and what follows in an object or array."""

from __future__ import annotations

import numpy as np

from kernels.jit import bare_kernel
from kernels.layout import Array
from kernels.program import (
    CLOSED,
    COUNT_FIELDS,
    COUNT_FLAGS,
    COUNT_FULL,
    COUNT_KEYS,
    EDGE,
    FIELD_COLUMNS,
    FIELD_EDGE_SIZE,
    FIELD_KEY,
    FIELD_KEY_SIZE,
    FIELD_KIND,
    FIELD_NEXT,
    FIELD_NODE,
    LONGEST_KEY,
    NODE_AT,
    NODE_COLUMNS,
    NODE_COUNT,
    NODE_ELEMENTS,
    NODE_IS_ARRAY,
    ROWS,
    SKIP,
    UNKNOWN,
)
from kernels.text import ESCAPED, hash_of, is_utf8, skip_space, skip_string
from kernels.words import PADDING, byte, get

_BYTES = "const uint8[::1]"
_TABLE = "int32[::1]"


@bare_kernel(f"int64({_BYTES}, int64, int64, int64, {_TABLE}, uint8[::1], {_TABLE}, int64[::1])")
def find_field(
    data: Array, at: int, node: int, rows: int, fields: Array, keys: Array, lookup: Array, counts: Array
) -> int:
    """The field of `node` whose key is the string at `at`; one is made for an unread key. UNKNOWN: declined.

    data   uint8[bytes]
    rows   rows of `fields` that are fields
    fields, keys, lookup, counts   of `kernels.program.Program`; mutated where a key is learnt
    """
    end, flags = skip_string(data, at + 1)
    size = end - at - 2
    if end < 0 or flags & ESCAPED or size > LONGEST_KEY:
        return UNKNOWN
    counts[COUNT_FLAGS] |= flags
    mask = len(lookup) - 1
    place = np.int64(hash_of(data, at + 1, size, node)) & mask
    while get(lookup, place) > 0:
        field = get(lookup, place) - 1
        base = field * FIELD_COLUMNS
        if get(fields, base + FIELD_NODE) == node and get(fields, base + FIELD_KEY_SIZE) == size:
            same = True
            for i in range(size):
                same &= byte(data, at + 1 + i) == byte(keys, get(fields, base + FIELD_KEY) + i)
            if same:
                return field
        place = (place + 1) & mask
    field = counts[COUNT_FIELDS]
    begin = counts[COUNT_KEYS]
    if field >= rows - 1 or begin + size > len(keys) - PADDING:
        counts[COUNT_FULL] = 1
        return UNKNOWN
    for i in range(size):
        keys[begin + i] = byte(data, at + 1 + i)
    base = field * FIELD_COLUMNS
    for i in range(FIELD_COLUMNS):
        fields[base + i] = 0
    fields[base + FIELD_KIND] = SKIP
    fields[base + FIELD_NODE] = node
    fields[base + FIELD_KEY] = begin
    fields[base + FIELD_KEY_SIZE] = size
    fields[base + FIELD_NEXT] = CLOSED
    lookup[place] = field + 1
    counts[COUNT_FIELDS] = field + 1
    counts[COUNT_KEYS] = begin + size
    return field


@bare_kernel(
    f"int64({_BYTES}, int64, int64, int64, {_TABLE}, {_TABLE}, {_TABLE}, uint8[::1], uint8[::1], {_TABLE},"
    " int64[::1], int64[::1], int64[::1])"
)
def turn(
    data: Array,
    at: int,
    node: int,
    behind: int,
    fields: Array,
    nodes: Array,
    elements: Array,
    keys: Array,
    edges: Array,
    lookup: Array,
    settings: Array,
    counts: Array,
    end: Array,
) -> int:
    """What follows in a node, where the last record does not tell: a field, CLOSED, or UNKNOWN: declined.

    data     uint8[bytes]
    at       behind the opening brace or bracket, or behind a value
    behind   the field whose value ended at `at`, or the row of the node at its beginning
    end      int64[1]   mutated: where the field's value begins, or what follows the node
    fields, nodes, elements, keys, edges, lookup, settings, counts   of `kernels.program.Program`; mutated:
        the order of fields and the bytes between them are learnt
    """
    rows = settings[ROWS]
    is_array = nodes[node * NODE_COLUMNS + NODE_IS_ARRAY] == 1
    p = skip_space(data, at)
    c = byte(data, p)
    if c == (93 if is_array else 125):
        end[0] = p + 1
        if not is_array:
            fields[behind * FIELD_COLUMNS + FIELD_NEXT] = CLOSED
        return CLOSED
    if behind < rows:
        if c != 44:
            return UNKNOWN
        p = skip_space(data, p + 1)
    if is_array:
        element = nodes[node * NODE_COLUMNS + NODE_AT]
        nodes[node * NODE_COLUMNS + NODE_AT] = element + 1
        end[0] = p
        field = rows - 1
        if element < nodes[node * NODE_COLUMNS + NODE_COUNT]:
            field = np.int64(elements[nodes[node * NODE_COLUMNS + NODE_ELEMENTS] + element])
        return field if field >= 0 else rows - 1
    if byte(data, p) != 34:
        return UNKNOWN
    field = find_field(data, p, node, rows, fields, keys, lookup, counts)
    if field < 0:
        return UNKNOWN
    p = skip_space(data, p + fields[field * FIELD_COLUMNS + FIELD_KEY_SIZE] + 2)
    if byte(data, p) != 58:
        return UNKNOWN
    p = skip_space(data, p + 1)
    # What is learnt is not looked at again: it must be UTF-8 by itself.
    size = p - at if p - at <= EDGE and is_utf8(data, at, p) else 0
    for i in range(size):
        edges[behind * EDGE + i] = byte(data, at + i)
    fields[behind * FIELD_COLUMNS + FIELD_NEXT] = field
    fields[behind * FIELD_COLUMNS + FIELD_EDGE_SIZE] = size
    end[0] = p
    return field
