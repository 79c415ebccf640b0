"""What a process has been given to judge, and what it could not have."""

from __future__ import annotations

from typing import NamedTuple

from monitor.state.kafka.owner import LedgerOwner


class Office(NamedTuple):
    """What this process has been given to judge: one partition of sketches and ledger."""

    owner: LedgerOwner
    generation: int


class Loss(NamedTuple):
    """A partition that was taken from us, or could not be had; remembered until it is ours."""

    until: float
    """When it is tried again, by the monotonic clock."""
    wait: float
    is_foreign: bool
    """Another installation took it."""
    damage: str
    """Why nobody can have it until somebody helps, "" where that is not so."""
