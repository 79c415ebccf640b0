"""What was measured for one seed, kept under `machine.cache()`/detection: a run that was ended goes on where it was."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.machine import ROOT, cache


def kept(digest: str, name: str, make: Callable[[], NDArray]) -> NDArray:
    """The array of that name, made where it is not there; `digest` is of what it depends on."""
    path = cache() / "detection" / digest / f"{name}.npy"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_suffix(".part.npy")
        np.save(made, make())
        made.replace(path)
    return np.load(path)


@functools.cache
def digest(*patterns: str) -> str:
    """Of the files of the checkout that match."""
    files = sorted(path for pattern in patterns for path in ROOT.glob(pattern))
    return hashlib.sha256(b"".join(map(Path.read_bytes, files))).hexdigest()[:12]
