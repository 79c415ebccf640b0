"""Which novel categories are kept, so that partitions and processes agree without talking.

A bounded sample by hash: a category among the `cap` of smallest hash of a union is among them in
every part that holds it. So its count, added up over parts, is exact, whatever the order and the
batches were. (Keeping the most frequent would not be: a category can be rare in each part.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

LARGEST_HASH = (1 << 64) - 1


def hash64(text: str) -> int:
    """A hash of `text` that is the same in every process, on every machine; 0 ≤ hash < 2**64."""
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def keep(counts: Mapping[str, int], cap: int) -> dict[str, int]:
    """The `cap` categories of smallest hash, in hash order."""
    ranked = sorted((hash64(text), text) for text in counts)
    return {text: counts[text] for _, text in ranked[:cap]}


class Sample:
    """The `cap` categories of smallest hash that were counted so far: what `keep` keeps, batch by batch.

    A category whose hash is above `bound` is one of more than `cap`, now and for ever: it need not
    be given to `add`.
    """

    def __init__(self, counts: Mapping[str, int], cap: int) -> None:
        self.counts = dict(counts)
        self._cap = cap
        self._hashes = {text: hash64(text) for text in counts}
        self.bound = LARGEST_HASH
        self._trim()

    def add(self, counted: Iterable[tuple[str, int, int]]) -> None:
        """Add categories as (text, its hash, rows)."""
        counts, hashes = self.counts, self._hashes
        for text, number, rows in counted:
            counts[text] = counts.get(text, 0) + rows
            hashes[text] = number
        self._trim()

    def _trim(self) -> None:
        if len(self.counts) < self._cap:
            return
        ranked = sorted((number, text) for text, number in self._hashes.items())
        for _, text in ranked[self._cap :]:
            del self.counts[text], self._hashes[text]
        self.bound = ranked[self._cap - 1][0]
