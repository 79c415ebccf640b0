"""Webhooks of MLflow: of what one says only this is believed, that a registered model is to be asked for now.

So one that is forged, repeated, late or lost changes nothing that is judged: the answer of the registry does. They are
taken all the same only with a signature, as they make this process ask.

The format is that of `mlflow/webhooks/delivery.py` (3.3 on): HMAC-SHA256 over "delivery.timestamp.body", in base64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping

from monitor.errors import WebhookClosed, WebhookRefused
from monitor.registry.plan import RegistryPlan
from monitor.secret import Secret

DELIVERY, TIMESTAMP, SIGNATURE = "x-mlflow-delivery-id", "x-mlflow-timestamp", "x-mlflow-signature"
TOLERANCE = 300
"""Seconds that a timestamp may differ from our clock, as MLflow's manual has it: it tries again for a few seconds, and a
delivery that is repeated later is refused."""
LARGEST = 65_536
"""Bytes of a body: names, tags and a description."""
DIGITS = 12
"""Of a timestamp in seconds, at most."""


def models_of(
    plans: Iterable[RegistryPlan], headers: Mapping[str, str], body: bytes, *, now_ms: int
) -> tuple[str, ...]:
    """The models that a webhook is about, of those whose registry has its secret; names of headers are lower case.

    Raises WebhookClosed where no registry takes webhooks, and WebhookRefused.
    """
    takers = [plan for plan in plans if plan.webhook]
    if not takers:
        raise WebhookClosed(
            "webhooks are not taken - models - registry: {webhook_secret_file: …} of one that is in a registry"
        )
    delivery, timestamp = headers.get(DELIVERY, ""), headers.get(TIMESTAMP, "")
    if not _is_near(timestamp, now_ms):
        raise WebhookRefused(f"the timestamp is not of now - {TIMESTAMP} - at most {TOLERANCE} s off")
    signed = f"{delivery}.{timestamp}.".encode() + body
    given = headers.get(SIGNATURE, "").encode()
    fitting = [secret for secret in {plan.webhook for plan in takers} if _fits(secret, signed, given)]
    if not delivery or not fitting:
        raise WebhookRefused(f"the signature fits no secret - {SIGNATURE} - the secret that MLflow was given")
    name = _name(body)
    return tuple(sorted(plan.model for plan in takers if plan.webhook in fitting and plan.name == name))


def signature_of(secret: str, signed: bytes) -> str:
    """As MLflow makes it: the secret is taken as it is, and no base64."""
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode('ascii')}"


def _is_near(timestamp: str, now_ms: int) -> bool:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= DIGITS):
        return False
    return abs(int(timestamp) - now_ms // 1000) <= TOLERANCE


def _fits(secret: Secret, signed: bytes, given: bytes) -> bool:
    """In constant time. A secret that cannot be read, or is empty, fits nothing."""
    try:
        known = secret.reveal()
    except (OSError, UnicodeError):
        return False
    return bool(known) and hmac.compare_digest(signature_of(known, signed).encode(), given)


def _name(body: bytes) -> str:
    """The registered model that it names; "" where it names none: other events, and those of newer servers."""
    try:
        return str(json.loads(body)["data"]["name"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
