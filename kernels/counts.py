"""Steps 3 and 5: categories, rows, errors and contract breaches."""

from __future__ import annotations

import math

from kernels.jit import kernel
from kernels.layout import CATEGORICAL, MISSING, NUMERIC, OTHER, Array


@kernel(
    "void(int64[:, ::1], const int32[::1], const int32[:, ::1], const int8[::1],"
    " const int32[::1], const int32[::1])"
)
def add_codes(counts: Array, cell: Array, codes: Array, kind: Array, column: Array, start: Array) -> None:
    """Count every code of the categorical features; a code is the slot itself.

    counts  int64[cells, slots]        mutated
    cell    int32[rows]                cell of each row; negative rows are skipped
    codes   int32[categorical, rows]   a code the feature has no slot for counts as OTHER
    kind, column, start                as in `kernels.layout.Layout`
    """
    for feature in range(len(kind)):
        if kind[feature] != CATEGORICAL:
            continue
        categorical = column[feature]
        first = start[feature]
        slots = start[feature + 1] - first
        for row in range(len(cell)):
            if cell[row] < 0:
                continue
            code = codes[categorical, row]
            if code < 0 or code >= slots:
                code = OTHER
            counts[cell[row], first + code] += 1


@kernel(
    "void(int64[::1], int64[::1], int64[::1], int64[::1], const int32[::1], const uint8[::1],"
    " const int64[::1])"
)
def add_rows(
    rows: Array,
    errors: Array,
    first: Array,
    last: Array,
    cell: Array,
    error: Array,
    offsets: Array,
) -> None:
    """Count rows and errors, and widen each cell's range of offsets.

    rows, errors  int64[cells]   mutated
    first, last   int64[cells]   mutated; smallest and largest offset, -1 when none
    cell          int32[rows]    cell of each row; negative rows are skipped
    error         uint8[rows]    not 0 when the record reports an error
    offsets       int64[rows]    in any order
    """
    for row in range(len(cell)):
        to = cell[row]
        if to < 0:
            continue
        rows[to] += 1
        errors[to] += error[row] != 0
        if first[to] < 0 or offsets[row] < first[to]:
            first[to] = offsets[row]
        last[to] = max(last[to], offsets[row])


@kernel(
    "void(int64[:, ::1], const int32[::1], const float64[:, ::1], const int32[:, ::1], const int8[::1],"
    " const int32[::1], const int32[::1], const int32[::1], const int32[::1], const int32[::1],"
    " const float64[::1], const float64[::1], const uint8[::1])"
)
def add_violations(
    violations: Array,
    cell: Array,
    values: Array,
    codes: Array,
    kind: Array,
    column: Array,
    start: Array,
    null: Array,
    range_: Array,
    category: Array,
    low: Array,
    high: Array,
    forbidden: Array,
) -> None:
    """Count the breaches of every rule.

    violations   int64[cells, rules]          mutated
    cell         int32[rows]                  cell of each row; negative rows are skipped
    values       float64[numeric, rows]
    codes        int32[categorical, rows]     a code the feature has no slot for counts as OTHER
    kind, column, start                       as in `kernels.layout.Layout`
    null, range_, category, low, high, forbidden   as in `kernels.layout.Rules`
    """
    for feature in range(len(kind)):
        place = column[feature]
        missing = null[feature]
        outside = range_[feature]
        wrong = category[feature]
        first = start[feature]
        slots = start[feature + 1] - first
        for row in range(len(cell)):
            to = cell[row]
            if to < 0:
                continue
            if kind[feature] == NUMERIC:
                x = values[place, row]
                if missing >= 0 and math.isnan(x):
                    violations[to, missing] += 1
                if outside >= 0 and (x < low[feature] or x > high[feature] or math.isinf(x)):
                    violations[to, outside] += 1
            elif kind[feature] == CATEGORICAL:
                code = codes[place, row]
                if code < 0 or code >= slots:
                    code = OTHER
                if missing >= 0 and code == MISSING:
                    violations[to, missing] += 1
                if wrong >= 0 and forbidden[first + code]:
                    violations[to, wrong] += 1
