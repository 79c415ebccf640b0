"""What a model is judged with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kernels.layout import Layout
from monitor.consistency.tallies import Tallies
from monitor.judge.beside import Neighbour
from monitor.judge.prepare import Prepared
from monitor.plan import ModelPlan
from monitor.reference.profile import Reference


@dataclass(frozen=True, slots=True)
class Context:
    """Replaced whole when configuration or reference change."""

    plan: ModelPlan
    layout: Layout
    reference: Reference | None
    prepared: Mapping[str, Prepared]
    """By window name; empty without a reference."""
    others: Mapping[str, Neighbour] = field(default_factory=dict)
    """What the plan names beside it, of those that have a file."""
    tallies: Tallies | None = None
    """What is known of the online store; None where nobody asks it."""


def fits(old: Context, new: Context) -> bool:
    """Whether what is held by one context means the same by another."""
    mine, theirs = old.plan, new.plan
    alike = ("config", "windows", "source", "join", "registered")
    same = all(getattr(mine, name) == getattr(theirs, name) for name in alike)
    return same and (mine.join is None or mine.segments == theirs.segments)
