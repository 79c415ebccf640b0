"""The web server in its own thread."""

from __future__ import annotations

import asyncio
import socket
import threading

import uvicorn
from starlette.types import ASGIApp

from monitor.errors import UsageError

START_SECONDS = 10.0
"""uvicorn starts in milliseconds; a machine that needs longer than this has a worse problem."""
STOP_SECONDS = 5
"""Open requests may finish; a scrape takes well under a second."""


class Server:
    """Serves `app` from construction until `stop`; raises OSError when the address is taken.

    Port 0 takes a free port; `port` says which. Signals stay with the daemon.
    """

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._socket = _bind(host, port)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
            limit_concurrency=128,
            ws="none",
            loop="asyncio",
            http="h11",
        )
        self._server = _Quiet(config)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._thread.start()
        self._server.up.wait(START_SECONDS)

    @property
    def url(self) -> str:
        """Base of links for a person on this machine."""
        host = "127.0.0.1" if self.host in {"", "0.0.0.0", "::"} else self.host  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def stop(self) -> None:
        """Let open requests finish and free the port. May be called twice."""
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS + 5)
        self._socket.close()

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))


class _Quiet(uvicorn.Server):
    """A server that says when it listens. Outside the main thread uvicorn leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


def _bind(host: str, port: int) -> socket.socket:
    if host in {"", "::"} and socket.has_dualstack_ipv6():
        return socket.create_server(("::", port), family=socket.AF_INET6, backlog=128, dualstack_ipv6=True)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)


def parse_listen(listen: str) -> tuple[str, int]:
    """ ":8710" is every address, "127.0.0.1:0" a free port, "[::1]:8710" IPv6. Raises UsageError."""
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise UsageError(f"{listen!r} is not an address to listen on - web.listen - :8710 or 127.0.0.1:8710")
    return host, int(port)
