"""Data sets that ours and the peers read from the same bytes: drawn once from a seed, kept under the cache.

`table()` is for whole drift runs and for counting: float64[columns, rows] as .npy, which ours reads as it is and a
peer turns into a DataFrame before anything is timed. `lines()` is for decoding.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.machine import cache
from bench.machine import seed as drawn

if TYPE_CHECKING:
    from bench.records import Job

COLUMNS = 20
KEPT = 8
"""Data sets of each kind that stay in the cache; a night with another seed pushes the oldest out."""


def table(rows: int, *, columns: int = COLUMNS, seed: int | None = None, current: bool = False) -> Path:
    """The file of a reference data set, or of a current one in which every fifth column has moved a little."""
    seed = drawn() if seed is None else seed
    path = _folder() / f"{'current' if current else 'reference'}-{rows}x{columns}-{seed}.npy"
    if not path.is_file():
        generator = np.random.default_rng([seed, current])
        values = np.empty((columns, rows))
        for n in range(columns):
            values[n] = _column(generator, n, rows)
            if current and n % 5 == 0:
                values[n] += 0.1 * values[n].std()
        _keep(path, lambda part: np.save(part, values))
    return path


def lines(job: Job, *, rows: int, seed: int) -> Path:
    """The file of the records of a job, one a line."""
    path = _folder() / f"records-{job.kind.name}-{rows}-{seed}.jsonl"
    content = b"\n".join(job.values) + b"\n"
    if not path.is_file() or path.read_bytes() != content:
        _keep(path, lambda part: part.write_bytes(content))
    return path


def _column(generator: np.random.Generator, n: int, rows: int) -> np.ndarray:
    match n % 4:
        case 0:
            return generator.normal(size=rows)
        case 1:
            return generator.lognormal(0, 1, rows)
        case 2:
            return generator.gamma(2, 10, rows)
        case _:
            return generator.uniform(0, 1, rows)


def _folder() -> Path:
    folder = cache() / "data"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _keep(path: Path, write) -> None:
    """Written whole or not at all; the oldest files of the kind make room."""
    part = path.with_name(f".{os.getpid()}-{path.name}")
    write(part)
    part.replace(path)
    kind = path.name.split("-")[0]
    kept = sorted(path.parent.glob(f"{kind}-*"), key=lambda file: file.stat().st_mtime, reverse=True)
    for old in kept[KEPT:]:
        old.unlink()
