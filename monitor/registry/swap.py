"""From what a registry says to a reign: durable first, then in force. Evaluate thread only."""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from monitor import metrics
from monitor.context import Context
from monitor.failpoint import fail_point
from monitor.judgement import Judgement
from monitor.reigns import Reign, parts
from monitor.state.log import StateLog

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Offer:
    """What is to judge from now on."""

    version: str
    """As records name it."""
    named: str
    """What the registry calls it."""
    digest: str
    """As of `Reign`."""
    borrowed: bool = False
    context: Context | None = None
    """None: it has no reference of its own, so that the last known one judges: which that is tells `swap`."""
    content: bytes = b""
    """Of the reference; empty for one that is known."""


def swap(state: StateLog, judgement: Judgement, offer: Offer, *, now: int) -> None:
    """Begin a reign, unless it is the one that goes on. The first one begins with the windows that are not judged
    yet, the others now: windows that are open keep to what was before.

    The content of the reference is durable before the line that names it. Raises StateError, and nothing has changed
    that is judged by.
    """
    reigns, base = judgement.reigns, judgement.context
    current = reigns.current
    if offer.context is None and current is not None:
        # what was asked by may be older than what judges now: a version with a reference needs no loan
        if current.version == offer.version:
            return
        offer = replace(offer, digest=current.digest, borrowed=True)
    same = current is not None and (current.version, current.digest) == (offer.version, offer.digest)
    if current is not None and same and (offer.borrowed or not current.borrowed):
        return
    model = base.plan.name
    reign = Reign(
        number=current.number + 1 if current is not None else 0,
        version=offer.version,
        digest=offer.digest,
        since=now if current is not None else -1,
        after=judgement.cursors,
        borrowed=offer.borrowed,
        named=offer.named,
    )
    context = offer.context
    if context is not None and replace(context.plan, version=None, borrowed=False) != base.plan:
        return  # a reload came between; the next poll offers it again
    for part in parts(offer.content, offer.digest):
        state.append(model, [part])
    fail_point("swap.inside")
    state.append(model, [reign.entry(), *reigns.outdated()])
    reigns.begin(reign, context)
    metrics.REGISTRY_SWAPS_TOTAL.labels(model).inc()
    log.info("reference_swapped", model=model, version=reign.version, named=reign.named, since=reign.since,
             reference=reign.digest[:12], borrowed=reign.borrowed)  # fmt: skip
