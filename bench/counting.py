"""Counting columns that are decoded already, against sketches of other products on the same columns.

They do not give the same: a KLL sketch answers any quantile with an error, a whylogs profile counts types and distinct
values besides; ours are exact counts of bins that were fixed when the reference was built, and exact moments.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench import data
from bench.figure import absent, pair
from bench.machine import one_core
from bench.peers.process import NotInstalled, Peer, PeerFailed
from kernels.fold import fold
from kernels.layout import allocate, no_rules
from monitor.names import REASONS
from monitor.reference.build import BuildSettings, build
from monitor.reference.table import Table

COLUMNS = 24
BINS = 256
BATCH = 5_000
PEERS = {
    "datasketches": "KLL k = 200, one numpy column at a time",
    "whylogs": "why.log of a DataFrame",
}
NOTES = (
    "what is counted differs: KLL holds quantiles with an error, whylogs types and distinct values besides"
)


def figures(*, smoke: bool = False) -> list[dict[str, Any]]:
    """Ours against each peer."""
    rows, rounds = (20_000, 3) if smoke else (200_000, 7)
    path = data.table(rows, columns=COLUMNS, current=True)
    run = counted(path, data.table(20_000, columns=COLUMNS))
    found = []
    with one_core():
        for name, what in PEERS.items():
            title, unit = f"count {COLUMNS} numeric columns, {BINS} bins", "values/s"
            try:
                with Peer(name, smoke=smoke) as peer:
                    peer.load(path=path)
                    against = f"{peer.label}: {what}"
                    figure = pair(
                        title, run, peer.run, rows * COLUMNS, rounds, unit=unit, against=against, notes=NOTES
                    )
            except (NotInstalled, PeerFailed) as error:
                figure = absent(title, f"{name}: {what}", str(error), unit=unit)
            found.append(figure)
    return found


def counted(path: Path, learnt: Path) -> Callable[[], None]:
    """The fold of the whole file, in batches as the daemon has them."""
    columns = {f"f{n}": column for n, column in enumerate(np.load(learnt))}
    layout = build(Table(columns), model="m", name="r", settings=BuildSettings(quantiles=BINS)).layout()
    values = np.load(path)
    rows = values.shape[1]
    cells = allocate(layout, cells=1, rules=0, reasons=len(REASONS))
    blocks = [np.ascontiguousarray(values[:, start : start + BATCH]) for start in range(0, rows, BATCH)]
    rules, cell, codes = no_rules(layout), np.zeros(BATCH, np.int32), np.zeros((0, BATCH), np.int32)
    latency, errors, offsets = np.full(BATCH, np.nan), np.zeros(BATCH, np.uint8), np.arange(BATCH)

    def run() -> None:
        for block in blocks:
            size = block.shape[1]
            fold(
                cells, layout, rules, cell=cell[:size], values=block, codes=codes[:, :size], latency=latency[:size],
                errors=errors[:size], offsets=offsets[:size],
            )  # fmt: skip

    return run
