"""Outbound HTTP: where it goes, how long it takes, how much it reads."""

from __future__ import annotations

import socket
import time

import pytest

from monitor.deliver.plan import HttpPlan
from monitor.deliver.receiver import Answer
from monitor.errors import DeliveryRefused, RequestError
from monitor.http import Failure, classify, is_allowed, parse_target, request
from tests.incident.cases import LOOPBACK

OPEN = HttpPlan(insecure_http=True)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "169.254.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "224.0.1.1",
        "240.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::8",
        "fd00:ec2::254",
        "ff02::1",
        "ff0e::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    ],
)
def test_addresses_that_are_not_public_are_refused(address):
    """Loopback, private, link-local, metadata, multicast, and every IPv6 disguise of them."""
    assert not is_allowed(address, ())


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses_are_allowed(address):
    """The public internet needs no permission."""
    assert is_allowed(address, ())


def test_allow_private_opens_exactly_its_networks():
    """A CIDR opens its addresses, in their IPv6 disguise too, and nothing beside them."""
    cidrs = ("10.0.0.0/8", "fd00::/8")
    assert is_allowed("10.1.2.3", cidrs)
    assert is_allowed("::ffff:10.1.2.3", cidrs)
    assert is_allowed("fd12::1", cidrs)
    assert not is_allowed("192.168.0.1", cidrs)
    assert not is_allowed("127.0.0.1", cidrs)


def test_metadata_needs_its_own_line():
    """A wide CIDR does not open the metadata service; naming the address itself does."""
    assert not is_allowed("169.254.169.254", ("0.0.0.0/0", "169.254.0.0/16"))
    assert not is_allowed("fd00:ec2::254", ("fd00::/8",))
    assert is_allowed("169.254.169.254", ("169.254.169.254/32",))


@pytest.mark.parametrize(
    "url",
    [
        "http://user:pass@93.184.216.34/",
        "https://example.com@127.0.0.1/",
        "https://example.com:443@127.0.0.1:80/",
        "https://example.com\\@127.0.0.1/",
        "https://exa mple.com/",
        "https://example.com/\r\nHost: evil",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:25/",
        "example.com",
        "//example.com/",
        "",
    ],
)
def test_odd_urls_are_refused_before_any_lookup(url):
    """User names, other schemes, white space and backslashes never reach the resolver."""
    with pytest.raises(DeliveryRefused):
        parse_target(url, OPEN)


def test_http_needs_permission():
    """Unencrypted http is refused unless the target allows it."""
    with pytest.raises(DeliveryRefused, match="insecure_http"):
        parse_target("http://example.com/", HttpPlan())


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]"],
)
def test_loopback_by_any_name_is_refused(receiver, host):
    """Decimal, octal, hexadecimal and short spellings end at the same check; nothing is sent."""
    with pytest.raises((DeliveryRefused, RequestError)):
        request("POST", f"http://{host}:{receiver.port}/", plan=OPEN, body=b"x")
    assert receiver.requests == []


def test_rebinding_gains_nothing(receiver, monkeypatch):
    """A name is resolved once; the connection goes to the checked address even if the name moves."""
    answers = [["93.184.216.34"], ["127.0.0.1"]]
    asked = []
    real = socket.getaddrinfo

    def moving(host, port, *args, **kwargs):
        if host != "rebind.example":
            return real(host, port, *args, **kwargs)
        asked.append(host)
        found = answers[min(len(asked) - 1, 1)]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    connected = []

    def refuse(sock, address):
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", moving)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(RequestError):
        request("POST", f"http://rebind.example:{receiver.port}/", plan=OPEN)
    assert asked == ["rebind.example"]
    assert {address[0] for address in connected} == {"93.184.216.34"}


def test_the_host_header_is_the_name(receiver):
    """The peer sees the name of the URL although the connection goes to a checked address."""
    request("POST", f"http://localhost:{receiver.port}/a?b=c", plan=LOOPBACK, body=b"x")
    (got,) = receiver.requests
    assert got.headers["host"] == f"localhost:{receiver.port}"
    assert got.path == "/a?b=c"


def test_slow_loris_ends_at_the_timeout(receiver):
    """One byte at a time, each within the socket's timeout, still ends when the total is up."""
    plan = HttpPlan(timeout=0.5, allow_private=("127.0.0.0/8",), insecure_http=True)

    def trickle(connection):
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000:
            connection.wfile.write(bytes([byte]))
            connection.wfile.flush()
            time.sleep(0.02)

    receiver.answer(Answer(act=trickle))
    with pytest.raises(RequestError) as raised:
        request("POST", receiver.url, plan=plan, body=b"x")
    assert raised.value.reason == Failure.DEADLINE


def test_a_hanging_peer_ends_at_the_timeout(receiver):
    """No answer at all is the same failure."""
    plan = HttpPlan(timeout=0.3, allow_private=("127.0.0.0/8",), insecure_http=True)
    receiver.answer(Answer(act=lambda connection: time.sleep(1)))
    with pytest.raises(RequestError) as raised:
        request("POST", receiver.url, plan=plan, body=b"x")
    assert raised.value.reason == Failure.DEADLINE


def test_a_huge_answer_is_cut(receiver):
    """100 MB of body cost no more than the cap."""

    def flood(connection):
        connection.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
        for _ in range(1600):
            connection.wfile.write(b"x" * 65_536)

    receiver.answer(Answer(act=flood))
    response = request("POST", receiver.url, plan=LOOPBACK, body=b"x")
    assert (response.status, len(response.body), response.truncated) == (200, 65_536, True)


def test_compressed_bombs_are_not_opened(receiver):
    """We ask for no compression and decode none."""
    receiver.answer(Answer(200, b"\x1f\x8b not gzip", {"Content-Encoding": "gzip"}))
    assert request("GET", receiver.url, plan=LOOPBACK).body == b"\x1f\x8b not gzip"
    assert receiver.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "noise", [b"", b"not http at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut"]
)
def test_broken_peers_are_failures(receiver, noise):
    """A connection closed without, with a senseless, or with half an answer."""
    receiver.answer(Answer(act=lambda connection: connection.wfile.write(noise)))
    with pytest.raises(RequestError):
        request("POST", receiver.url, plan=LOOPBACK, body=b"x")


def test_environment_proxies_are_ignored(receiver, monkeypatch):
    """A proxy from the environment would see our tokens and choose our addresses."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert request("GET", receiver.url, plan=LOOPBACK).status == 200


def test_unknown_names_are_failures_without_secrets():
    """A name that does not resolve is a retry; neither path nor query is in the text."""
    with pytest.raises(RequestError) as raised:
        request("POST", "https://nowhere.invalid/token-in-path?key=secret", plan=HttpPlan())
    assert "token" not in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(200, None), (202, None), (301, "other"), (400, "clientError"), (401, "authError"), (403, "authError"),
     (404, "clientError"), (429, "rateLimited"), (500, "serverError"), (503, "serverError")],
)  # fmt: skip
def test_closed_reasons(status, reason):
    """Every status has one of Alertmanager's reasons."""
    assert classify(status) == reason
