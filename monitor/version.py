"""The version of what runs."""

from __future__ import annotations


def read_version() -> str:
    """The installed version of the distribution."""
    from importlib.metadata import version

    return version("driftline")
