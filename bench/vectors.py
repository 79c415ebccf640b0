"""Embedding features: vectors to moments and random Fourier features, against numpy doing the same.

    python -m bench.vectors [--smoke]

The peer standardises, multiplies by the frequencies (BLAS, float64, one thread), takes cosines and sums; and sums the
values and their squares, as ours does too. Ours is exact besides: integers, the same in every order on every machine.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.figure import figure, pair, spent
from bench.machine import one_core
from kernels.fold import fold
from kernels.layout import FREQUENCIES, allocate, no_rules
from monitor.reference.build import build
from monitor.reference.profile import Reference
from monitor.reference.table import Table

LENGTHS = (64, 384, 1536)
BATCH = 5_000
GROUPS = 8
"""Cells that the rows of a batch go to."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    for item in figures(smoke=parser.parse_args().smoke):
        print(json.dumps(item))


def figures(*, smoke: bool = False) -> list[dict]:
    rows, rounds = (1_000, 3) if smoke else (BATCH, 15)
    one_blas_thread()
    found = []
    with one_core():
        for length in LENGTHS[:2] if smoke else LENGTHS:
            found += against_numpy(length, rows, rounds)
    return found


def against_numpy(length: int, rows: int, rounds: int) -> list[dict]:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(rows, length))
    reference = build(Table({"e": rng.normal(size=(2_000, length))}), model="m", name="r")
    ours, peer = folded(reference, vectors), plain(reference, vectors)
    title = f"vectors of {length}, {FREQUENCIES} Fourier features"
    both = pair(
        title,
        ours,
        peer,
        rows,
        rounds,
        unit="rows/s",
        against="numpy: X @ W, cos, sums of values and squares",
    )
    taken = [1e9 * spent(ours).cpu / rows for _ in range(rounds)]
    cost = figure(f"{title}, cost", "ns/row", float(np.median(taken)), ours_range=taken, rounds=rounds)
    return [both, cost]


def folded(reference: Reference, vectors: np.ndarray) -> Callable[[], None]:
    layout, rows = reference.layout(), len(vectors)
    rules, cells = no_rules(layout), allocate(layout, cells=GROUPS, rules=0, reasons=0)
    cell = (np.arange(rows) % GROUPS).astype(np.int32)
    rest = {
        "values": np.empty((0, rows)), "codes": np.empty((0, rows), np.int32), "latency": np.full(rows, np.nan),
        "errors": np.zeros(rows, np.uint8), "offsets": np.arange(rows),
    }  # fmt: skip
    return lambda: fold(cells, layout, rules, cell=cell, vectors=vectors, **rest)


def plain(reference: Reference, vectors: np.ndarray) -> Callable[[], np.ndarray]:
    """The sums of one cell; what numpy is best at."""
    own = reference.features[0].vector
    waves = np.ascontiguousarray(own.waves.T * (2.0 ** (own.shift - 21) * 2 * math.pi))
    phases = own.phases * (2 * math.pi / 2**32)
    scale = math.sqrt(2 / FREQUENCIES)

    def run() -> np.ndarray:
        z = (vectors - own.center) / own.scale
        features = np.cos(z @ waves + phases)
        return np.concatenate([z.sum(axis=0), np.einsum("ij,ij->j", z, z), scale * features.sum(axis=0)])

    return run


def one_blas_thread() -> None:
    """Of the library that numpy's wheel brings; others are told by OPENBLAS_NUM_THREADS=1."""
    for library in (Path(np.__file__).parent.parent / "numpy.libs").glob("*openblas*"):
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(str(library)).scipy_openblas_set_num_threads64_(1)


if __name__ == "__main__":
    main()
