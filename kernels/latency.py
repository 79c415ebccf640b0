"""Step 5: the latency histogram, log bins of 1 % relative error.

Masson, Rim, Lee 2019, "DDSketch", section 2: bin i holds (gamma**(i - 1), gamma**i] and its value
2 * gamma**i / (gamma + 1) is within (gamma - 1) / (gamma + 1) = 1 % of everything in it.
"""

from __future__ import annotations

import numpy as np

from kernels.blocks import SEVERAL
from kernels.jit import kernel
from kernels.layout import LATENCY_BINS, LATENCY_GAMMA, LATENCY_MIN_MS, Array


def latency_edges() -> Array:
    """Upper edge of every bin, milliseconds: float64[LATENCY_BINS], inclusive.

    Edge 0 is 0 (bin 0 counts missing and negative ones), the last is infinite. Edges are made by
    repeated multiplication, which every machine rounds alike, unlike its logarithm or power.
    """
    edges = np.empty(LATENCY_BINS)
    edges[0] = 0.0
    edges[1] = LATENCY_MIN_MS
    for i in range(2, LATENCY_BINS - 1):
        edges[i] = edges[i - 1] * LATENCY_GAMMA
    edges[-1] = np.inf
    return edges


EDGES = latency_edges()
EDGES.flags.writeable = False


DROP = 46
"""Bits of a latency that are dropped to number its step: steps of 0.8 to 1.6 %, so at most one edge in each."""
FIRST_STEP = int(np.float64(LATENCY_MIN_MS).view(np.int64)) >> DROP


def latency_steps() -> Array:
    """The first bin that a step reaches into: int32[steps]. Below the first and above the last, as in them."""
    last = int(EDGES[-2].view(np.int64)) >> DROP
    lowest = np.arange(FIRST_STEP, last + 1) << DROP
    steps = np.searchsorted(EDGES[1:], lowest.view(np.float64)).astype(np.int32) + 1
    steps[0] = 1
    return steps


STEPS = latency_steps()
STEPS.flags.writeable = False


@kernel("int64(const float64[::1], const int32[::1], float64)")
def latency_bin(edges: Array, steps: Array, ms: float) -> int:
    """The bin of a latency: 0 when it is missing (NaN) or negative, else the first edge >= ms.

    edges  float64[LATENCY_BINS]   of `latency_edges`
    steps  int32[steps]            of `latency_steps`
    """
    step = (np.float64(ms).view(np.int64) >> DROP) - FIRST_STEP
    found = steps[np.uint64(min(max(step, 0), len(steps) - 1))]
    found += edges[np.uint64(found)] < ms
    return found if ms >= 0.0 else 0


@kernel(
    "void(int64[:, ::1], const int32[::1], const int32[:, ::1], const float64[::1], const float64[::1],"
    " const int32[::1])"
)
def add_latency(latency: Array, cell: Array, blocks: Array, ms: Array, edges: Array, steps: Array) -> None:
    """Count every latency in its bin.

    latency  int64[cells, LATENCY_BINS]   mutated
    cell     int32[rows]                  cell of each row; negative rows are skipped
    blocks   int32[blocks, 3]             of `kernels.blocks.find_blocks`
    ms       float64[rows]                milliseconds; NaN and negative ones land in bin 0
    edges    float64[LATENCY_BINS]        of `latency_edges`
    steps    int32[steps]                 of `latency_steps`
    """
    for block in range(len(blocks)):
        to, begin, end = blocks[block]
        own = ms[begin:end]
        if to >= 0:
            present = 0
            for row in range(len(own)):
                present += np.int64(own[row] >= 0.0)
            if present == 0:  # no latency is configured
                latency[to, 0] += len(own)
                continue
        elif to != SEVERAL:
            continue
        for row in range(len(own)):
            if cell[begin + row] >= 0:
                latency[cell[begin + row], latency_bin(edges, steps, own[row])] += 1


def latency_quantile(hist: Array, q: float) -> float:
    """The q-quantile of the counted latencies, milliseconds; NaN when there are none.

    Within 1 % of the value of rank floor(q * (n - 1)) between LATENCY_MIN_MS and the last finite
    edge (about 2.6 hours); outside, that limit. Bin 0 (missing) does not count.
    """
    present = np.cumsum(hist[1:])
    n = int(present[-1])
    if n == 0:
        return float("nan")
    i = 1 + int(np.searchsorted(present, int(q * (n - 1)), side="right"))
    if i == 1:
        return LATENCY_MIN_MS
    if i == LATENCY_BINS - 1:
        return float(EDGES[-2])
    return float(EDGES[i] * 2.0 / (LATENCY_GAMMA + 1.0))
