"""Scores of other products of the same rows, each in a process and an environment of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.detecting import alarms, rows
from bench.detecting.alarms import Array, Limits
from bench.detecting.kept import digest, kept
from bench.peers.process import Peer

Made = Callable[[], Array]
"""Rows, drawn only where they are needed."""
BLOCK = 6
"""Looks that a peer is asked for at once, after a change; then whether any was an alarm."""


class Arm(NamedTuple):
    """One way to use a product."""

    peer: str
    numeric: str
    categorical: str
    window: int
    default: str = ""
    """What the product alarms at by itself, where these are its default methods."""

    @property
    def name(self) -> str:
        return f"{self.numeric} and {self.categorical}, {self.window} rows"


class Scorer:
    """A peer's program, and what it scored before."""

    def __init__(self, peer: Peer, folder: Path) -> None:
        self.peer = peer
        self._folder = folder
        self._loaded: tuple[int, str, str] | None = None
        """Seed of the reference, and methods."""

    def month(self, arm: Arm, seed: int, looks: int) -> Array:
        """Scores of all features in a stream without a change, from the first full window on."""
        made = lambda: rows.calm(seed, rows.LEAD + looks)  # noqa: E731
        span = rows.LEAD, rows.LEAD + looks
        return self._scores(arm, seed, f"calm-{looks}", made, range(rows.FEATURES), span)

    def delay(self, arm: Arm, seed: int, change: rows.Change, limits: Limits) -> int:
        """Rows until it is noticed, those that are watched where it is not."""
        begin, own = rows.onset(seed), (change.feature,)
        made = lambda: rows.changed(seed, change)  # noqa: E731
        first = begin // rows.EVERY
        for low in range(first, first + rows.WATCHED, BLOCK):
            looks = low, min(low + BLOCK, first + rows.WATCHED)
            found = limits.alarms(self._scores(arm, seed, change.name, made, own, looks), own)[0]
            if found.any():
                return (low + int(found.argmax()) + 1) * rows.EVERY - begin
        return (first + rows.WATCHED) * rows.EVERY - begin

    def _scores(
        self, arm: Arm, seed: int, stream: str, made: Made, columns: Sequence[int], looks: tuple[int, int]
    ) -> Array:
        def ask() -> Array:
            self._load(arm, seed)
            path, out = self._folder / "rows.npy", self._folder / "scores.npy"
            np.save(path, made())
            self.peer.ask(
                "score", path=path, out=out, columns=list(columns), looks=looks, window=arm.window, every=rows.EVERY
            )  # fmt: skip
            return np.load(out).astype(np.float32)

        name = (
            f"{arm.peer}/{arm.numeric}-{arm.categorical}-{arm.window}/{seed}-{stream}-{looks[0]}-{looks[1]}"
        )
        own = f"bench/peers/{arm.peer}"
        sources = f"{own}/detect.py", f"{own}/requirements.txt", "bench/peers/common/looks.py", rows.SOURCE
        return kept(digest(*sources), name, ask).astype(float)

    def _load(self, arm: Arm, seed: int) -> None:
        wanted = seed, arm.numeric, arm.categorical
        if self._loaded != wanted:
            path = self._folder / "reference.npy"
            np.save(path, rows.reference(seed))
            self.peer.load(reference=path, numeric=arm.numeric, categorical=arm.categorical)
            self._loaded = wanted


def default_alarms(months: Sequence[Array]) -> float:
    """False alarms a month of any feature that is drift by the product's own default."""
    return float(np.mean([alarms.episodes(one[alarms.DEFAULT].any(axis=0)) for one in months]))
