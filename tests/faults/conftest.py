"""What the tests of the daemon stand on, for those of its faults."""

from __future__ import annotations

from tests.daemon.conftest import _brisk, _quiet, broker, make, receiver  # noqa: F401 fixtures
