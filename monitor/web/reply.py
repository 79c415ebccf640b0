"""Answers: the envelope of Prometheus' HTTP API, entity tags, plain lines."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

JSON = "application/json"

STATUS = {"bad_data": 400, "forbidden": 403, "not_found": 404, "conflict": 409, "internal": 500}
"""errorType → HTTP status; the first and the last are Prometheus' own words."""


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)


def encode(data: Any) -> bytes:
    """JSON; NaN and infinities, which JSON does not have, become null."""
    return msgspec.json.encode(data, enc_hook=_plain)


def success(request: Request, data: Any) -> Response:
    """`{"status": "success", "data": …}`, or 304 when the client has it already."""
    return tagged(request, encode({"status": "success", "data": data}), JSON)


def error(kind: str, text: str) -> Response:
    """`{"status": "error", "errorType": kind, "error": text}`."""
    body = encode({"status": "error", "errorType": kind, "error": text})
    return Response(body, STATUS[kind], media_type=JSON)


def line(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """One line for people and probes."""
    return PlainTextResponse(text, status, headers)


def tagged(request: Request, body: bytes, media_type: str) -> Response:
    """A body with an entity tag. The tag is weak: the same body may travel compressed."""
    tag = f'W/"{blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    known = [one.strip() for one in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media_type)
