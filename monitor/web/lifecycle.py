"""Endpoints below `/-/`, as Prometheus and Alertmanager answer them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from monitor.view import View
from monitor.web import reply
from monitor.web.security import refusal
from monitor.web.settings import WebSettings


class Actions(Protocol):
    """What a request may ask the daemon to do. Called from threads of the web server.

    The last three return why it could not be done, None when it was, and raise LookupError
    when there is nothing of this id.
    """

    def reload(self) -> str | None:
        """Load the configuration again; the text of the error when the old one stays."""
        ...

    def quit(self) -> None:
        """Begin a graceful stop and return at once."""
        ...

    def acknowledge(self, incident: str, by: str) -> str | None: ...

    def approve(self, request: str, by: str) -> str | None: ...

    def reject(self, request: str, by: str) -> str | None: ...


def routes(
    view: Callable[[], View], actions: Actions, settings: WebSettings, *, alive: Callable[[], str]
) -> list[Route]:
    """`alive` names the loop that has not ticked in time, "" when all have."""

    async def healthy(_request: Request) -> Response:
        stuck = alive()
        if stuck:
            return reply.line(f"driftline is Unhealthy: the {stuck} loop has not ticked in time.\n", 503)
        return reply.line("driftline is Healthy.\n")

    async def ready(_request: Request) -> Response:
        now = view()
        if not now.ready:
            return reply.line(f"Service Unavailable\n{now.ready_reason}\n", 503)
        return reply.line("driftline is Ready.\n")

    async def reload(request: Request) -> Response:
        refused = _refuse(request, settings)
        if refused is not None:
            return refused
        text = await run_in_threadpool(actions.reload)
        if text is not None:
            return reply.line(f"failed to reload config: {text}\n", 500)
        return reply.line("")

    async def quit_(request: Request) -> Response:
        refused = _refuse(request, settings)
        if refused is not None:
            return refused
        await run_in_threadpool(actions.quit)
        return reply.line("Requesting termination... Goodbye!\n")

    return [
        Route("/-/healthy", healthy, methods=["GET"]),
        Route("/-/ready", ready, methods=["GET"]),
        Route("/-/reload", reload, methods=["GET", "POST", "PUT"]),
        Route("/-/quit", quit_, methods=["GET", "POST", "PUT"]),
    ]


def _refuse(request: Request, settings: WebSettings) -> Response | None:
    if request.method not in {"POST", "PUT"}:
        return reply.line("Only POST or PUT requests allowed\n", 405, {"Allow": "POST, PUT"})
    why = refusal(request, settings)
    return reply.line(why + "\n", 403) if why else None
