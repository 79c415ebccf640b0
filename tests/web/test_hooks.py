"""Where webhooks come in."""

from __future__ import annotations

import pytest

from monitor.clock import ManualClock
from monitor.registry.poll import Poller
from monitor.registry.webhook import LARGEST
from monitor.secret import Secret
from monitor.web.app import create
from monitor.web.serve import Server
from monitor.web.settings import WebSettings
from tests.registry.signed import SECRET, body_of, signed
from tests.registry.test_webhook import plan
from tests.web.conftest import Recorded, Site
from tests.web.view import view

PATH = "/api/v1/webhooks/mlflow"
NOW = 1_790_000_000_000


def site_of(*plans) -> tuple[Site, Poller]:
    """A site over a poller that nobody runs."""
    clock, own = ManualClock(NOW), {one.model: one for one in plans}
    poller = Poller(clock=clock, plans=lambda: own, contexts=dict, shown=dict, swap=lambda *_: None)
    site = Site(view(), Recorded(), WebSettings())
    app = create(lambda: site.view, site.actions, settings=site.settings, hear=poller.hear)
    site.server = Server(app, "127.0.0.1", 0)
    return site, poller


@pytest.fixture
def open_site():
    site, poller = site_of(plan())
    yield site, poller
    site.server.stop()


def test_a_signed_webhook_is_taken_and_says_what_it_prompted(open_site):
    """Though nothing may be changed by the API: the signature is the lock."""
    site, poller = open_site
    body = body_of()
    answer = site.ask(PATH, "POST", body, **signed(body, NOW))
    assert (answer.status, answer.data) == (200, {"prompted": ["scores"]})
    assert poller.prompts.wants("scores")
    other = body_of("example_model")
    assert site.ask(PATH, "POST", other, **signed(other, NOW)).data == {"prompted": []}


def test_what_is_not_signed_is_forbidden_and_prompts_nothing(open_site):
    """With a reason that tells nothing of us."""
    site, poller = open_site
    for headers in ({}, signed(body_of(), NOW, secret="guessed"), signed(body_of("another"), NOW)):
        answer = site.ask(PATH, "POST", body_of(), **headers)
        assert answer.status == 403
        assert SECRET not in answer.text
        assert "scores" not in answer.text
    assert site.ask(PATH).status == 405
    assert not poller.prompts.wants("scores")


def test_a_body_that_is_too_large_is_not_read(open_site):
    """Signed or not: it is refused before its signature is looked at."""
    site, _ = open_site
    body = body_of() + b" " * LARGEST
    answer = site.ask(PATH, "POST", body, **signed(body, NOW))
    assert (answer.status, "larger than" in answer.text) == (400, True)
    whole = body_of() + b" " * (LARGEST - len(body_of()))
    assert site.ask(PATH, "POST", whole, **signed(whole, NOW)).status == 200


def test_it_is_closed_unless_a_secret_is_configured(start):
    """By a registry; a daemon without one has no such place."""
    body = body_of()
    assert start().ask(PATH, "POST", body, **signed(body, NOW)).status == 404
    site, _ = site_of(plan(secret=Secret()))
    try:
        answer = site.ask(PATH, "POST", body, **signed(body, NOW, secret=""))
        assert (answer.status, "webhook_secret_file" in answer.text) == (404, True)
    finally:
        site.server.stop()
