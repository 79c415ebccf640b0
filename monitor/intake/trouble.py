"""What comes in place of records, and the gaps that follow from it."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from confluent_kafka import KafkaError

from monitor.errors import IntakeError
from monitor.intake.batch import Fault
from monitor.intake.gap import Gap

log = structlog.get_logger(__name__)

_FATAL = KafkaError._FATAL  # noqa: SLF001 the library's public name


class Troubles:
    """Counts and tells them, and keeps the gaps until they are asked for. Belongs to the polling thread."""

    def __init__(self, count: Callable[[str], None]) -> None:
        self._count = count
        self._gaps: list[Gap] = []

    def note(self, fault: Fault) -> None:
        """An error that the client goes on after. Raises IntakeError where it does not: such an error may come
        in place of a record, and nowhere else."""
        if fault.code == _FATAL:
            raise stopped(fault.text)
        self._count("partition_error")
        topic, partition = fault.source
        log.warning("partition_error", topic=topic, partition=partition, text=fault.text)

    def gap(self, gap: Gap) -> None:
        self._gaps.append(gap)
        self._count("gap")
        log.error("coverage_gap", source=str(gap.source), reason=gap.kind, expected=gap.expected, end=gap.end)

    def gaps(self) -> tuple[Gap, ...]:
        """Those since the last call."""
        gaps, self._gaps = self._gaps, []
        return tuple(gaps)


def stopped(text: str) -> IntakeError:
    """What a client says that can do no more."""
    hint = "restart driftline"
    if "instance" in text.lower():
        hint = "two processes have one group.instance.id: stop one, or name them apart"
    return IntakeError(f"kafka client stopped - {text} - {hint}")
