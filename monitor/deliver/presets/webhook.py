"""A program of your own: Standard Webhooks headers, a CloudEvents body in structured mode."""

from __future__ import annotations

from urllib.parse import quote

from monitor.deliver.presets.preset import CLOUD_EVENT, Ask, Call, Preset, Where

HEADER_SAFE = "!#$&'()*+,-./:;<=>?@[]^_`{|}~"
"""All of printable ASCII but space, quote and percent: as CloudEvents writes attributes in headers."""


def event_call(ask: Ask, url: str, content_type: str) -> Call:
    """The event as the body, its id and model in headers."""
    model = quote(str(ask.event["subject"]), safe=HEADER_SAFE)
    headers = {"Content-Type": content_type, "Idempotency-Key": ask.id, "x-driftline-model": model}
    return Call("POST", url, ask.event, headers)


def _start(ask: Ask, where: Where) -> Call:
    return event_call(ask, where.url, CLOUD_EVENT)


WEBHOOK = Preset(
    name="webhook",
    text="a program of your own; Standard Webhooks headers and a CloudEvents body",
    start=_start,
    success=frozenset(range(200, 300)),
    deduplicates=True,
    signs=True,
)
"""Receivers of Standard Webhooks deduplicate by `webhook-id`: that is part of the standard."""
