"""A loopback receiver and an outbox for delivery tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from monitor.clock import ManualClock
from monitor.deliver.receiver import Receiver
from tests.deliver.outbox import Outbox


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as one:
        yield one


@pytest.fixture
def outbox() -> Callable[..., Outbox]:
    """Makes an outbox on a manual clock that starts at a real moment."""
    return lambda alerts, **changes: Outbox(alerts, ManualClock(1_792_000_000_000), **changes)
