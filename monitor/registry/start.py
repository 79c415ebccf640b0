"""The poller of a daemon."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from monitor.clock import Clock
from monitor.errands import Errands
from monitor.registry.poll import Poller

if TYPE_CHECKING:
    from monitor.assembly import Assembly
    from monitor.evaluate import Evaluate


def poller(
    clock: Clock, assembly: Callable[[], Assembly], evaluate: Callable[[], Evaluate], errands: Errands
) -> Poller:
    """`errands` are done by the evaluate thread."""
    return Poller(
        clock=clock,
        plans=lambda: assembly().plans.registries,
        contexts=lambda: assembly().contexts,
        shown=lambda: dict(evaluate().models),
        swap=lambda model, offer: errands.call(lambda: evaluate().swap(model, offer)),
    )
