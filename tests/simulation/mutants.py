"""Protocols with one mistake each, of the kind that looks harmless. The simulation has to find them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from monitor.names import Source
from monitor.state.kafka.keys import MARKERS, WriterId
from monitor.state.kafka.logs import Logs, Write
from monitor.state.log import Checkpoint
from tests.simulation.group import Group
from tests.simulation.ingest import Protocol
from tests.simulation.inputs import FIRST


class Unacknowledged:
    """`Logs` whose sketches are not waited for: only the marker is."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs

    def write(self, records: Sequence[Write]) -> list[int]:
        if any(write.key.startswith(MARKERS) for write in records):
            return self._logs.write(records)
        self._logs.send(records)
        return []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._logs, name)


def _committed(group: Group, source: Source, found: Checkpoint | None) -> int:
    return group.commits.get(source, FIRST)


INGEST: dict[str, Callable[[], Protocol]] = {
    "the writer is not in the key": lambda: Protocol(new_id=lambda world: WriterId(7)),
    "the group's commit is trusted": lambda: Protocol(position=_committed),
    "the marker is written before the sketches are acknowledged": lambda: Protocol(logs=Unacknowledged),
}
