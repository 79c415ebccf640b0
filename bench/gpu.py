"""The GPU's backend beside the CPU's, one core, and beside the rate at which the same columns are merely copied to it.

    python -m bench.gpu [--smoke]

Columns lie in ordinary memory, as the scanner leaves them; what is measured ends when a cell has come back. Where there is
no GPU every figure says why it is missing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.figure import absent, pair
from bench.machine import seed
from kernels.layout import FREQUENCIES, NO_VECTORS, NUMERIC, VECTOR, VECTOR_SLOTS, Layout, Vectors, no_rules
from kernels.scores import OUTPUTS
from kernels.select import CPU, Backend, BackendMissing, select

FEATURES, EDGES, DIMS = 24, 257, 384
COLUMNS = f"columns to counts, {FEATURES} features, {EDGES - 1} bins"
VECTORS = f"vectors to counts, {DIMS} dimensions"
SCORES = f"scores, {FEATURES} features, {EDGES - 1} bins"
SIDES = ("the CPU's backend, one core", "copying the same columns to the GPU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    for item in figures(smoke=parser.parse_args().smoke):
        value = item["missing"] or f"{item['ours']:.4g} {item['unit']}, {item['ratio']:.2f} x"
        print(f"{item['name']}, against {item['against']}: {value}")


def figures(*, smoke: bool) -> list[dict[str, Any]]:
    """Columns and vectors to counts against the CPU and against copying; scores against the CPU."""
    try:
        backend = select("gpu")
    except BackendMissing as error:
        why = f"not run: {error.wrong}"
        both = [absent(name, side, why, unit="records/s") for name in (COLUMNS, VECTORS) for side in SIDES]
        return [*both, absent(SCORES, SIDES[0], why, unit="windows/s")]
    return measured(backend, rows=20_000 if smoke else 1_000_000, rounds=3 if smoke else 7)


def measured(backend: Backend, *, rows: int, rounds: int) -> list[dict[str, Any]]:
    """The figures of one backend; a tenth of the rows for vectors, a hundredth of windows for scores."""
    rng = np.random.default_rng(seed())
    columns = {"values": rng.normal(size=(FEATURES, rows)), "vectors": np.empty((rows, 0))}
    few = max(rows // 10, 1)
    dims = {"values": np.empty((0, few)), "vectors": rng.normal(size=(few, DIMS))}
    return [
        *_folds(COLUMNS, backend, numeric_layout(rng), _batch(rows, columns), rounds),
        *_folds(VECTORS, backend, vector_layout(rng), _batch(few, dims), rounds),
        _scores(backend, rng, windows=max(rows // 100, 1), rounds=rounds),
    ]


def numeric_layout(rng: np.random.Generator) -> Layout:
    """FEATURES numeric features with edges of their own."""
    edges = np.sort(rng.normal(size=(FEATURES, EDGES)), axis=1)
    numbers = np.arange(FEATURES + 1, dtype=np.int32)
    return Layout(
        kind=np.full(FEATURES, NUMERIC, np.int8), column=numbers[:-1], start=numbers * np.int32(EDGES + 3),
        edges=edges.ravel(), edge_start=numbers * np.int32(EDGES), center=np.zeros(FEATURES),
        scale=np.ones(FEATURES), vectors=NO_VECTORS,
    )  # fmt: skip


def vector_layout(rng: np.random.Generator) -> Layout:
    """One feature of DIMS dimensions."""
    vectors = Vectors(
        dim_start=np.array([0, DIMS], np.int32), word_start=np.array([0, 3 * DIMS + FREQUENCIES], np.int32),
        wave_start=np.array([0, DIMS], np.int32), center=np.zeros(DIMS), scale=np.ones(DIMS),
        waves=rng.integers(-999, 999, (FREQUENCIES, DIMS)).astype(np.int16),
        phases=rng.integers(-(2**31), 2**31, (1, FREQUENCIES)).astype(np.int32), shift=np.zeros(1, np.int32),
    )  # fmt: skip
    return Layout(
        kind=np.array([VECTOR], np.int8), column=np.zeros(1, np.int32), start=np.array([0, VECTOR_SLOTS], np.int32),
        edges=np.empty(0), edge_start=np.zeros(1, np.int32), center=np.empty(0), scale=np.empty(0), vectors=vectors,
    )  # fmt: skip


def _batch(rows: int, more: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        "cell": np.zeros(rows, np.int32), "codes": np.empty((0, rows), np.int32), "latency": np.full(rows, 12.5),
        "errors": np.zeros(rows, np.uint8), "offsets": np.arange(rows), **more,
    }  # fmt: skip


def _folds(
    name: str, backend: Backend, layout: Layout, batch: dict[str, np.ndarray], rounds: int
) -> list[dict[str, Any]]:
    rows = len(batch["cell"])
    mine, theirs = folding(backend, layout, batch), folding(CPU, layout, batch)
    sides = dict(zip(SIDES, (theirs, copying(backend, layout, batch)), strict=True))
    size = sum(array.nbytes for array in batch.values()) / rows
    return [
        pair(
            name, mine, peer, rows, rounds, unit="records/s", against=side, device=backend.device,
            notes=f"{size:.0f} bytes of columns per record; {rows:,} records per call",
        )
        for side, peer in sides.items()
    ]  # fmt: skip


def folding(backend: Backend, layout: Layout, batch: dict[str, np.ndarray]) -> Callable[[], None]:
    """A call that folds the batch and waits until a cell can be read."""
    rules, places = no_rules(layout), np.zeros(1, np.int32)
    state = backend.allocate(layout, cells=8, rules=0, reasons=0)

    def run() -> None:
        backend.fold(state, layout, rules, places, **batch)
        backend.read(state, 0)

    return run


def copying(backend: Backend, layout: Layout, batch: dict[str, np.ndarray]) -> Callable[[], None]:
    """A call that moves as many bytes from pinned memory as the batch has, in one piece, and waits."""
    device = backend.allocate(layout, cells=1, rules=0, reasons=0).device
    size = sum(array.nbytes for array in batch.values())
    pinned, room = device.pinned(size), device.xp.empty(size, np.uint8)

    def run() -> None:
        device.upload(room, pinned)
        device.mark()()

    return run


def _scores(backend: Backend, rng: np.random.Generator, *, windows: int, rounds: int) -> dict[str, Any]:
    layout = numeric_layout(rng)
    counts = rng.poisson(40, (windows, layout.slots)).astype(np.int64)
    reference = rng.poisson(4_000, layout.slots).astype(np.int64)
    own = np.concatenate([[0, 1, 2], 4 + np.arange(EDGES - 1) * 20 // (EDGES - 1), [3]])
    group = (np.arange(FEATURES)[:, None] * 24 + own).ravel().astype(np.int32)
    first = (np.arange(FEATURES + 1) * 24).astype(np.int32)
    arguments = (
        counts, np.zeros((windows, FEATURES, 3), np.int64), np.tile([-5.0, 5.0], (windows, FEATURES, 1)), reference,
        np.bincount(group, reference, minlength=FEATURES * 24), group, first, np.full(FEATURES, 4), np.ones(FEATURES),
        layout.kind, layout.column, layout.start, layout.edges, layout.edge_start, layout.center, layout.scale,
        0, np.inf, 20.0, np.inf,
    )  # fmt: skip
    out, coarse = np.empty((windows, FEATURES, OUTPUTS)), np.empty((windows, FEATURES * 24), np.int64)
    return pair(
        SCORES, lambda: backend.score(out, coarse, *arguments), lambda: CPU.score(out, coarse, *arguments), windows,
        rounds, unit="windows/s", against=SIDES[0], device=backend.device,
        notes=f"{windows:,} windows per call, copied there and back; verdicts are judged on the CPU",
    )  # fmt: skip


if __name__ == "__main__":
    main()
