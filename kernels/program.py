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
CAREFUL = 11
"""Of steps of a template alone: a NUMBER that is not always plain."""
LAST = 12
"""The step behind the last."""
SHORT = 32
"""Bytes of the text before a plain number at most."""
TOGETHER = 4
"""Records that are read side by side."""

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
COUNT_STEPS = 8
COUNT_SPOTS = 9
"""Scratch; one for each of TOGETHER."""
COUNTS = 13

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
STEPS = 7
"""Values that a record may have for a template to be made of it."""
SETTINGS = 8

TRACE_FIELD = 0
TRACE_NODE = 1
"""The node that the value belongs to."""
TRACE_BEGIN = 2
TRACE_END = 3
"""Where the value stands in the data."""
TRACE_COLUMNS = 4

TEMPLATE_STEPS = 0
"""Values, 0 where there is no template; the step LAST comes behind them, with the text at the end."""
TEMPLATE_ABSENT = 1
"""Fields of the schema that it has not."""
TEMPLATE_HITS = 2
"""Records that followed it."""
TEMPLATE_MISSES = 3
"""Times that it failed since one did."""
TEMPLATE_WAIT = 4
"""Records that are left until another may be learnt."""
TEMPLATE_PATIENCE = 5
TEMPLATE_COLUMNS = 8

STEP_TEXT = 0
STEP_SIZE = 1
"""The text before the value, since the value before it, in `patterns`."""
STEP_SHIFT = 2
"""64 less its size, where that is SHORT at most."""
STEP_STOP = 3
"""The byte behind the value."""
STEP_KIND = 4
STEP_TARGET = 5
STEP_FIELD = 6
STEP_NODE = 7
"""NUMBER: 1 where it may be tried as a plain one."""
STEP_ENTRY = 8
"""Entry of the token that stood here last; 0 where there is none."""
STEP_PLACE = 9
STEP_LINE = 10
"""NUMBER: where its row begins in `bits`, and in `lengths` and `firsts`, while records are scanned."""
STEP_ODD = 11
"""NUMBER: how often one was not plain, of late."""
STEP_COLUMNS = 12
TEXT_PER_STEP = 64
"""Bytes of text that there is room for, by value."""

RECENT = 64
"""Tokens of each row that are looked at first."""


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
    templates int32[TEMPLATE_COLUMNS + STEP_COLUMNS · (steps + 1) + fields of the schema] *
              head, steps and absent fields of the template
    patterns  uint8[TEXT_PER_STEP · steps + PADDING] *   its texts
    recent    int32[token rows · RECENT] *   entries by a short hash; 0 where there is none
    trace     int64[(steps + 2) · TRACE_COLUMNS]   scratch: the values of the record in hand; where there are
              more than `steps` the last two rows mean nothing
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
    templates: NDArray[np.int32]
    patterns: NDArray[np.uint8]
    recent: NDArray[np.int32]
    trace: NDArray[np.int64]


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
