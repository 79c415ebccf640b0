"""What other servers send us: webhooks. Closed unless a secret is configured; the signature is the lock, and no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from monitor.errors import WebhookClosed, WebhookRefused
from monitor.registry.webhook import LARGEST
from monitor.web import reply

Hear = Callable[[Mapping[str, str], bytes], tuple[str, ...]]
"""Headers, lower case, and body → the models that will be asked for. Raises WebhookClosed and WebhookRefused."""


def closed(_headers: Mapping[str, str], _body: bytes) -> tuple[str, ...]:
    """Nothing is heard."""
    raise WebhookClosed("webhooks are not taken - here - a running daemon")


def routes(hear: Hear) -> list[Route]:
    """The answer to a webhook says which models it prompted; to one that is refused, why, and nothing of us."""

    async def mlflow(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return reply.error("bad_data", f"the body is larger than {LARGEST} bytes")
        try:
            models = await run_in_threadpool(hear, dict(request.headers.items()), body)
        except WebhookClosed as error:
            return reply.error("not_found", str(error))
        except WebhookRefused as error:
            return reply.error("forbidden", str(error))
        return reply.success(request, {"prompted": models})

    return [Route("/api/v1/webhooks/mlflow", mlflow, methods=["POST"])]


async def _body(request: Request) -> bytes | None:
    """None where it is too large; then the rest is not read."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            return None
    return body
