"""What processes say of themselves in the progress topic."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from monitor.errors import StateDamaged, StateTooNew
from monitor.state.envelope import Form, seal, unseal
from monitor.state.kafka.keys import NoticeKey, WriterId, encode
from monitor.state.kafka.logs import Place, Record, Write

BESIDE = ("compared", "prompted")
"""What a process may say beside the models that it judges. Who reads these does not trust them."""
KEPT = 3_600_000
"""Milliseconds after which anybody takes the notice of a process away that says nothing more: it did not end well."""


class Notices:
    """The newest notice of each process, by its key. Taken and written by one thread, read by others."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._own = encode(NoticeKey(WriterId(secrets.randbits(64))))
        self.newest: dict[bytes, Mapping[str, Any]] = {}
        """Replaced whole."""

    def take(self, record: Record) -> None:
        """Note what a record says; one that does not verify, or is not understood, says nothing."""
        newest = {key: notice for key, notice in self.newest.items() if key != record.key}
        if record.value is not None:
            try:
                notice = json.loads(unseal(Form.NOTICE, record.value))
                told = {name: notice[name] for name in ("replica", "at", "models")}
                newest[record.key] = told | {name: notice[name] for name in BESIDE if name in notice}
            except (StateDamaged, StateTooNew, ValueError, KeyError, TypeError):
                return
        self.newest = newest

    def records(self, notice: Mapping[str, Any]) -> list[Write]:
        """What this process writes to say something, and to take away what those said who are gone."""
        own = Write(self._place, self._own, seal(Form.NOTICE, json.dumps(notice).encode()))
        old = [key for key, said in self.newest.items() if notice["at"] - int(said["at"]) > KEPT]
        return [own, *(Write(self._place, key, None) for key in old)]
