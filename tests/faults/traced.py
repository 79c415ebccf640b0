"""The daemon's process, which tells of each batch when it has counted it:

DRIFTLINE_TRACE=trace python -m tests.faults.traced run -c driftline.yaml
"""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from monitor import ingest
from monitor.__main__ import main

TRACE = "DRIFTLINE_TRACE"
TRACED = "tests.faults.traced"


class Counted(NamedTuple):
    """A batch as it was read, whether counted before or not."""

    at: float
    process: int
    partition: int
    first: int
    last: int


def tell(trace: Path) -> None:
    """Write a line for each batch to `trace`."""
    fold = ingest.fold_batch

    def told(batch, **named):
        found = fold(batch, **named)
        one = Counted(time.time(), os.getpid(), batch.source.partition, batch.offsets[0], batch.offsets[-1])
        with trace.open("a") as lines:
            lines.write(" ".join(map(str, one)) + "\n")
        return found

    ingest.fold_batch = told


def counted(trace: Path, *, since: float = 0.0) -> list[Counted]:
    """What all processes have told since then, in order."""
    whole = trace.read_text().rpartition("\n")[0] if trace.exists() else ""
    found = [Counted(float(at), *map(int, rest)) for at, *rest in map(str.split, whole.splitlines())]
    return sorted(one for one in found if one.at >= since)


def by_partition(batches: list[Counted]) -> dict[int, list[Counted]]:
    found: dict[int, list[Counted]] = {}
    for one in batches:
        found.setdefault(one.partition, []).append(one)
    return found


def handovers(batches: list[Counted]) -> list[tuple[Counted, Counted]]:
    """The last batch of a partition that one process has read, and the first that another has read after it."""
    every = by_partition(batches).values()
    return [pair for those in every for pair in pairwise(those) if pair[0].process != pair[1].process]


def advances(batches: list[Counted]) -> list[float]:
    """When a partition was read farther than before."""
    reached: dict[int, int] = {}
    found = []
    for one in batches:
        if one.last > reached.get(one.partition, -1):
            reached[one.partition] = one.last
            found.append(one.at)
    return found


def longest(batches: list[Counted], *, since: float) -> float:
    """Seconds that a partition was without a batch at most, from then to its last."""
    every = by_partition(batches).values()
    return max(
        after - before for those in every for before, after in pairwise([since, *(one.at for one in those)])
    )


if __name__ == "__main__":
    tell(Path(os.environ[TRACE]))
    main()
