"""How an online feature store is reached; plain values built from the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.deliver.plan import HttpPlan
from monitor.secret import Secret

LONGEST_ANSWER = 4 << 20
"""Bytes: 100 records of 200 features, each with its status and time, are 2 MB."""


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """A Feast feature server."""

    url: str
    """Without a slash at its end; paths are added to it."""
    token: Secret = field(default_factory=Secret)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Not shown: they may hold credentials."""
    http: HttpPlan = field(default_factory=lambda: HttpPlan(max_body=LONGEST_ANSWER))
