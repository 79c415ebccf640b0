"""Standard Webhooks signatures: sign with every current secret, verify against any.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping

from monitor.errors import UsageError

PREFIX = "whsec_"
TOLERANCE = 300
"""Seconds a timestamp may differ from the receiver's clock; the reference implementations' value."""
DIGITS = 12
"""Of a timestamp in seconds, at most."""


def signature_headers(identity: str, body: bytes, *, secrets: Iterable[str], now_ms: int) -> dict[str, str]:
    """webhook-id, webhook-timestamp (of this attempt) and one v1 signature per secret."""
    timestamp = str(now_ms // 1000)
    signatures = [sign(identity, timestamp, body, secret) for secret in secrets]
    headers = {"webhook-id": identity, "webhook-timestamp": timestamp}
    if signatures:
        headers["webhook-signature"] = " ".join(signatures)
    return headers


def sign(identity: str, timestamp: str, body: bytes, secret: str) -> str:
    """v1,<base64 of HMAC-SHA256 over "id.timestamp.body">. Raises UsageError for a bad secret."""
    return signature(decode_secret(secret), identity, timestamp, body)


def signature(key: bytes, identity: str, timestamp: str, body: bytes) -> str:
    """The same by the bytes of the key, as who takes secrets as they are signs."""
    signed = f"{identity}.{timestamp}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode('ascii')}"


def is_near(timestamp: str, now_ms: int) -> bool:
    """Whether a text is a time in seconds that differs from now by TOLERANCE at most."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= DIGITS):
        return False
    return abs(int(timestamp) - now_ms // 1000) <= TOLERANCE


def decode_secret(secret: str) -> bytes:
    """The key of `whsec_<base64>`. Raises UsageError, which does not show the secret."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise UsageError("not a webhook secret - target - whsec_ and base64 of 24 to 64 random bytes")
    return key


def verify(headers: Mapping[str, str], body: bytes, *, secret: str, now_ms: int) -> bool:
    """Whether any v1 signature fits and the timestamp is near; header names are lower case."""
    identity, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not identity or not is_near(timestamp, now_ms):
        return False
    expected = sign(identity, timestamp, body, secret)
    offered = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(expected, one) for one in offered)
