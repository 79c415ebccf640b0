"""TLS: the certificate must be for the name of the URL, and come from an authority we trust."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from monitor.deliver.plan import HttpPlan
from monitor.errors import RequestError
from monitor.http import Failure, request

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make certificates")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for localhost and 127.0.0.1: it is its own authority."""
    directory = tmp_path_factory.mktemp("tls")
    key, cert = directory / "key.pem", directory / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", cert, "-days", "30", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, cert


@pytest.fixture
def server(certificate):
    """Answers every TLS connection with 200 and remembers the name it was asked for."""
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as secure:
                    secure.recv(65_536)
                    secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            except OSError:
                plain.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1], asked
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def reach(certificate):
    return HttpPlan(timeout=5, allow_private=("127.0.0.0/8",), ca_file=str(certificate[1]))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_name_is_verified_though_we_connect_to_the_address(server, certificate, host):
    """SNI and verification use the name of the URL; an address is verified as an address."""
    port, asked = server
    assert request("GET", f"https://{host}:{port}/", plan=reach(certificate)).body == b"ok"
    assert asked == [host if host == "localhost" else None]


def test_another_name_is_refused(server, certificate, monkeypatch):
    """A certificate for localhost is none for evil.example, even at the same address."""
    port, _ = server
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo",
        lambda host, *args, **kwargs: real("127.0.0.1" if host == "evil.example" else host, *args, **kwargs),
    )  # fmt: skip
    with pytest.raises(RequestError, match="certificate not accepted") as raised:
        request("GET", f"https://evil.example:{port}/", plan=reach(certificate))
    assert raised.value.reason == Failure.OTHER


def test_an_unknown_authority_is_refused(server):
    """Without the CA file the self-signed certificate is not trusted."""
    port, _ = server
    with pytest.raises(RequestError, match="certificate not accepted"):
        request("GET", f"https://localhost:{port}/", plan=HttpPlan(timeout=5, allow_private=("127.0.0.0/8",)))


def test_plain_http_on_a_tls_port_is_no_answer(receiver, certificate):
    """A target that speaks no TLS fails the handshake and gets nothing."""
    with pytest.raises(RequestError):
        request("POST", f"https://127.0.0.1:{receiver.port}/", plan=reach(certificate), body=b"secret")
    assert receiver.requests == []


def test_a_missing_ca_file_is_a_failure(tmp_path):
    """It is tried again: the file may be on its way."""
    plan = HttpPlan(timeout=5, allow_private=("127.0.0.0/8",), ca_file=str(tmp_path / "absent.pem"))
    with pytest.raises(RequestError):
        request("GET", "https://127.0.0.1:1/", plan=plan)


def test_a_handshake_that_trickles_ends_at_the_timeout(certificate):
    """A peer that takes the connection and says nothing costs the timeout, no more."""
    listener = socket.create_server(("127.0.0.1", 0))
    plan = HttpPlan(timeout=0.3, allow_private=("127.0.0.0/8",), ca_file=str(certificate[1]))
    with listener, pytest.raises(RequestError) as raised:
        request("GET", f"https://127.0.0.1:{listener.getsockname()[1]}/", plan=plan)
    assert raised.value.reason == Failure.DEADLINE
