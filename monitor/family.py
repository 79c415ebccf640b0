"""A family of series that is rendered from the view: `monitor.metrics` has them all."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """A family rendered from the view. `kind` is gauge or counter."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...] = ()


def gauge(name: str, text: str, *labels: str) -> Family:
    return Family(f"driftline_{name}", "gauge", text, labels)


def total(name: str, text: str, *labels: str) -> Family:
    return Family(f"driftline_{name}", "counter", text, labels)
