"""Which ledger entries are too old to matter. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from monitor.retrain.rules import request_id
from monitor.state.log import Entry, Ledger

KEPT = 200
"""Resolved incidents kept whatever their age: at one a day the last half year, 1 MB at 5 kB each."""
RETENTION = 30 * 86_400_000
"""Wall time after which finished work is forgotten. Longer than any delivery is retried (4 days),
so that an outcome outlives its intent, and than the longest cool-down that makes sense."""


def forget(ledger: Ledger, now: int) -> tuple[Entry, ...]:
    """Removals of finished entries older than RETENTION. Nothing open is ever removed, nor what an open incident has asked
    for: it would ask again."""
    asking = {request_id(name) for name, body in ledger.of("incident").items() if body["state"] != "resolved"}
    return (
        *_incidents(ledger, now),
        *_deliveries(ledger, now, asking),
        *_requests(ledger, now, asking),
        *_claims(ledger, now),
    )


def _incidents(ledger: Ledger, now: int) -> Iterator[Entry]:
    resolved = {
        identity: _ended(body)
        for identity, body in ledger.of("incident").items()
        if body["state"] == "resolved"
    }
    newest = set(sorted(resolved, key=lambda identity: -resolved[identity])[:KEPT])
    for identity, ended in resolved.items():
        if identity not in newest and now - ended > RETENTION:
            yield Entry("incident", identity, None)


def _ended(body: Mapping[str, Any]) -> int:
    """Wall time. One that was told to nobody, as of a rule that only retrains, has none: then the event time of its end."""
    spans = body.get("spans", {}).values()
    return max(int(span["ends"]) for span in spans) if spans else int(body["updated"])


def _deliveries(ledger: Ledger, now: int, asking: Collection[str]) -> Iterator[Entry]:
    for identity, outcome in ledger.of("outcome").items():
        if (
            identity not in ledger.of("intent")
            and identity not in asking
            and now - int(outcome["at"]) > RETENTION
        ):
            yield Entry("outcome", identity, None)


def _requests(ledger: Ledger, now: int, asking: Collection[str]) -> Iterator[Entry]:
    for identity, body in ledger.of("retrain").items():
        if body["state"] == "suggested" or identity in asking or identity in ledger.of("intent"):
            continue
        if now - max(int(body["decided_at"]), int(body["created"])) > RETENTION:
            yield Entry("retrain", identity, None)


def _claims(ledger: Ledger, now: int) -> Iterator[Entry]:
    """A claim must outlive its intent: it is what keeps an attempt from being made twice."""
    for identity, claim in ledger.of("claim").items():
        if claim["intent"] not in ledger.of("intent") and now - int(claim["at"]) > RETENTION:
            yield Entry("claim", identity, None)
