"""How a model's records are read, as arrays: what `kernels.scan` is directed by.

A *field* is a key of an object or an element of an array on the way to what is read. Objects and
arrays that hold fields are *nodes*. Keys that nobody reads become fields of kind SKIP as they are
met, so that the order of a producer's keys can be learnt whole.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NUMBER = 0
TEXT_NUMBER = 1
TOKEN = 2
BOOLEAN = 3
EPOCH = 4
RFC3339 = 5
ERROR = 6
MODEL = 7
VECTOR = 8
NODE = 9
SKIP = 10
"""Kinds of fields: how the value is read."""

FIELD_KIND = 0
FIELD_TARGET = 1
"""NUMBER, VECTOR: row of `values`, first column of `vectors`. TOKEN, BOOLEAN, MODEL: row of `tokens`."""
FIELD_EXTRA = 2
"""BOOLEAN: entry of false, that of true follows. MODEL: entry of the model. VECTOR: length. NODE: the node."""
FIELD_NODE = 3
"""The node that it is a field of."""
FIELD_KEY = 4
FIELD_KEY_SIZE = 5
FIELD_SEEN = 6
"""The record, counted from 1, in which it was met last."""
FIELD_NEXT = 7
"""The field that followed it last time; CLOSED when its node ended there."""
FIELD_EDGE_SIZE = 8
"""Bytes between its value and that of the next field, as of the last time; 0 when there are none."""
FIELD_COLUMNS = 16
"""One cache line."""

NODE_IS_ARRAY = 0
NODE_FIELD = 1
"""The field whose value it is, -1 for the record itself."""
NODE_DEPTH = 2
NODE_ELEMENTS = 3
"""First of an array's elements in `elements`; those nobody reads are -1."""
NODE_COUNT = 4
NODE_AT = 5
"""Elements met in this record."""
NODE_COLUMNS = 8

CLOSED = -1
UNKNOWN = -2

EDGE = 96
"""Bytes of text kept for each field, and for each node behind them: comma, white space, key, colon."""
LEARNT = 1024
"""Unread keys that are remembered; records with others are declined until the memory is emptied."""
LONGEST_KEY = 256
MOST_ENTRIES = 1 << 15
MOST_TEXT = 1 << 22
"""Tokens that are remembered, and their bytes: 6 MB with all that belongs to them."""

COUNT_FIELDS = 0
COUNT_KEYS = 1
COUNT_MISSED = 2
COUNT_FULL = 3
COUNT_SERIAL = 4
COUNT_FLAGS = 5
"""COUNT_SERIAL and COUNT_FLAGS are the `marks` of `kernels.skip`."""
COUNT_SPOT = 6
COUNT_FOUND = 7
"""Scratch."""
COUNTS = 8

LIMIT_DEPTH = 0
LIMIT_BYTES = 1
TIME_DIVISOR = 2
TIME_FACTOR = 3
LEAVES = 4
"""Fields that are read."""
SCHEMA_FIELDS = 5
"""Fields of the schema; learnt ones come behind them."""
ROWS = 6
"""Rows of `fields` that are fields."""
SETTINGS = 8


class Program(NamedTuple):
    """The arrays of one model. Those marked * change while records are scanned; nothing else does.

    fields    int32[(rows + nodes) · FIELD_COLUMNS] *   rows = fields + LEARNT + 1. The last of these is every
              array element nobody reads; row rows + n is the beginning of node n, of which only FIELD_NEXT
              and FIELD_EDGE_SIZE mean something
    nodes     int32[nodes · NODE_COLUMNS] *
    elements  int32[elements]
    keys      uint8[bytes] *            keys without quotes; PADDING bytes follow
    edges     uint8[(rows + nodes) · EDGE + PADDING] *   texts between values
    lookup    int32[power of two] *     field + 1 by hash of (node, key); 0 where there is none
    table     int32[power of two]       entry + 1 by hash of (row of tokens, token); 0 where there is none
    entries   int64[entries · 4]        start and size in `text`, row of `tokens`, hash
    text      uint8[bytes]              tokens as they stand in records, quotes included; PADDING follows
    settings  int64[SETTINGS]
    counts    int64[COUNTS] *
    objects, owners, hashes             scratch of `kernels.skip` *
    """

    fields: NDArray[np.int32]
    nodes: NDArray[np.int32]
    elements: NDArray[np.int32]
    keys: NDArray[np.uint8]
    edges: NDArray[np.uint8]
    lookup: NDArray[np.int32]
    table: NDArray[np.int32]
    entries: NDArray[np.int64]
    text: NDArray[np.uint8]
    settings: NDArray[np.int64]
    counts: NDArray[np.int64]
    objects: NDArray[np.int64]
    owners: NDArray[np.int64]
    hashes: NDArray[np.uint64]


class Output(NamedTuple):
    """What calls of `kernels.scan` fill, which takes matrices flat; row r belongs to record r of the batch.
    Entries of records that were not taken mean nothing.

    values   float64[numeric rows, records]   NaN is missing
    tokens   int32[token rows, records]       entry; 0 missing, negative: -1 - its place in `missed`
    events   int64[records]                   event times, milliseconds
    errors   uint8[records]
    vectors  float64[records, dims]           all NaN where a vector is missing
    status   uint8[records]                   TAKEN, DECLINED or OTHER_MODEL
    missed   int64[at most, 2]                start and end in `data` of tokens without an entry
    """

    values: NDArray[np.float64]
    tokens: NDArray[np.int32]
    events: NDArray[np.int64]
    errors: NDArray[np.uint8]
    vectors: NDArray[np.float64]
    status: NDArray[np.uint8]
    missed: NDArray[np.int64]


TAKEN = 0
DECLINED = 1
OTHER_MODEL = 2
