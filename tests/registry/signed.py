"""Webhooks as MLflow sends them."""

from __future__ import annotations

import json
import uuid

from monitor.deliver.signing import signature
from monitor.registry.webhook import DELIVERY, SIGNATURE, TIMESTAMP

SECRET = "a secret that MLflow was given"


def body_of(name: str = "scores", version: str = "8") -> bytes:
    """An alias that was moved."""
    data = {"name": name, "alias": "champion", "version": version}
    event = {
        "entity": "model_version_alias",
        "action": "created",
        "timestamp": "2026-11-26T20:00:00.000000+00:00",
    }
    return json.dumps({**event, "data": data}).encode()


def signed(body: bytes, at_ms: int, *, secret: str = SECRET, **other: str) -> dict[str, str]:
    """Headers; `other` ones instead, as "timestamp", "delivery" and "signature"."""
    delivery, timestamp = str(uuid.uuid4()), str(at_ms // 1000)
    headers = {"delivery": delivery, "timestamp": timestamp}
    headers["signature"] = signature(secret.encode(), delivery, timestamp, body)
    names = {"delivery": DELIVERY, "timestamp": TIMESTAMP, "signature": SIGNATURE}
    return {names[key]: value for key, value in (headers | other).items()}
