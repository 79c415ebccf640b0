"""What keeps a thread of deliveries alive, whatever one of its looks runs into."""

from __future__ import annotations

from types import TracebackType

import structlog

from monitor import metrics
from monitor.errors import DriftlineError

log = structlog.get_logger(__name__)


class Guard:
    """A context that counts and logs what is raised inside, as `<what>_waits` or, where nobody foresaw it, `<what>_broke`;
    the next look tries again. Trap: the body may have ended anywhere."""

    def __init__(self, what: str, integration: str) -> None:
        self._waits, self._broke = f"{what}_waits", f"{what}_broke"
        self._integration = integration

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        metrics.INTERNAL_ERRORS_TOTAL.labels("deliver").inc()
        if isinstance(error, DriftlineError):  # the state log may be away for a while
            log.warning(self._waits, integration=self._integration, reason=str(error))
        else:  # boundary: an entry or an answer that we cannot read must not end the thread
            log.error(self._broke, integration=self._integration, exc_info=error)
        return True
