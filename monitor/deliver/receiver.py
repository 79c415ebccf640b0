"""A small HTTP receiver on loopback: what the demo and the tests send alerts and webhooks to.

It records every request and answers as it is told, one answer per request, then 200 for ever.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from monitor.deliver.signing import verify

BODY_LIMIT = 16 << 20
"""Largest body kept; what is longer is cut, so that a test of our own caps cannot fill memory."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request. Header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def is_signed(self, secret: str, *, now_ms: int) -> bool:
        """Whether its Standard Webhooks signature fits `secret`."""
        return verify(self.headers, self.body, secret=secret, now_ms=now_ms)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver says. `act` replaces all of it: it is given the raw connection to misuse, whose `received` is the
    request. `Receiver.requests[-1]` may be another one, that came meanwhile."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    act: Callable[[BaseHTTPRequestHandler], None] | None = None


class Receiver:
    """Serves from its own threads between `start` and `stop`, or inside a `with`.

    `requests` grows only; read it after `wait_for`.
    """

    def __init__(self, *, default: Answer | None = None, port: int = 0) -> None:
        self.requests: list[Received] = []
        self._answers: deque[Answer] = deque()
        self._default = default or Answer()
        self._arrived = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._connection_class())
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="receiver", daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def answer(self, *answers: Answer) -> None:
        """Queue answers for the coming requests, in order."""
        self._answers.extend(answers)

    def answer_always(self, answer: Answer) -> None:
        """Answer like this whenever no answer is queued."""
        self._default = answer

    def wait_for(self, count: int, *, timeout: float = 10.0) -> list[Received]:
        """The requests so far once there are `count` of them. Raises TimeoutError."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.requests) >= count, timeout):
                raise TimeoutError(f"{len(self.requests)} requests arrived - {self.url} - {count} expected")
            return list(self.requests)

    def _take(self, received: Received) -> Answer:
        with self._arrived:
            self.requests.append(received)
            answer = self._answers.popleft() if self._answers else self._default
            self._arrived.notify_all()
            return answer

    def _connection_class(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Connection(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            received: Received

            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length") or 0), BODY_LIMIT)
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(length) if length else b""
                if len(body) < length:  # the sender died in the middle: nothing has arrived
                    self.close_connection = True
                    return
                self.received = Received(self.command, self.path, headers, body)
                answer = receiver._take(self.received)
                self.close_connection = True
                try:
                    self._reply(answer)
                except OSError:
                    return  # the sender has hung up, as some tests ask it to

            do_GET = do_POST  # noqa: N815 - named by http.server
            do_HEAD = do_POST  # noqa: N815 - the same
            do_PUT = do_POST  # noqa: N815 - the same

            def _reply(self, answer: Answer) -> None:
                if answer.act is not None:
                    answer.act(self)
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by http.server
                """Requests are recorded, not logged."""

        return Connection
