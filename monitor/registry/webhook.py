"""Webhooks of MLflow: of what one says only this is believed, that a registered model is to be asked for now.

So one that is forged, repeated, late or lost changes nothing that is judged: the answer of the registry does. They are
taken all the same only with a signature, as they make this process ask.

The format is that of `mlflow/webhooks/delivery.py` (3.3 on): a Standard Webhooks signature under names of its own. MLflow tries
again for a few seconds, so a delivery that is repeated minutes later is refused.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping

from monitor.deliver.signing import TOLERANCE, is_near, signature
from monitor.errors import WebhookClosed, WebhookRefused
from monitor.registry.plan import RegistryPlan
from monitor.secret import Secret

DELIVERY, TIMESTAMP, SIGNATURE = "x-mlflow-delivery-id", "x-mlflow-timestamp", "x-mlflow-signature"
LARGEST = 65_536
"""Bytes of a body: names, tags and a description."""


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
    if not is_near(timestamp, now_ms):
        raise WebhookRefused(f"the timestamp is not of now - {TIMESTAMP} - at most {TOLERANCE} s off")
    given = headers.get(SIGNATURE, "").encode()
    fitting = [
        secret
        for secret in {plan.webhook for plan in takers}
        if _fits(secret, delivery, timestamp, body, given)
    ]
    if not delivery or not fitting:
        raise WebhookRefused(f"the signature fits no secret - {SIGNATURE} - the secret that MLflow was given")
    name = _name(body)
    return tuple(sorted(plan.model for plan in takers if plan.webhook in fitting and plan.name == name))


def _fits(secret: Secret, delivery: str, timestamp: str, body: bytes, given: bytes) -> bool:
    """In constant time. The secret is the key as it is, no base64; one that cannot be read, or is empty, fits nothing."""
    try:
        known = secret.reveal()
    except (OSError, UnicodeError):
        return False
    expected = signature(known.encode(), delivery, timestamp, body).encode()
    return bool(known) and hmac.compare_digest(expected, given)


def _name(body: bytes) -> str:
    """The registered model that it names; "" where it names none: other events, and those of newer servers."""
    try:
        return str(json.loads(body)["data"]["name"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
