"""Outbound HTTP: the only file that knows urllib3.

One request, one answer: no redirects, no retries, no proxies from the environment. Addresses are
checked after the name is resolved, and the connection goes to the checked address, so that a name
that changes its mind between check and connect (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import enum
import functools
import importlib.metadata
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Protocol

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import BaseHTTPResponse
from urllib3.util import Url, parse_url

from monitor.errors import DeliveryRefused, RequestError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "168.63.129.16", "100.100.100.200")
)
"""Instance metadata services. They give credentials to whoever asks from inside, so a CIDR of
`allow_private` that happens to hold them is not enough: the address itself must be named."""

EMBEDDED = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),
    (ipaddress.IPv6Network("::/96"), 0),
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),
    (ipaddress.IPv6Network("64:ff9b:1::/48"), 0),
    (ipaddress.IPv6Network("2002::/16"), 80),
)
"""IPv6 forms that reach an IPv4 address (mapped, compatible, NAT64, 6to4), and its distance from
the right in bits."""

ADDRESSES_TRIED = 3
"""Addresses of one name that are tried before giving up; each gets its share of the timeout."""


class Failure(enum.StrEnum):
    """Why a delivery did not succeed: Alertmanager's closed set."""

    OTHER = "other"
    CLIENT_ERROR = "clientError"
    SERVER_ERROR = "serverError"
    CANCELED = "contextCanceled"
    DEADLINE = "contextDeadlineExceeded"
    AUTH = "authError"
    RATE_LIMITED = "rateLimited"


