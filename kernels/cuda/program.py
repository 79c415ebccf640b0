"""The CUDA source of the twins, with the constants of the kernels in front of it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from kernels import fourier, layout, scores, vote

PROGRAMS = {
    "fold": ("fold_features", "fold_rows"),
    "vectors": ("vector_slots", "vector_moments", "vector_phases"),
    "scores": ("score",),
}
"""Source files, and the kernels in each."""
OPTIONS = ("--fmad=false", "--std=c++17")
"""A product and a sum contracted to one operation are rounded once instead of twice: other bits than the CPU's."""


class Shape(NamedTuple):
    """How work is cut; counts do not depend on it."""

    threads: int = 256
    """Of a block; a power of two, at least VECTOR_SLOTS."""
    rows: int = 2048
    """Of a block that counts columns."""
    vector_rows: int = 16
    """Of a block that works on vectors: they are wide, so that a batch has few of them and many blocks are wanted."""
    tile: int = 8
    """Rows whose phases are taken together."""
    wide: int = 256
    """Columns of them that lie in shared memory at a time."""


_LAYOUT = (
    *("NUMERIC", "CATEGORICAL", "VECTOR", "MISSING", "NON_FINITE", "BELOW", "NOVEL", "OTHER", "PRESENT"),
    *("VECTOR_SLOTS", "LATENCY_BINS", "SUM_WORDS", "SUM_SCALE", "SUM_CLIP"),
    *("FOURIER_SCALE", "PHASE_SCALE", "PHASE_CLIP"),
)
_SCORES = (
    *("PSI", "G", "PEARSON", "N", "M", "SLOTS", "THINNEST", "JS", "HELLINGER", "TOTAL_VARIATION", "LINF"),
    *("ROWS", "KS", "FINITE", "FINITE_REFERENCE", "WASSERSTEIN", "P01", "MEDIAN", "P99", "MEAN", "STD"),
    "OUTPUTS",
)
_MACROS = """
#ifndef SHARED_COUNTS
#define SHARED_COUNTS extern __shared__ unsigned shared_counts[];
#endif
#define DOUBLE_INFINITY __longlong_as_double(0x7FF0000000000000ll)
#define NOT_A_NUMBER __longlong_as_double(0x7FF8000000000000ll)
"""


def source(name: str, shape: Shape) -> str:
    """The text of one of PROGRAMS, ready to be compiled."""
    known: dict[str, int | float] = {word: getattr(layout, word) for word in _LAYOUT}
    if name == "scores":
        known |= {word: getattr(scores, word) for word in _SCORES} | {"LEFT_OUT": vote.LEFT_OUT}
    else:
        known |= {
            "THREADS": shape.threads,
            "ROWS": shape.vector_rows if name == "vectors" else shape.rows,
            "TILE": shape.tile,
            "WIDE": shape.wide,
        }
        known |= {"TURN": fourier.TURN}
    lines = [
        f"constexpr int {word} = {value};"
        if isinstance(value, int)
        else f"constexpr double {word} = {value.hex()};"
        for word, value in known.items()
    ]
    text = (Path(__file__).parent / f"{name}.cu").read_text(encoding="utf-8")
    return "\n".join([_MACROS, *lines, text])
