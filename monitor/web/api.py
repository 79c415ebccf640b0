"""`/api/v1/…`: the view as JSON, and the few requests that change something."""

from __future__ import annotations

import platform
from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import isawaitable
from typing import Any, TypeVar

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from monitor.labels.provisional import Provisional
from monitor.verdict import Verdict
from monitor.view import ModelView, View
from monitor.web import compared, figures, picture, reply, shape
from monitor.web.lifecycle import Actions
from monitor.web.registered import registry
from monitor.web.security import refusal
from monitor.web.settings import WebSettings

Ended = TypeVar("Ended", Verdict, Provisional)
BODY_BYTES = 16_384
"""Largest body of a request: it holds a name."""
NAME_CHARACTERS = 200


class _AnyName(Convertor[str]):
    """Names of features come from outside: slashes and even line ends belong to them."""

    regex = "(?s:.+)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("name", _AnyName())


class BadRequest(Exception):
    """The request cannot be answered; `kind` is the errorType."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Api:
    """Answers from the current view; holds no state."""

    def __init__(self, view: Callable[[], View], actions: Actions, settings: WebSettings) -> None:
        self._view = view
        self._actions = actions
        self._settings = settings

    def routes(self) -> list[Route]:
        """All paths, most specific first."""
        reads: Sequence[tuple[str, Callable[[Request], Any]]] = (
            ("status/config", lambda _: {"yaml": self._view().config_redacted}),
            ("status/flags", lambda _: dict(self._settings.flags)),
            ("status/runtimeinfo", lambda _: shape.runtime(self._view())),
            ("status/buildinfo", lambda _: self._build()),
            ("models", lambda _: [shape.summary(model) for model in shape.by_state(self._view().models)]),
            ("models/{model}", self._detail),
            ("models/{model}/features", self._features),
            ("models/{model}/performance", self._performance),
            ("models/{model}/provisional", self._provisional),
            ("models/{model}/delays", lambda request: figures.delays(self._model(request))),
            ("models/{model}/estimates", lambda request: figures.estimates(self._model(request))),
            ("models/{model}/consistency", self._consistency),
            ("incidents", self._incidents),
            ("incidents/{id}", self._incident),
            ("retrain", self._retrains),
            ("elsewhere", lambda _: [shape.elsewhere(one) for one in self._view().elsewhere]),
            ("partitions", lambda _: shape.partitions(self._view())),
        )
        slow_reads: Sequence[tuple[str, Callable[[Request], Any]]] = (
            ("models/{model}/features/{feature:name}", self._feature),
            ("models/{model}/verdicts", self._verdicts),
        )
        writes = (
            ("incidents/{id}/ack", self._acknowledge),
            ("retrain/{id}/approve", self._decide(self._actions.approve)),
            ("retrain/{id}/reject", self._decide(self._actions.reject)),
        )
        return [
            *(Route(f"/api/v1/{path}", _reading(answer), methods=["GET"]) for path, answer in reads),
            *(
                Route(f"/api/v1/{path}", _reading(_aside(answer)), methods=["GET"])
                for path, answer in slow_reads
            ),
            *(Route(f"/api/v1/{path}", self._writing(answer), methods=["POST"]) for path, answer in writes),
        ]

    def _build(self) -> dict[str, str]:
        return {
            "version": self._view().version,
            "revision": self._settings.revision,
            "pythonVersion": platform.python_version(),
        }

    def _model(self, request: Request) -> ModelView:
        name = request.path_params["model"]
        for model in self._view().models:
            if model.plan.name == name:
                return model
        for one in self._view().elsewhere:
            if one.model == name:
                where = f", {one.replica}" if one.replica else ""
                raise BadRequest(
                    "not_found", f"model {name!r} is judged, and shown, by another replica{where}"
                )
        raise BadRequest("not_found", f"there is no model {name!r}")

    def _detail(self, request: Request) -> dict[str, Any]:
        model = self._model(request)
        return shape.detail(model) | {
            "registry": registry(model, self._view().registries.get(model.plan.name))
        }

    def _features(self, request: Request) -> list[dict[str, Any]]:
        rows = shape.features(self._model(request), request.query_params.get("window", ""))
        return rows[: _limit(request, len(rows))]

    def _feature(self, request: Request) -> dict[str, Any]:
        model, feature = self._model(request), request.path_params["feature"]
        latest = [row for row in shape.features(model) if row["feature"] == feature]
        counts = {
            name: found.to_json()
            for name in (*model.latest, "")
            if (found := picture.counts_of(model, feature, name)) is not None
        }
        if not latest and not counts:
            raise BadRequest("not_found", f"model {model.plan.name!r} has no feature {feature!r}")
        reference = counts.pop("", None)
        return {
            "model": model.plan.name,
            "feature": feature,
            "kind": reference["kind"] if reference else None,
            "latest": latest,
            "histograms": counts,
            "consistency": compared.of_feature(model, feature),
            "history": _history(model, feature),
        }

    def _verdicts(self, request: Request) -> list[Mapping[str, Any]]:
        window = request.query_params.get("window", "")
        own = [kept for kept in self._model(request).history if window in {"", kept.window}]
        newest = sorted(own, key=lambda kept: -kept.end)
        return [kept.body() for kept in newest[: _limit(request, 100)]]

    def _performance(self, request: Request) -> list[dict[str, Any]]:
        """Windows whose labels are in, newest first."""
        return [figures.performance(one) for one in _newest(request, self._model(request).performance)]

    def _provisional(self, request: Request) -> list[dict[str, Any]]:
        """Windows whose labels have not all come, newest first."""
        return [figures.provisional(one) for one in _newest(request, self._model(request).provisional)]

    def _consistency(self, request: Request) -> dict[str, Any]:
        window = request.query_params.get("window", "")
        return compared.consistency(self._model(request), window, _limit(request, 100))

    def _incidents(self, request: Request) -> list[Mapping[str, Any]]:
        wanted = {key: request.query_params[key] for key in ("model", "state") if key in request.query_params}
        return [
            body
            for body in shape.incidents(self._view())
            if all(body.get(key) == value for key, value in wanted.items())
        ][: _limit(request, 1000)]

    def _incident(self, request: Request) -> Mapping[str, Any]:
        name = request.path_params["id"]
        for body in shape.incidents(self._view()):
            if body.get("id") == name:
                return body
        raise BadRequest("not_found", f"there is no incident {name!r}")

    def _retrains(self, request: Request) -> list[Mapping[str, Any]]:
        bodies = shape.retrains(self._view(), request.query_params.get("model", ""))
        return bodies[: _limit(request, 1000)]

    async def _acknowledge(self, request: Request) -> str | None:
        by = await _who(request)
        return await run_in_threadpool(self._actions.acknowledge, request.path_params["id"], by)

    def _decide(self, act: Callable[[str, str], str | None]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> str | None:
            by = await _who(request) or "api"
            return await run_in_threadpool(act, request.path_params["id"], by)

        return answer

    def _writing(self, act: Callable[[Request], Any]) -> Callable[[Request], Any]:
        """Check that the request may change something, do it, and say how it went."""

        async def answer(request: Request) -> Response:
            why = refusal(request, self._settings)
            if why:
                return reply.error("forbidden", why)
            try:
                failed = await act(request)
            except LookupError:
                return reply.error("not_found", f"there is nothing of id {request.path_params['id']!r}")
            except BadRequest as error:
                return reply.error(error.kind, str(error))
            return reply.error("conflict", failed) if failed else reply.success(request, None)

        return answer


def _reading(shaped: Callable[[Request], Any]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        try:
            found = shaped(request)
            return reply.success(request, await found if isawaitable(found) else found)
        except BadRequest as error:
            return reply.error(error.kind, str(error))

    return answer


def _aside(shaped: Callable[[Request], Any]) -> Callable[[Request], Awaitable[Any]]:
    """On another thread: hundreds of kept verdicts are unpacked, a second or two where they are wide, and
    probes and scrapes must not wait for that."""

    async def answer(request: Request) -> Any:
        return await run_in_threadpool(shaped, request)

    return answer


def _history(model: ModelView, feature: str) -> list[dict[str, Any]]:
    """The scores of one feature in every verdict that is kept, oldest first."""
    rows = []
    for kept in model.history:
        body = kept.body()
        tests = [test for test in body["tests"] if test["feature"] == feature]
        scores = body["scores"].get(feature, {})
        if tests or scores:
            shown = {key: body[key] for key in ("window", "start", "end", "state", "rows")}
            rows.append({**shown, "tests": tests, "scores": scores})
    return rows


def _newest(request: Request, found: Mapping[str, Sequence[Ended]]) -> list[Ended]:
    """Of windows by name those that are asked for."""
    window = request.query_params.get("window", "")
    own = [one for name, several in found.items() if window in {"", name} for one in several]
    return sorted(own, key=lambda one: -one.end)[: _limit(request, 100)]


def _limit(request: Request, default: int) -> int:
    given = request.query_params.get("limit", "")
    if not given:
        return default
    if not given.isdecimal():
        raise BadRequest("bad_data", f"{given!r} is not a number of rows - parameter limit - a whole number")
    return int(given)


async def _who(request: Request) -> str:
    """`{"by": "name"}` in the body, or `?by=name`; "" when neither is given."""
    by: Any = request.query_params.get("by", "")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES:
            raise BadRequest("bad_data", f"the body is larger than {BODY_BYTES} bytes")
    if body:
        try:
            given = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadRequest("bad_data", f'the body is not JSON - {error} - {{"by": "name"}}') from None
        by = given.get("by", by) if isinstance(given, dict) else by
    if not isinstance(by, str) or len(by) > NAME_CHARACTERS:
        raise BadRequest("bad_data", f"by is not a name - body - at most {NAME_CHARACTERS} characters")
    return by
