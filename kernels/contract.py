"""Step 3: breaches of the contract, counted beside the rows that commit them."""

from __future__ import annotations

import numpy as np

from kernels.blocks import SEVERAL
from kernels.jit import kernel
from kernels.layout import CATEGORICAL, MISSING, NUMERIC, OTHER, Array

LARGEST = float(np.finfo(np.float64).max)


@kernel(
    "void(int64[:, ::1], const int32[::1], const int32[:, ::1], const float64[:, ::1], const int8[::1],"
    " const int32[::1], const int32[::1], const int32[::1], const float64[::1], const float64[::1])"
)
def judge_values(
    violations: Array,
    cell: Array,
    blocks: Array,
    values: Array,
    kind: Array,
    column: Array,
    null: Array,
    span: Array,
    low: Array,
    high: Array,
) -> None:
    """Count the breaches of the null and range rules of numeric features.

    violations   int64[cells, rules]       mutated
    cell         int32[rows]               cell of each row; negative rows are skipped
    blocks       int32[blocks, 3]          of `kernels.blocks.find_blocks`
    values       float64[numeric, rows]    NaN is missing
    kind, column                           as in `kernels.layout.Layout`
    null, low, high                        as in `kernels.layout.Rules`
    span         int32[features]           `range` of `kernels.layout.Rules`
    """
    for feature in range(len(kind)):
        if kind[feature] != NUMERIC or max(null[feature], span[feature]) < 0:
            continue
        least = max(low[feature], -LARGEST)  # so that infinities are outside
        most = min(high[feature], LARGEST)
        absent = null[feature]
        wrong = span[feature]
        for block in range(len(blocks)):
            to, begin, end = blocks[block]
            x = values[column[feature], begin:end]
            if to >= 0:
                missing = 0
                outside = 0
                for row in range(len(x)):
                    missing += np.int64(x[row] != x[row])
                    outside += np.int64((x[row] < least) | (x[row] > most))
                if absent >= 0:
                    violations[to, absent] += missing
                if wrong >= 0:
                    violations[to, wrong] += outside
            elif to == SEVERAL:
                for row in range(len(x)):
                    if cell[begin + row] < 0:
                        continue
                    if absent >= 0:
                        violations[cell[begin + row], absent] += np.int64(x[row] != x[row])
                    if wrong >= 0:
                        violations[cell[begin + row], wrong] += np.int64((x[row] < least) | (x[row] > most))


@kernel(
    "void(int64[:, ::1], const int32[::1], const int32[:, ::1], const int8[::1], const int32[::1],"
    " const int32[::1], const int32[::1], const int32[::1], const uint8[::1])"
)
def judge_codes(
    violations: Array,
    cell: Array,
    codes: Array,
    kind: Array,
    column: Array,
    start: Array,
    null: Array,
    category: Array,
    forbidden: Array,
) -> None:
    """Count the breaches of the null and category rules of categorical features.

    violations   int64[cells, rules]        mutated
    cell         int32[rows]                cell of each row; negative rows are skipped
    codes        int32[categorical, rows]   a code the feature has no slot for counts as OTHER
    kind, column, start                     as in `kernels.layout.Layout`
    null, category, forbidden               as in `kernels.layout.Rules`
    """
    for feature in range(len(kind)):
        if kind[feature] != CATEGORICAL or max(null[feature], category[feature]) < 0:
            continue
        first = start[feature]
        slots = start[feature + 1] - first
        absent = null[feature]
        wrong = category[feature]
        own = codes[column[feature]]
        for row in range(len(cell)):
            if cell[row] < 0:
                continue
            code = own[row] if np.uint32(own[row]) < np.uint32(slots) else OTHER
            if absent >= 0 and code == MISSING:
                violations[cell[row], absent] += 1
            if wrong >= 0 and forbidden[first + code]:
                violations[cell[row], wrong] += 1
