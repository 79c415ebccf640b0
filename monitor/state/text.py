"""Ledger bodies ↔ text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from monitor.errors import StateDamaged


def to_text(body: Mapping[str, Any]) -> str:
    """A body as stored; equal bodies give equal text. TypeError when it is not JSON-able.

    NaN and infinities are kept as Python's json writes and reads them: a score may be one, and an
    entry that cannot be stored would stop the model.
    """
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def to_body(text: str) -> Mapping[str, Any]:
    """The body of stored text."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StateDamaged(
            f"stored ledger entry does not verify ({error}) - state log - expected JSON"
        ) from error
    if not isinstance(body, dict):
        raise StateDamaged("stored ledger entry does not verify - state log - expected a JSON object")
    return body
