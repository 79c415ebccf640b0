"""Records out of librdkafka's memory into arrays, and the library's own let go.

What a consumer takes out of a queue of the library are pointers to `rd_kafka_message_t`. The layout of
that struct and the functions called here are its public interface, the same since version 1.0:

    offset  0 err   8 topic   16 partition   24 value   32 its size   40 key   48 its size   56 offset
"""

from __future__ import annotations

from kernels.foreign import ask1, ask2, ask5, bring, byte_at, call1, call2, expect, half_at, word_at
from kernels.jit import bare_kernel, inline
from kernels.layout import Array

TIMESTAMP, HEADERS, HEADER, DESTROY, EPOCH, SCRATCH = range(6)
"""Addresses in `calls`: rd_kafka_message_timestamp, rd_kafka_message_headers, rd_kafka_header_get_all,
rd_kafka_message_destroy, rd_kafka_message_leader_epoch, and 32 bytes for what they return through
pointers. EPOCH is 0 where what lies behind a value is not known, see `may_have_fields`."""

TOPIC, PARTITION, RECORDS, BYTES, KEYS, KEY_BYTES, FIELDS, FIELD_BYTES, FOUND = range(9)
"""Columns of `found`, one row a source: its topic's pointer and partition; records; bytes of values with
one more for each; records with a key, and bytes of keys with one more for each; headers of all records,
and bytes of their names and values with one more for each. FOUND is the number of columns."""

ROW, AT, KEY_AT, FIELD, FIELD_AT, PLACES = range(6)
"""Columns of `next`, one row a source: where its next record, value, key, header and header bytes go."""

START, END, IS_NULL, KEY_START, KEY_END, KEY_NULL, OFFSET, TIME, KIND, FIRST, LAST, ROWS = range(12)
"""Rows of `out`, one column a record. FIRST and LAST bound its headers, columns of `fields`."""

NAME_START, NAME_END, VALUE_START, VALUE_END, VALUE_NULL, PIECES = range(6)
"""Rows of `fields`, one column a header."""

NEWLINE = 10
AHEAD = 12
"""Records whose first lines of memory are asked for early: the broker's thread wrote them on another core,
and each would be waited for. Saves 20 ns a record."""


@inline
def text_size(address: int) -> int:
    """Bytes before the zero that ends a text."""
    size = 0
    while byte_at(address + size) != 0:
        size += 1
    return size


@inline
def source_of(record: int, found: Array, count: int, last: int) -> int:
    """Row of a record's source in `found`; `count` when it is not there. `last` is looked at first."""
    topic, partition = word_at(record + 8), half_at(record + 16)
    if last >= 0 and found[last, TOPIC] == topic and found[last, PARTITION] == partition:
        return last
    for row in range(count):
        if found[row, TOPIC] == topic and found[row, PARTITION] == partition:
            return row
    return count


@inline
def may_have_fields(record: int, calls: Array) -> bool:
    """False for a record that has no headers for certain.

    Asked for them the library makes a reader of 400 bytes to find a zero, which takes as long as all else
    here. In a record of format 2, which alone has a leader's epoch, the number of headers is the byte
    behind the value, and the library hands out values where they lie in the broker's answer: all but null
    and empty ones.
    """
    value, size = word_at(record + 24), word_at(record + 32)
    if calls[EPOCH] == 0 or value == 0 or size == 0 or ask1(calls[EPOCH], record) < 0:
        return True
    return byte_at(value + size) != 0


@inline
def fields_of(record: int, calls: Array) -> int:
    """The list of a record's headers, 0 when it has none."""
    if not may_have_fields(record, calls):
        return 0
    return word_at(calls[SCRATCH]) if ask2(calls[HEADERS], record, calls[SCRATCH]) == 0 else 0


@inline
def has_field(fields: int, number: int, calls: Array) -> bool:
    """Whether there is a header of this number; scratch holds its name, value and the value's size then."""
    at = calls[SCRATCH]
    return ask5(calls[HEADER], fields, number, at + 8, at + 16, at + 24) == 0


@inline
def value_size(calls: Array) -> int:
    """Bytes of the value of the header that was asked for."""
    return word_at(calls[SCRATCH] + 24) if word_at(calls[SCRATCH] + 16) != 0 else 0


