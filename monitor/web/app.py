"""The web application: what a browser, a probe, Prometheus and the command line ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from monitor.metrics import INTERNAL_ERRORS_TOTAL
from monitor.view import View
from monitor.web import hooks, lifecycle, reply
from monitor.web.api import Api
from monitor.web.exposition import Exposition
from monitor.web.lifecycle import Actions
from monitor.web.page import Page
from monitor.web.security import SecureHeaders
from monitor.web.series import CONTENT_TYPE
from monitor.web.settings import WebSettings

STATIC = Path(__file__).parent / "static"

_log = structlog.get_logger(__name__)


def create(
    view: Callable[[], View],
    actions: Actions,
    *,
    settings: WebSettings | None = None,
    alive: Callable[[], str] = lambda: "",
    hear: hooks.Hear = hooks.closed,
) -> Starlette:
    """The application over `view`, which is called for every request and must be cheap.

    `alive` names the loop that has not ticked within its limit, "" when all have; `hear` takes webhooks.
    """
    settings = settings or WebSettings()
    exposition, page = Exposition(settings), Page(settings)

    async def metrics(request: Request) -> Response:
        names = frozenset(request.query_params.getlist("name[]"))
        return Response(exposition.render(view(), names), headers={"Content-Type": CONTENT_TYPE})

    async def overview(request: Request) -> Response:
        return reply.tagged(request, page.render(view()), "text/html; charset=utf-8")

    async def deep_link(request: Request) -> Response:
        kind, name = request.path_params["kind"], request.path_params["name"].partition("/")[0]
        return RedirectResponse(f"{settings.route_prefix}/#{page.anchor(kind, name)}", 307)

    routes: list[BaseRoute] = [
        Route("/", overview, methods=["GET"]),
        Route("/ui/{kind:str}/{name:path}", deep_link, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
        *lifecycle.routes(view, actions, settings, alive=alive),
        *hooks.routes(hear),
        *Api(view, actions, settings).routes(),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    if settings.route_prefix:
        routes = [Mount(settings.route_prefix, routes=routes)]
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(SecureHeaders),
            Middleware(GZipMiddleware, minimum_size=1024, compresslevel=1),
        ],
        exception_handlers={HTTPException: _refused, Exception: _broken},
    )


async def _refused(request: Request, error: Exception) -> Response:
    """404 and 405, in the words of the part of the application that was asked."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if "/api/" not in request.url.path:
        return reply.line(f"{error.detail}\n", error.status_code, headers)
    kind = "not_found" if error.status_code == reply.STATUS["not_found"] else "bad_data"
    answer = reply.error(kind, error.detail)
    answer.status_code = error.status_code
    answer.headers.update(headers)
    return answer


async def _broken(request: Request, error: Exception) -> Response:
    """The boundary that keeps a mistake of ours in one request; starlette raises it again for the log."""
    INTERNAL_ERRORS_TOTAL.labels("web").inc()
    _log.error("request_failed", path=request.url.path, error=type(error).__name__, exc_info=error)
    if "/api/" in request.url.path:
        return reply.error("internal", "driftline could not answer this request; its log says why")
    return reply.line("Internal Server Error\n", 500)
