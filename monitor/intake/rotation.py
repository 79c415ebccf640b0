"""Passwords that change in their files while clients are connected."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar
from weakref import WeakSet

import structlog

from monitor.clock import Clock
from monitor.intake.client import Listener, client_properties

log = structlog.get_logger(__name__)

LOOK_EVERY = 5.0
"""Seconds between looks at the files. Whoever rotates a password lets the old one live longer than that, or bears
with refusals for as long."""

_USER, _PASSWORD = "sasl.username", "sasl.password"


class _Login(NamedTuple):
    user: str
    password: str

    @classmethod
    def of(cls, properties: Mapping[str, Any]) -> _Login:
        return cls(str(properties.get(_USER, "")), str(properties.get(_PASSWORD, "")))


class _Clients:
    """The clients that are connected, and what became of their logins. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: WeakSet[Listener] = WeakSet()
        self._replaced: dict[_Login, _Login] = {}

    def newest(self, login: _Login) -> _Login:
        while login in self._replaced:
            login = self._replaced[login]
        return login

    def add(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.add(listener)

    def replace(self, old: _Login, new: _Login) -> int:
        """Have all that use the old one take it at their next turn; how many there are."""
        with self._lock:
            self._replaced.pop(new, None)
            self._replaced[old] = new
            found = [listener for listener in self._listeners if listener.login == old]
        for listener in found:
            listener.take_login(new)
        return len(found)


_CLIENTS = _Clients()

_Client = TypeVar("_Client")


def connect(
    kind: Callable[[dict[str, Any]], _Client], properties: Mapping[str, Any], listener: Listener
) -> _Client:
    """A client of the library that learns of a new password, if its thread calls `Listener.renew` now and then.

    Raises what the library does.
    """
    found = client_properties(properties, listener)
    if _PASSWORD in found:
        listener.login = _CLIENTS.newest(_Login.of(found))
        found |= {_USER: listener.login[0], _PASSWORD: listener.login[1]}
    client = kind(found)
    if _PASSWORD in found:
        listener.client = client
        _CLIENTS.add(listener)
    return client


class Rotation:
    """Looks at the files of secrets. One thread calls `tick`."""

    def __init__(self, properties: Callable[[], Mapping[str, Any]], clock: Clock) -> None:
        """`properties` reads them anew. To be made before the clients are. Raises OSError."""
        self._properties = properties
        self._clock = clock
        self._next = clock.monotonic() + LOOK_EVERY
        self._login = _Login.of(properties())

    def tick(self) -> None:
        if self._clock.monotonic() < self._next:
            return
        self._next = self._clock.monotonic() + LOOK_EVERY
        try:
            login = _Login.of(self._properties())
        except OSError as error:  # it may be on its way
            log.warning("secret_unreadable", text=f"{error.filename}: {error.strerror}")
            return
        before, self._login = self._login, login
        if login != before:
            log.info("password_renewed", clients=_CLIENTS.replace(before, login))
