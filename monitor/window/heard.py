"""What the source partitions of a model report, and what every window asks of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from operator import attrgetter
from typing import NamedTuple

from monitor.names import Source
from monitor.state.log import Counted, Progress

_watermark = attrgetter("watermark")
_ALL = Counted("")


class _Whole(NamedTuple):
    """From when on all rows of a partition are counted, but for those of the panes `ahead`."""

    since: int
    ahead: tuple[int, ...]


class Heard(dict[Source, Progress]):
    """The newest report of each expected partition that is counted as the model is judged. Evaluate thread only.

    There may be thousands, a window is looked at twice a second, and few of them have reported since: so what does
    not depend on the window is kept.
    """

    def __init__(self, model: str, expected: Collection[Source], *, config: str | None) -> None:
        """`config`: how the model is judged; None where those who report are known to count it so."""
        super().__init__()
        self.expected = expected
        self.config = config
        self._model = model
        self._wanted = frozenset(expected)
        self._whole: dict[Source, _Whole] = {}
        self._marks: tuple[int, int] | None = None
        self._whole_from: int | None = None

    def take(self, reports: Iterable[Progress]) -> None:
        """Take newer reports; those of others are passed over."""
        for report in reports:
            source = report.source
            if source not in self._wanted:
                continue
            self._marks = None
            counted = _ALL if report.counted is None else report.counted.get(self._model, _ALL)
            if self.config is not None and report.counted is not None and counted.config != self.config:
                # While replicas are replaced one by one, some still count by the configuration before.
                self.pop(source, None)
                self._whole.pop(source, None)
                self._whole_from = None
                continue
            self[source] = report
            whole = _Whole(max(report.since, counted.since), counted.ahead)
            if self._whole.get(source) != whole:
                self._whole[source] = whole
                self._whole_from = None

    @property
    def mark(self) -> int:
        """The event time that all that are heard of have passed; -1: none."""
        return self._found()[0]

    @property
    def newest(self) -> int:
        """The event time that one of them has passed; -1: none."""
        return self._found()[1]

    @property
    def passed(self) -> int:
        """The event time that every expected partition has passed; -1: not all are heard of."""
        return self.mark if len(self) == len(self._wanted) else -1

    def partial(self, start: int, end: int) -> list[Source]:
        """Those of which not all rows in [start, end) are counted."""
        if self._whole_from is None:
            self._whole_from = max(
                (max(whole.since, *(pane + 1 for pane in whole.ahead)) if whole.ahead else whole.since
                 for whole in self._whole.values()),
                default=-1,
            )  # fmt: skip
        if self._whole_from <= start:
            return []
        return [
            source
            for source, whole in self._whole.items()
            if whole.since > start or any(start <= pane < end for pane in whole.ahead)
        ]

    def _found(self) -> tuple[int, int]:
        if self._marks is None:
            marks = list(map(_watermark, self.values()))
            self._marks = min(marks, default=-1), max(marks, default=-1)
        return self._marks
