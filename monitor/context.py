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