@bare_kernel("int64(const int64[::1], const int64[::1], int32[::1], int64[:, ::1])")
def survey(records: Array, calls: Array, source: Array, found: Array) -> int:
    """How many sources there are, and what will be needed for the records of each.

    records  int64[records]          pointers
    calls    int64[6]                addresses, see TIMESTAMP
    source   int32[records]          out: row of each record in `found`, -1 for an error in place of one
    found    int64[sources, FOUND]   out: see TOPIC; as many rows as there are records always suffice
    """
    count = 0
    last = -1
    for i in range(len(records)):
        if i + AHEAD < len(records):
            expect(records[i + AHEAD])
            expect(records[i + AHEAD] + 64)
            expect(records[i + AHEAD] + 128)
        record = records[i]
        source[i] = -1
        if half_at(record) != 0:
            continue
        row = source_of(record, found, count, last)
        if row == count:
            found[row] = 0
            found[row, TOPIC], found[row, PARTITION] = word_at(record + 8), half_at(record + 16)
            count += 1
        last = row
        source[i] = row
        found[row, RECORDS] += 1
        found[row, BYTES] += word_at(record + 32) + 1 if word_at(record + 24) != 0 else 1
        if word_at(record + 40) != 0:
            found[row, KEYS] += 1
            found[row, KEY_BYTES] += word_at(record + 48) + 1
        fields, number = fields_of(record, calls), 0
        while fields != 0 and has_field(fields, number, calls):
            found[row, FIELDS] += 1
            found[row, FIELD_BYTES] += text_size(word_at(calls[SCRATCH] + 8)) + 1
            found[row, FIELD_BYTES] += value_size(calls) + 1
            number += 1
    return count


@inline
def store(data: Array, at: int, address: int, size: int) -> int:
    """Copy bytes and put a newline behind them; where the next may begin."""
    bring(data, at, address, size)
    data[at + size] = NEWLINE
    return at + size + 1


@inline
def store_fields(record: int, calls: Array, data: Array, fields: Array, places: Array, row: int) -> None:
    """Copy the headers of one record."""
    held = fields_of(record, calls)
    number = 0
    while held != 0 and has_field(held, number, calls):
        column, at, size = places[row, FIELD], places[row, FIELD_AT], value_size(calls)
        name, value = word_at(calls[SCRATCH] + 8), word_at(calls[SCRATCH] + 16)
        fields[NAME_START, column] = at
        at = store(data, at, name, text_size(name))
        fields[NAME_END, column] = at - 1
        fields[VALUE_START, column] = at
        at = store(data, at, value, size)
        fields[VALUE_END, column] = at - 1
        fields[VALUE_NULL, column] = 1 if value == 0 else 0
        places[row, FIELD], places[row, FIELD_AT] = column + 1, at
        number += 1


@bare_kernel(
    "void(int64[::1], const int64[::1], const int32[::1], const int64[:, ::1],"
    " int64[:, ::1], uint8[::1], int64[:, ::1], int64[:, ::1])"
)
def gather(
    records: Array,
    calls: Array,
    source: Array,
    found: Array,
    places: Array,
    data: Array,
    out: Array,
    fields: Array,
) -> None:
    """Copy all records with a source, those of one source side by side, and let the library have them back.

    records  int64[records]            pointers; 0 when it returns, where the record was copied
    calls    int64[6]                  addresses, see TIMESTAMP
    source   int32[records]            as `survey` found it
    found    int64[sources, FOUND]     as `survey` found it
    places   int64[sources, PLACES]    state: where the first of each source go
    data     uint8[bytes]              out: values, keys, names and values of headers; a newline behind each
    out      int64[ROWS, records]      out: see START; keys and headers only of sources that have any
    fields   int64[PIECES, headers]    out: see NAME_START
    """
    for i in range(len(records)):
        row = source[i]
        if row < 0:
            continue
        record = records[i]
        column = places[row, ROW]
        places[row, ROW] = column + 1
        value, at = word_at(record + 24), places[row, AT]
        out[START, column] = at
        at = store(data, at, value, word_at(record + 32) if value != 0 else 0)
        out[END, column] = at - 1
        out[IS_NULL, column] = 1 if value == 0 else 0
        places[row, AT] = at
        if found[row, KEYS] > 0:
            key, at = word_at(record + 40), places[row, KEY_AT]
            out[KEY_START, column] = at
            if key != 0:
                at = store(data, at, key, word_at(record + 48))
            out[KEY_END, column] = at - 1 if key != 0 else at
            out[KEY_NULL, column] = 1 if key == 0 else 0
            places[row, KEY_AT] = at
        if found[row, FIELDS] > 0:
            out[FIRST, column] = places[row, FIELD]
            store_fields(record, calls, data, fields, places, row)
            out[LAST, column] = places[row, FIELD]
        out[OFFSET, column] = word_at(record + 56)
        out[TIME, column] = call2(calls[TIMESTAMP], record, calls[SCRATCH])
        out[KIND, column] = half_at(calls[SCRATCH])
        records[i] = 0
        call1(calls[DESTROY], record)
