"""What browsers must not do with our pages, and who may change something."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.web.settings import WebSettings

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""On every answer. No inline script or style: names of features come from Kafka."""


class SecureHeaders:
    """ASGI middleware that adds HEADERS to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def refusal(request: Request, settings: WebSettings) -> str:
    """Why this request may not change anything; "" when it may.

    Three locks: the lifecycle flag; the token, where one is set; and, where none is set, no page
    of another site, whose script could reach a daemon on the visitor's own machine.
    """
    if not settings.enable_lifecycle:
        return "Lifecycle API is not enabled."
    if settings.token:
        return "" if _has_token(request, settings) else "A bearer token is needed."
    return "" if _same_site(request) else "Requests from other sites are refused."


def _has_token(request: Request, settings: WebSettings) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    try:
        expected = settings.token.reveal()
    except OSError:
        return False
    fits = hmac.compare_digest(given.strip().encode(), expected.encode())
    return scheme.lower() == "bearer" and bool(expected) and fits


def _same_site(request: Request) -> bool:
    if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