class Reach(Protocol):
    """How a target may be reached; `monitor.deliver.plan.HttpPlan` is one."""

    @property
    def timeout(self) -> float: ...
    @property
    def allow_private(self) -> tuple[str, ...]: ...
    @property
    def ca_file(self) -> str: ...
    @property
    def insecure_http(self) -> bool: ...
    @property
    def max_body(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, whatever its status. Header names are lower case; the body is cut at the cap."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False

    @property
    def failure(self) -> Failure | None:
        """The closed reason for a status that is not a success."""
        return classify(self.status)


def classify(status: int) -> Failure | None:
    """None for 2xx."""
    if 200 <= status < 300:
        return None
    if status in {401, 403}:
        return Failure.AUTH
    if status == 429:
        return Failure.RATE_LIMITED
    if 400 <= status < 500:
        return Failure.CLIENT_ERROR
    return Failure.SERVER_ERROR if status >= 500 else Failure.OTHER


def request(
    method: str,
    url: str,
    *,
    plan: Reach,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Response:
    """Send one request within `plan.timeout` seconds in all, however slowly the peer trickles.

    Raises DeliveryRefused when the URL or every address behind it is not allowed, RequestError
    when there is no answer. Texts of errors name the host, never the path, the query or headers:
    those may hold tokens.
    """
    target = parse_target(url, plan)
    addresses = resolve(target, plan)[:ADDRESSES_TRIED]
    deadline = _Deadline(plan.timeout)
    failed: RequestError | None = None
    try:
        for address in addresses:
            if deadline.passed:
                break
            try:
                connection = _connect(target, address, plan, deadline, timeout=plan.timeout / len(addresses))
            except RequestError as error:
                failed = error
                continue
            return _exchange(connection, target, method, plan, headers or {}, body, deadline)
    finally:
        deadline.cancel()
    raise failed or _late(target, sent=False)


@functools.cache
def user_agent() -> str:
    """driftline/<version>, as receivers see us."""
    return f"driftline/{importlib.metadata.version('driftline')}"


def parse_target(url: str, plan: Reach) -> Url:
    """The parts of a URL that driftline is willing to talk to; no I/O. Raises DeliveryRefused."""
    if any(character.isspace() or character == "\\" or ord(character) < 32 for character in url):
        raise DeliveryRefused(
            "the URL holds white space, a backslash or control characters - target - encode it"
        )
    try:
        target = parse_url(url)
    except urllib3.exceptions.LocationParseError as error:
        raise DeliveryRefused("not a URL - target - https://host/path") from error
    if target.auth is not None or "@" in (target.netloc or ""):
        raise DeliveryRefused(f"user names in a URL - {target.host} - give credentials by their own settings")
    if target.scheme not in {"https", "http"} or not target.host:
        raise DeliveryRefused(
            f"{target.scheme or 'no'} scheme - {target.host or 'target'} - https://host/path"
        )
    if target.scheme == "http" and not plan.insecure_http:
        raise DeliveryRefused(
            f"unencrypted http - {target.host} - https, or allow it with insecure_http: true"
        )
    return target


def host_of(url: str) -> str:
    """Host and port of a URL, for texts; everything else in it may be secret."""
    try:
        target = parse_url(url)
    except urllib3.exceptions.LocationParseError:
        return "?"
    return _authority(target)


def resolve(target: Url, plan: Reach) -> list[str]:
    """The allowed addresses of the host. Raises DeliveryRefused when it has others only."""
    host = str(target.host).strip("[]")
    try:
        found = socket.getaddrinfo(host, _port(target), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise RequestError(
            f"the name does not resolve - {host} - a host that DNS knows", reason=Failure.OTHER, sent=False
        ) from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    allowed = [address for address in addresses if is_allowed(address, plan.allow_private)]
    if not allowed:
        raise DeliveryRefused(
            f"the address is not public - {host} ({', '.join(addresses)}) - name its network in allow_private"
        )
    return allowed


def is_allowed(text: str, allow_private: tuple[str, ...]) -> bool:
    """True for public addresses, and for others inside one of the CIDRs `allow_private`."""
    address = _innermost(ipaddress.ip_address(text.partition("%")[0]))
    networks = [ipaddress.ip_network(cidr, strict=False) for cidr in allow_private]
    named = [network for network in networks if address.version == network.version and address in network]
    if address in METADATA:
        return any(network.num_addresses == 1 for network in named)
    if named:
        return True
    return address.is_global and not address.is_multicast and not address.is_reserved


def _innermost(address: Address) -> Address:
    """The IPv4 address that an IPv6 form of it reaches, else the address itself."""
    if isinstance(address, ipaddress.IPv6Address) and address not in {
        ipaddress.IPv6Address("::"),
        ipaddress.IPv6Address("::1"),
    }:
        for network, shift in EMBEDDED:
            if address in network:
                return ipaddress.IPv4Address((int(address) >> shift) & 0xFFFFFFFF)
        if address.teredo is not None:
            return address.teredo[1]
    return address


class _Deadline:
    """Ends one request when its time is up by shutting its socket, from a timer's thread.

    Socket timeouts count from byte to byte, so a peer that sends one byte a second would hold
    the delivery thread for ever.
    """

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def watch(self, sock: socket.socket) -> None:
        with self._lock:
            self._socket = sock
            if self.passed:
                _shut(sock)

    def cancel(self) -> None:
        self._timer.cancel()

    def _expire(self) -> None:
        with self._lock:
            self.passed = True
            if self._socket is not None:
                _shut(self._socket)


def _shut(sock: socket.socket) -> None:
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already, which is what we want


def _port(target: Url) -> int:
    return target.port or (443 if target.scheme == "https" else 80)


def _connect(
    target: Url, address: str, plan: Reach, deadline: _Deadline, *, timeout: float
) -> HTTPConnection:
    """Connected, to `address` and no other; TLS asks for and verifies the name of the target."""
    connection: HTTPConnection | None = None
    try:
        if target.scheme == "https":
            # Anew each time, 20 ms: a rotated CA file is used without a restart.
            context = ssl.create_default_context(cafile=plan.ca_file or None)
            connection = HTTPSConnection(
                address,
                _port(target),
                timeout=timeout,
                ssl_context=context,
                server_hostname=str(target.host).strip("[]"),
            )
        else:
            connection = HTTPConnection(address, _port(target), timeout=timeout)
        connection.connect()
        assert connection.sock is not None
        connection.sock.settimeout(plan.timeout)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        if connection is not None:
            connection.close()
        raise _failure(error, target, deadline, sent=False) from error
    deadline.watch(connection.sock)
    return connection


def _exchange(
    connection: HTTPConnection,
    target: Url,
    method: str,
    plan: Reach,
    headers: Mapping[str, str],
    body: bytes | None,
    deadline: _Deadline,
) -> Response:
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    sent = {
        "Host": _authority(target),
        "Connection": "close",
        "Accept-Encoding": "identity",
        "User-Agent": user_agent(),
    }
    sent |= headers
    try:
        connection.request(method, path, body=body, headers=sent, preload_content=False, decode_content=False)
        answer = connection.getresponse()
        content = _read(answer, plan.max_body + 1)
    except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
        raise _failure(error, target, deadline, sent=True) from error
    finally:
        connection.close()
    if deadline.passed:
        raise _late(target, sent=True)
    lowered = {name.lower(): value for name, value in answer.headers.items()}
    return Response(answer.status, lowered, content[: plan.max_body], len(content) > plan.max_body)


def _read(answer: BaseHTTPResponse, limit: int) -> bytes:
    """At most `limit` bytes. Reads on after a short read: only then a cut body raises."""
    parts: list[bytes] = []
    left = limit
    while left > 0 and (part := answer.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _authority(target: Url) -> str:
    return str(target.host) if target.port is None else f"{target.host}:{target.port}"


def _late(target: Url, *, sent: bool) -> RequestError:
    return RequestError(
        f"no complete answer in time - {target.host} - a faster target, or a longer timeout",
        reason=Failure.DEADLINE,
        sent=sent,
    )


def _failure(error: Exception, target: Url, deadline: _Deadline, *, sent: bool) -> RequestError:
    """Names the kind of error only: texts of libraries may hold the URL."""
    refused = isinstance(error, urllib3.exceptions.NewConnectionError)  # which urllib3 derives from timeouts
    slow = isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError) and not refused
    if deadline.passed or slow:
        return _late(target, sent=sent)
    kind = type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        kind = f"certificate not accepted: {error.verify_message}"
    text = f"no answer ({kind}) - {target.host} - a target that is up and speaks HTTP"
    return RequestError(text, reason=Failure.OTHER, sent=sent)
