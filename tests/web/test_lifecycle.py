from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.secret import Secret
from tests.web.view import view


def test_healthy_names_the_loop_that_is_stuck(start):
    """Healthy is 200 with Prometheus' sentence while the loops tick, else 503 with the loop's name."""
    site = start()
    assert (site.ask("/-/healthy").status, site.ask("/-/healthy").text) == (200, "driftline is Healthy.\n")
    site.stuck = "ingest"
    answer = site.ask("/-/healthy")
    assert answer.status == 503
    assert "ingest" in answer.text


def test_ready_says_what_is_missing(start):
    """Ready is 503 with a reason line until the view says otherwise, whatever the loops do."""
    site = start()
    site.stuck = "evaluate"
    assert site.ask("/-/ready").text == "driftline is Ready.\n"
    site.view = replace(site.view, ready=False, ready_reason="no partition is assigned yet")
    answer = site.ask("/-/ready")
    assert (answer.status, answer.text) == (503, "Service Unavailable\nno partition is assigned yet\n")


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready", "/metrics", "/", "/api/v1/models"])
def test_head_is_get_without_a_body(site, path):
    """HEAD answers like GET, with an empty body."""
    answer = site.ask(path, "HEAD")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("path", ["/-/reload", "/-/quit"])
def test_lifecycle_is_off_unless_enabled(start, path):
    """Without the flag a POST is 403 and a GET 405, as Prometheus answers."""
    site = start()
    refused = site.ask(path, "POST", b"")
    assert (refused.status, refused.text) == (403, "Lifecycle API is not enabled.\n")
    wrong = site.ask(path)
    assert (wrong.status, wrong.text) == (405, "Only POST or PUT requests allowed\n")
    assert wrong.headers["Allow"] == "POST, PUT"
    assert site.actions.asked == []


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_reload_and_quit_reach_the_daemon(start, method):
    """With the flag POST and PUT reload and quit; an error of the reload is 500 with its text."""
    site = start(enable_lifecycle=True)
    assert site.ask("/-/reload", method, b"").status == 200
    site.actions.answer = "prod.yaml:7:26: sise is not a known setting"
    answer = site.ask("/-/reload", method, b"")
    assert answer.status == 500
    assert "prod.yaml:7:26" in answer.text
    assert site.ask("/-/quit", method, b"").text == "Requesting termination... Goodbye!\n"
    assert site.actions.asked == [("reload",), ("reload",), ("quit",)]


def test_a_token_is_asked_for_where_one_is_set(start, tmp_path):
    """With a token only its bearer may change something; the file is read anew at each request."""
    file = tmp_path / "token"
    file.write_text("old\n")
    site = start(enable_lifecycle=True, token=Secret(file=str(file)))
    assert site.ask("/-/reload", "POST", b"").status == 403
    assert site.ask("/-/reload", "POST", b"", Authorization="Bearer wrong").status == 403
    assert site.ask("/-/reload", "POST", b"", Authorization="Bearer old").status == 200
    file.write_text("new\n")
    assert site.ask("/-/reload", "POST", b"", Authorization="Bearer old").status == 403
    assert site.ask("/-/reload", "POST", b"", Authorization="bearer new").status == 200
    file.unlink()
    assert site.ask("/-/reload", "POST", b"", Authorization="Bearer new").status == 403


def test_an_empty_token_file_opens_nothing(start, tmp_path):
    """An empty token is never equal to an empty bearer."""
    file = tmp_path / "token"
    file.write_text("")
    site = start(enable_lifecycle=True, token=Secret(file=str(file)))
    assert site.ask("/-/reload", "POST", b"", Authorization="Bearer ").status == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
    ],
)
def test_pages_of_other_sites_may_not_change_anything(start, headers, status):
    """Without a token, a request that a browser made for another site is refused."""
    site = start(enable_lifecycle=True)
    assert site.ask("/-/reload", "POST", b"", **headers).status == status


def test_everything_moves_below_a_route_prefix(start):
    """With a route prefix all paths and all links of the page lie below it."""
    site = start(view(), route_prefix="/ml/driftline")
    assert site.ask("/ml/driftline/-/healthy").status == 200
    assert site.ask("/-/healthy").status == 404
    page = site.ask("/ml/driftline/").text
    assert 'href="/ml/driftline/static/driftline.css"' in page
    assert 'href="/static' not in page
    assert site.ask("/ml/driftline/static/driftline.css").status == 200
