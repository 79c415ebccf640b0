"""Which novel categories are kept, so that partitions and processes agree without talking.

A bounded sample by hash: a category among the `cap` of smallest hash of a union is among them in
every part that holds it. So its count, added up over parts, is exact, whatever the order and the
batches were. (Keeping the most frequent would not be: a category can be rare in each part.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


def hash64(text: str) -> int:
    """A hash of `text` that is the same in every process, on every machine; 0 ≤ hash < 2**64."""
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def keep(counts: Mapping[str, int], cap: int) -> dict[str, int]:
    """The `cap` categories of smallest hash, in hash order."""
    ranked = sorted((hash64(text), text) for text in counts)
    return {text: counts[text] for _, text in ranked[:cap]}
