"""The Prometheus text format 0.0.4, encoded by hand.

`prometheus_client` spends 12–23 µs on a sample; with the bytes before the value kept from one
scrape to the next a sample costs under 1 µs, so that 20 000 series take some 20 ms.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isnan

from monitor.family import Family

Sample = tuple[tuple[str, ...], float]
"""Label values, in the order of the family's labels, and the value."""
Samples = dict[Family, list[Sample]]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def escape(text: str) -> str:
    """A label value: names of features come from Kafka and may hold anything."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def number(value: float) -> bytes:
    """A value as Go reads it; shortest digits that give the same double."""
    if isnan(value):
        return b"NaN"
    if value in {inf, -inf}:
        return b"+Inf" if value > 0 else b"-Inf"
    return repr(float(value)).encode()


class Encoder:
    """Families and samples to bytes; remembers `name{labels} ` of every child it has written.

    Used by one thread. Forgets everything when it holds more than `limit` children, which is
    well above what one exposition may have, so that models that are gone do not stay.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._heads: dict[str, bytes] = {}
        self._prefixes: dict[tuple[str, tuple[str, ...]], bytes] = {}

    def encode(self, family: Family, samples: Iterable[Sample]) -> bytes:
        """The lines of one family; nothing when it has no samples."""
        if len(self._prefixes) > self._limit:
            self._prefixes.clear()
        prefixes, name = self._prefixes, family.name
        lines: list[bytes] = []
        for labels, value in samples:
            prefix = prefixes.get((name, labels))
            if prefix is None:
                prefix = prefixes[name, labels] = _prefix(family, labels)
            lines.append(prefix)
            lines.append(number(value))
            lines.append(b"\n")
        return self._head(family) + b"".join(lines) if lines else b""

    def _head(self, family: Family) -> bytes:
        head = self._heads.get(family.name)
        if head is None:
            text = family.text.replace("\\", "\\\\").replace("\n", "\\n")
            head = f"# HELP {family.name} {text}\n# TYPE {family.name} {family.kind}\n".encode()
            self._heads[family.name] = head
        return head


def _prefix(family: Family, labels: tuple[str, ...]) -> bytes:
    pairs = ",".join(f'{name}="{escape(value)}"' for name, value in zip(family.labels, labels, strict=True))
    return (f"{family.name}{{{pairs}}} " if pairs else f"{family.name} ").encode("utf-8", "replace")
