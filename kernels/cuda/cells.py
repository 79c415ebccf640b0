"""Step 5 on a device: open cells whose counts lie in its memory, and the fold that adds to them.

The same functions as `kernels.fold` and `kernels.layout` have, with the same results to the bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels import layout as host
from kernels.cuda.device import Device
from kernels.cuda.stage import Stage
from kernels.fold import check_arrays
from kernels.fourier import SINE
from kernels.latency import EDGES
from kernels.layout import FREQUENCIES, LATENCY_BINS, Array, CellArrays, Layout, Rules

STAGE_BYTES = 32 << 20
"""Of columns that are moved at a time: large enough that a copy runs at full speed, small enough that
copying the next part hides behind computing this one."""
SHARED_BYTES = 40 << 10
"""Memory of a block for the counts of one feature; a wider feature is counted without."""


_TYPES: dict[str, type[np.generic]] = {
    **dict.fromkeys(("kind",), np.int8),
    **dict.fromkeys(("column", "start", "edge_start", "dim_start", "word_start", "wave_start"), np.int32),
    **dict.fromkeys(("edges", "center", "scale", "low", "high"), np.float64),
    **dict.fromkeys(("phases", "shift", "null", "range", "category"), np.int32),
    "waves": np.int16,
    "forbidden": np.uint8,
    "cell": np.int32,
    "values": np.float64,
    "codes": np.int32,
    "latency": np.float64,
    "errors": np.uint8,
    "offsets": np.int64,
    "vectors": np.float64,
}
"""Of what the kernels are handed: they get addresses, and would read other types as these."""

_SCORED = (
    *(np.int64, np.int64, np.float64, np.int64, np.float64, np.int32, np.int32, np.int64, np.float64),
    *(np.int8, np.int32, np.int32, np.float64, np.int32, np.float64, np.float64),
)
"""Of the arrays from `counts` to `scale` of `kernels.scores.score`."""


class DeviceCells:
    """State of the open cells of one model and one source partition; one thread at a time."""

    def __init__(self, stage: Stage, arrays: CellArrays, layout: Layout) -> None:
        """`arrays` lie on the device."""
        device = stage.device
        self.device = device
        self.stage = stage
        self.arrays = arrays
        self.layout = _uploaded(device, layout)
        self.waves = [  # a column of the CPU's in a row: threads of neighbouring frequencies read neighbours
            np.ascontiguousarray(layout.vectors.waves[:, low:high].T)
            for low, high in zip(layout.vectors.wave_start, layout.vectors.wave_start[1:], strict=False)
        ]
        self.waves = [device.xp.asarray(wave) for wave in self.waves]
        self.rate = device.xp.asarray(1.0 / layout.vectors.scale)
        self.sine, self.bins = device.xp.asarray(SINE), device.xp.asarray(EDGES)
        self.broken = device.xp.zeros(1, np.int64)
        self.known: tuple[Rules, Any] | None = None
        """The rules that were folded with last, here and on the device."""

    def rules(self, rules: Rules) -> Any:
        """`rules` on the device."""
        if self.known is None or self.known[0] is not rules:
            with self.device.computing():
                self.known = rules, _uploaded(self.device, rules)
        return self.known[1]


def allocate(stage: Stage, layout: Layout, *, cells: int, rules: int, reasons: int) -> DeviceCells:
    """Empty state for `cells` cells."""
    arrays = _empty(stage.device, layout, cells=cells, rules=rules, reasons=reasons)
    with stage.device.computing():
        return DeviceCells(stage, arrays, layout)


def _empty(device: Device, layout: Layout, *, cells: int, rules: int, reasons: int) -> CellArrays:
    one = host.allocate(layout, cells=1, rules=rules, reasons=reasons)
    xp = device.xp
    with device.computing():
        return CellArrays(
            *(xp.broadcast_to(xp.asarray(array), (cells, *array.shape[1:])).copy() for array in one)
        )


def grow(cells: DeviceCells, layout: Layout, *, to: int) -> DeviceCells:
    """The same state with room for `to` cells; the new ones are empty."""
    of = cells.arrays
    wider = _empty(cells.device, layout, cells=to, rules=of.violations.shape[1], reasons=of.rejects.shape[1])
    with cells.device.computing():
        for old, new in zip(of, wider, strict=True):
            new[: len(old)] = old
    cells.arrays = wider
    return cells


def clear(cells: DeviceCells, index: int) -> None:
    """Make one cell empty again."""
    with cells.device.computing():
        host.clear(cells.arrays, index)


def read(cells: DeviceCells, index: int) -> CellArrays:
    """One cell as arrays of the host: cells[index] of each, as cell 0."""
    return CellArrays(*(cells.device.download(array[index : index + 1]) for array in cells.arrays))


def write(cells: DeviceCells, index: int, one: CellArrays) -> None:
    """Replace one cell by cell 0 of `one`, which lies on the host."""
    with cells.device.computing():
        for array, own in zip(cells.arrays, one, strict=True):
            array[index : index + 1] = cells.device.xp.asarray(own)


def fold(cells: DeviceCells, layout: Layout, rules: Rules, _places: Array, **batch: Array) -> int:
    """Add the rows of a batch to their cells; how often the contract was broken.

    `_places` are not looked at, `batch` is as in `kernels.fold.fold`. Returns before the device is done, unless there are rules: nothing waits but `read` and the
    fold after the next.
    """
    rows = len(batch["cell"])
    if not rows:
        return 0
    if batch.get("vectors") is None:
        batch["vectors"] = np.empty((rows, 0))
    flat = (batch["latency"], batch["errors"], batch["offsets"])
    check_arrays(
        cells.arrays, layout, rules, *(batch[name] for name in ("cell", "values", "codes", "vectors")), flat
    )
    wrong = [name for name, array in batch.items() if array.dtype != _TYPES[name]]
    if wrong:
        raise TypeError(
            f"arrays of other types - fold of {rows} rows: {', '.join(wrong)} - see `kernels.fold`"
        )
    width = sum(array.nbytes for array in batch.values()) // rows + 1
    step = max(STAGE_BYTES // width, 1)
    for begin in range(0, rows, step):
        part = {
            name: array[:, begin : begin + step]
            if name in {"values", "codes"}
            else array[begin : begin + step]
            for name, array in batch.items()
        }
        with cells.stage.moved(part) as moved:
            is_one = bool((part["cell"] == part["cell"][0]).all())
            _fold_part(cells, layout, rules, moved, is_one=is_one)
    if not rules.count:
        return 0
    broken = int(cells.device.download(cells.broken)[0])
    with cells.device.computing():
        cells.broken[:] = 0
    return broken


def _fold_part(
    cells: DeviceCells, layout: Layout, rules: Rules, moved: dict[str, Any], *, is_one: bool
) -> None:
    device, state, own = cells.device, cells.arrays, cells.layout
    shape = device.shape
    rows = len(moved["cell"])
    order = moved["cell"]
    if not is_one:
        with device.computing():
            order = device.xp.argsort(order).astype(np.int32)
    sorted_cells = (order, np.int32(not is_one), moved["cell"])
    blocks = -(-rows // shape.rows)
    device.launch(
        "fold_rows", (blocks, 1), shape.threads, 4 * LATENCY_BINS,
        state.latency, state.rows, state.errors, state.first, state.last, *sorted_cells, moved["latency"],
        moved["errors"], moved["offsets"], np.int32(rows), cells.bins,
    )  # fmt: skip
    if layout.numeric or layout.categorical:
        widths = np.diff(layout.start)
        room = int(widths[4 * widths <= SHARED_BYTES].max(initial=1))
        _, null, outside, category, low, high, forbidden = cells.rules(rules)
        device.launch(
            "fold_features", (blocks, layout.features), shape.threads, 4 * room,
            state.counts, state.sums, state.extremes, state.violations, cells.broken, *sorted_cells,
            moved["values"], moved["codes"], np.int32(rows), own.kind, own.column, own.start,
            np.int32(layout.features), own.edges, own.edge_start, own.center, own.scale,
            np.int32(layout.numeric), np.int32(rules.count), null, outside, category, low, high, forbidden,
            np.int32(room),
        )  # fmt: skip
    for feature in np.flatnonzero(layout.kind == host.VECTOR).tolist():
        _fold_vectors(cells, layout, rules, feature, moved, sorted_cells)


def _fold_vectors(
    cells: DeviceCells,
    layout: Layout,
    rules: Rules,
    feature: int,
    moved: dict[str, Any],
    sorted_cells: tuple[Any, ...],
) -> None:
    device, state, of, shape = cells.device, cells.arrays, layout.vectors, cells.device.shape
    own, rows = int(layout.column[feature]), len(moved["cell"])
    first, dims = int(of.dim_start[own]), int(of.dim_start[own + 1] - of.dim_start[own])
    wave = cells.waves[own]
    columns, frequencies = max(wave.shape[0], dims), wave.shape[1]
    all_dims, words, word = np.int32(of.dims), np.int32(of.words), int(of.word_start[own])
    with device.computing():
        slot = device.xp.empty(rows, np.uint8)
        steps = device.xp.empty((rows, columns), np.int16)
    threads, blocks = min(shape.threads, FREQUENCIES), -(-rows // shape.vector_rows)
    device.launch(
        "vector_slots", (rows, 1), threads, 0, slot, moved["vectors"], all_dims, np.int32(first), np.int32(dims)
    )  # fmt: skip
    device.launch(
        "vector_moments", (blocks, -(-columns // threads)), threads, 0,
        state.vectors, steps, slot, *sorted_cells, moved["vectors"], np.int32(rows), all_dims, np.int32(first),
        np.int32(dims), np.int32(columns), words, np.int32(word), cells.layout.vectors.center, cells.rate,
    )  # fmt: skip
    device.launch(
        "vector_phases", (blocks, max(-(-frequencies // threads), 1)), threads, 0,
        state.counts, state.vectors, state.violations, cells.broken, steps, slot, *sorted_cells, np.int32(rows),
        np.int32(columns), np.int32(layout.slots), np.int32(layout.start[feature]), words,
        np.int32(word + 3 * dims), np.int32(rules.count), np.int32(rules.null[feature]), wave,
        cells.layout.vectors.phases[own], np.int32(of.shift[own]), np.int32(frequencies), cells.sine,
    )  # fmt: skip


def score(device: Device, out: Array, coarse: Array, *arguments: Any) -> None:
    """Same arguments and effect as `kernels.scores.score`, apart from the last bits of logarithms."""
    counts, _, _, _, whole = arguments[:5]
    windows, features, room = len(counts), out.shape[1], len(whole)
    numbers = [np.int64(arguments[-4]), *(np.float64(number) for number in arguments[-3:])]
    if not windows or not features:
        return
    with device.computing():
        arrays = [
            device.xp.asarray(np.ascontiguousarray(array, dtype))
            for array, dtype in zip(arguments[:-4], _SCORED, strict=True)
        ]
        result, sums = device.xp.empty(out.shape), device.xp.empty(coarse.shape, np.int64)
        expected, a, b = (device.xp.empty((windows, room)) for _ in range(3))
        slots = device.xp.empty((windows, room), np.int64)
    threads = min(device.shape.threads, 64)
    numeric = len(arguments[-5])  # one center, one scale for each
    device.launch(
        "score", (-(-features // threads), windows), threads, 0, result, sums, expected, slots, a, b, *arrays,
        np.int32(windows), np.int32(features), np.int32(numeric), *numbers,
    )  # fmt: skip
    out[:], coarse[:] = device.download(result), device.download(sums)


def _uploaded(device: Device, of: Any) -> Any:
    """A named tuple with its arrays on the device, in the types that the kernels read."""
    return of._replace(
        **{
            name: _uploaded(device, value)
            if isinstance(value, tuple)
            else device.xp.asarray(np.ascontiguousarray(value, _TYPES[name]))
            for name, value in of._asdict().items()
            if not isinstance(value, int)
        }
    )
