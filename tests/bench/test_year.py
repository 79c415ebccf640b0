"""The year of flights is judged by what the demo runs with."""

from __future__ import annotations

from bench.year import configured
from monitor.config.load import load


def test_its_configuration_is_valid(tmp_path):
    """As the demo's is."""
    assert list(load([str(configured(tmp_path))]).models) == ["flight-delay"]
