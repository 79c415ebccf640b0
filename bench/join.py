"""The join of labels: ten million open predictions, and as many labels in another order.

    python -m bench.join [--smoke]

By the table of `monitor.labels.join` as the daemon uses it, one thread, rows in batches of 10,000. Memory is that of the
table alone; labels that are waited for cost 32 bytes more each.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from bench.figure import figure, say
from bench.machine import seed
from monitor.joinable import LABELS, dtype_of
from monitor.labels.join import Join
from monitor.plan import JoinPlan

BATCH = 10_000
COHORTS = 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    for item in figures(smoke=parser.parse_args().smoke):
        say(f"{item['name']}: {item['ours']:.4g} {item['unit']}")


def figures(*, smoke: bool) -> list[dict[str, Any]]:
    """Bytes for each open prediction, predictions and labels a second; all pairs must be there."""
    count, rounds = (200_000, 1) if smoke else (10_000_000, 3)
    taken = [_round(count, number) for number in range(rounds)]
    size, predicted, labelled = zip(*taken, strict=True)
    notes = (
        f"{count:,} open predictions of 24 hours, every one labelled, labels in random order; all pairs found"
    )
    return [
        figure("memory of an open prediction", "bytes", float(np.median(size)), goal="<= 24", rounds=rounds, notes=notes,
               ours_range=size),
        figure("predictions taken", "records/s", float(np.median(predicted)), rounds=rounds, ours_range=predicted, notes=notes),
        figure("labels joined", "records/s", float(np.median(labelled)), goal=">= 1000000", rounds=rounds,
               ours_range=labelled, notes=notes),
    ]  # fmt: skip


def _round(count: int, number: int) -> tuple[float, float, float]:
    rng = np.random.default_rng((seed(), number))
    join = Join(JoinPlan("labels", "score", 86_400_000, b"8 bytes!"))
    cells = [join.cell(opening=0, deadline=10**15, rank=at, parts=[join.row()]) for at in range(COHORTS)]
    ids = np.unique(rng.integers(1, 2**63, count + count // 100).astype(np.uint64))[:count]
    rng.shuffle(ids)
    own = np.repeat(np.array(cells, np.int32), -(-count // COHORTS))[:count]
    value = rng.random(count).astype(np.float32)
    begin = time.thread_time()
    for at in range(0, count, BATCH):
        part = slice(at, at + BATCH)
        join.predict(ids[part], own[part], value[part])
    predicted = count / (time.thread_time() - begin)
    size = join.table_bytes / join.used
    rows = np.zeros(count, dtype_of(LABELS, 0))
    rows["id"] = rng.permutation(ids)
    rows["value"] = rng.random(count) < 0.3
    rows["stamp"] = rows["mark"] = rows["offset"] = np.arange(count)
    begin = time.thread_time()
    for at in range(0, count, BATCH):
        join.label(rows[at : at + BATCH])
    labelled = count / (time.thread_time() - begin)
    found = sum(int(join.sums(row)[-1]) for row in range(join.rows))
    if found != count:
        raise AssertionError(f"{found} pairs of {count}")
    return size, predicted, labelled


if __name__ == "__main__":
    main()
