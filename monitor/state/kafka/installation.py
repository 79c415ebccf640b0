"""Whether the topics of the state belong to another installation: one whose replicas join groups of another name.

Two of them on one prefix would share no work out, and fence each other for as long as both run.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from monitor.clock import Clock
from monitor.errors import StateDamaged, StateError, StateForeign
from monitor.state.kafka import keys
from monitor.state.kafka.batch import Owner, decode_owner
from monitor.state.kafka.keys import OwnerKey
from monitor.state.kafka.logs import Logs, Place

PATIENCE = 30.0
"""Seconds that a ledger which cannot be read is waited for at the start."""


class Installation:
    """The processes of one `kafka.group`. `is_joined` tells whether a group has members, or raises StateError."""

    def __init__(self, logs: Logs, ledger: str, *, group: str, is_joined: Callable[[str], bool]) -> None:
        self.group = group
        self._logs = logs
        self._ledger = ledger
        self._is_joined = is_joined

    def admit(self, partition: int) -> None:
        """Raises StateForeign where the models of this partition of the ledger belong to another installation
        that runs. One that has ended, whose group was given another name, leaves them to us. And StateError."""
        owner = newest_owner(self._logs, Place(self._ledger, partition))
        if owner is None or owner.group in {"", self.group}:
            return
        whose = f"the topics belong to the installation of kafka.group {owner.group}"
        instead = f"set kafka.group: {owner.group} to join it, or another state.kafka.prefix"
        try:
            runs = self._is_joined(evaluators(owner.group))
        except StateError as error:
            raise StateForeign(f"{whose}, and whether it runs is not known ({error}) - {instead}") from error
        if runs:
            raise StateForeign(
                f"{whose}, which runs (last seen: {owner.member}) - {self._ledger} - {instead}, or end that one"
            )

    def admit_at_start(self, clock: Clock) -> None:
        """Who uses the topics has taken all of their partitions: one is asked for. Topics that were created a
        moment ago, and brokers that change their roles, are waited for. Raises as `admit`."""
        end = clock.monotonic() + PATIENCE
        while True:
            try:
                self.admit(0)
            except StateForeign:
                raise
            except StateError:
                if clock.monotonic() > end:
                    raise
                clock.wait(Event(), 0.2)
            else:
                return


def evaluators(group: str) -> str:
    """The consumer group that shares the models out."""
    return f"{group}.eval"


def newest_owner(logs: Logs, place: Place) -> Owner | None:
    """Who took a partition of the ledger over last; None before the first, and where its record does not verify.

    Raises StateError.
    """
    found = None
    for record in logs.read(place, 0):
        try:
            if record.value is not None and isinstance(keys.decode_ledger(record.key), OwnerKey):
                found = record.value
        except StateDamaged:
            continue
    try:
        return None if found is None else decode_owner(found)
    except StateDamaged:
        return None
