"""Which versions a replay judges by which references: what the state log of the configuration says."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from monitor.cli.inspectors import where
from monitor.errors import UsageError
from monitor.reigns import CONTENT, KIND
from monitor.state.log import Ledger


def reigns_of(config: Sequence[str], models: Collection[str]) -> dict[str, Ledger]:
    """Model → what is noted of its registry. Raises StateError, and UsageError where nothing is."""
    found: dict[str, Ledger] = {}
    with where(tuple(config), "").opened() as inspector:
        for model in models:
            for _, ledger in inspector.ledgers(model, kinds=(KIND, CONTENT)):
                if ledger.of(KIND):
                    found[model] = ledger
    if not found:
        raise UsageError(
            f"no registry was heard of {', '.join(models)} - the state log - without --reigns it is right"
        )
    return found
