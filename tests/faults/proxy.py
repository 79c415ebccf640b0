"""A wire between clients and a broker that can be made long, lossy, or dead in one direction.

What goes over it is a byte stream, as TCP gives it: nothing is lost for good, it comes late. A wire that is dead in
one direction holds what it was given until it is mended, as a sender repeats it; loss is a pause of a retransmission.
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections import deque
from typing import Self

RETRANSMISSION = 0.2
"""Seconds that a lost segment costs: the least that Linux waits before it is sent again."""
PATIENCE = 0.02
_CHUNK = 65_536


class Direction:
    """What happens to bytes on their way. Attributes may be changed at any time."""

    def __init__(self, seed: int) -> None:
        self.latency = 0.0
        self.loss = 0.0
        self.is_dead = False
        self._chance = random.Random(seed)

    def delay(self) -> float:
        """Seconds for one piece; a piece that is lost again and again takes ever longer."""
        wait, pause = self.latency, RETRANSMISSION
        while self._chance.random() < self.loss:
            wait, pause = wait + pause, 2 * pause
        return wait


class Proxy:
    """Listens on `port` and passes everything on to a port of the loopback. From `start`, or a `with`, to `stop`."""

    def __init__(self, target: int, *, port: int = 0, seed: int = 1) -> None:
        self.up = Direction(seed)
        """From clients to the broker."""
        self.down = Direction(seed + 1)
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", port))
        self._open: set[socket.socket] = set()
        self._stopped = False

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def start(self) -> Self:
        threading.Thread(target=self._serve, name="proxy", daemon=True).start()
        return self

    def stop(self) -> None:
        self._stopped = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """End all connections there are."""
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serve(self) -> None:
        while not self._stopped:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self.target), 5)
            except OSError:
                client.close()
                continue
            self._open |= {client, broker}
            for source, sink, way in ((client, broker, self.up), (broker, client, self.down)):
                _Pipe(source, sink, way, self).start()

    def forget(self, *sockets: socket.socket) -> None:
        """They are closed."""
        self._open -= set(sockets)


class _Pipe:
    """One direction of one connection: one thread reads, another writes when it is time."""

    def __init__(self, source: socket.socket, sink: socket.socket, way: Direction, proxy: Proxy) -> None:
        self._source, self._sink, self._way, self._proxy = source, sink, way, proxy
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._changed = threading.Condition()
        self._ended = False

    def start(self) -> None:
        for turn in (self._read, self._write):
            threading.Thread(target=turn, name="proxy-pipe", daemon=True).start()

    def _read(self) -> None:
        due = 0.0
        while True:
            try:
                piece = self._source.recv(_CHUNK)
            except OSError:
                piece = b""
            # In order: what comes behind a lost segment waits for it.
            due = max(due, time.monotonic() + self._way.delay())
            with self._changed:
                self._waiting.append((due, piece))
                self._changed.notify()
            if not piece:
                return

    def _write(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                due, piece = self._waiting.popleft()
            while time.monotonic() < due or self._way.is_dead:
                time.sleep(min(PATIENCE, max(due - time.monotonic(), PATIENCE)))
            try:
                if piece:
                    self._sink.sendall(piece)
                    continue
            except OSError:
                pass
            for one in (self._source, self._sink):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
            self._proxy.forget(self._source, self._sink)
            return
