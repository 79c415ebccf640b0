from __future__ import annotations

import socket
import threading
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from monitor.errors import UsageError
from monitor.web.serve import Server, parse_listen


def app() -> Starlette:
    return Starlette(routes=[Route("/", lambda _: PlainTextResponse("here"))])


def test_a_free_port_is_taken_and_reported():
    """Port 0 serves somewhere, and `url` says where; after `stop` the port is free again."""
    server = Server(app(), "127.0.0.1", 0)
    with urllib.request.urlopen(server.url, timeout=5) as answer:
        assert answer.read() == b"here"
    server.stop()
    server.stop()
    with socket.create_server(("127.0.0.1", server.port), reuse_port=False):
        pass


def test_a_taken_port_is_an_error_at_once():
    """The caller learns that the address is in use, not a thread."""
    first = Server(app(), "127.0.0.1", 0)
    try:
        with pytest.raises(OSError, match="in use"):
            Server(app(), "127.0.0.1", first.port)
    finally:
        first.stop()


def test_every_address_is_served():
    """An empty host listens on IPv4 as well as IPv6."""
    server = Server(app(), "", 0)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}", timeout=5) as answer:
            assert answer.status == 200
        assert server.url == f"http://127.0.0.1:{server.port}"
    finally:
        server.stop()


def test_no_thread_stays_behind():
    """`stop` ends the thread of the server."""
    before = set(threading.enumerate())
    server = Server(app(), "127.0.0.1", 0)
    assert "web" in {thread.name for thread in set(threading.enumerate()) - before}
    server.stop()
    assert not [thread.name for thread in set(threading.enumerate()) - before if thread.name == "web"]


@given(st.sampled_from(["", "127.0.0.1", "example.org", "0.0.0.0", "::1", "::"]), st.integers(0, 65_535))
def test_addresses_are_read(host, port):
    """host:port, with IPv6 in brackets and an empty host for all."""
    written = f"[{host}]" if ":" in host else host
    assert parse_listen(f"{written}:{port}") == (host, port)


@pytest.mark.parametrize("listen", ["", "8710", "localhost", "localhost:http", ":70000", ":-1", "127.0.0.1:"])
def test_what_is_no_address_is_refused(listen):
    """The error names the setting and an address that would do."""
    with pytest.raises(UsageError, match=r"web\.listen"):
        parse_listen(listen)
