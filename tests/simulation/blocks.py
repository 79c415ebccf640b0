"""How many schedules run where."""

from __future__ import annotations

import pytest


def in_ci(count: int) -> list:
    """Numbers of blocks of schedules. The first runs in every test run, the others in CI."""
    return [0, *(pytest.param(number, marks=pytest.mark.slow) for number in range(1, count))]
