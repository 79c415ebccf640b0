from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message

import pytest

from monitor.view import View
from monitor.web.app import create
from monitor.web.serve import Server
from monitor.web.settings import WebSettings
from tests.web.view import view


@dataclass
class Recorded:
    """Actions that remember what they were asked for; what they answer can be set."""

    asked: list[tuple[str, ...]] = field(default_factory=list)
    answer: str | None = None
    unknown: bool = False

    def reload(self) -> str | None:
        self.asked.append(("reload",))
        return self.answer

    def quit(self) -> None:
        self.asked.append(("quit",))

    def acknowledge(self, incident: str, by: str) -> str | None:
        return self._decide("acknowledge", incident, by)

    def approve(self, request: str, by: str) -> str | None:
        return self._decide("approve", request)

    def reject(self, request: str, by: str) -> str | None:
        return self._decide("reject", request)

    def _decide(self, *asked: str) -> str | None:
        if self.unknown:
            raise LookupError(asked[1])
        self.asked.append(asked)
        return self.answer


@dataclass
class Answer:
    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def data(self):
        document = json.loads(self.body)
        assert document["status"] == "success", document
        return document["data"]


@dataclass
class Site:
    """A real server on the loopback over a view that a test may replace."""

    view: View
    actions: Recorded
    settings: WebSettings
    stuck: str = ""
    server: Server | None = None

    def start(self) -> Site:
        app = create(lambda: self.view, self.actions, settings=self.settings, alive=lambda: self.stuck)
        self.server = Server(app, "127.0.0.1", 0)
        return self

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.server.url + path, body, names, method=method)
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=10) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


@pytest.fixture
def start():
    """Start a site; all are stopped at the end of the test."""
    sites: list[Site] = []

    def make(shown: View | None = None, **settings: object) -> Site:
        site = Site(shown or view(), Recorded(), WebSettings(**settings)).start()
        sites.append(site)
        return site

    yield make
    for site in sites:
        site.server.stop()


@pytest.fixture(scope="module")
def site():
    """One site, read only, for all tests of a module."""
    one = Site(view(), Recorded(), WebSettings(flags={"config": "driftline.yaml"})).start()
    yield one
    one.server.stop()


Start = Callable[..., Site]
