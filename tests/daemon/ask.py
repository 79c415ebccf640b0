"""Asking a daemon over HTTP, and waiting."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

PATIENCE = 120.0
"""Seconds until a wait gives up; what is waited for takes a few on a busy core."""


def until(done: Callable[[], Any], what: str, *, seconds: float = PATIENCE) -> Any:
    """Wait until `done()` is true and return it; AssertionError names what did not happen."""
    deadline = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.05)
    return found


def get(url: str, *, method: str = "GET", body: bytes | None = None) -> tuple[int, str]:
    """Status and text of an answer, whatever the status."""
    request = urllib.request.Request(url, body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def api(url: str, path: str) -> Any:
    """The data of an API answer."""
    status, text = get(f"{url}/api/v1/{path}")
    assert status == 200, text
    return json.loads(text)["data"]


def samples(url: str) -> dict[Any, float]:
    """`/metrics` as (name without prefix, *label values in the order of the label names) → value."""
    found: dict[Any, float] = {}
    for line in get(f"{url}/metrics")[1].splitlines():
        if line.startswith("driftline_"):
            series, _, value = line.rpartition(" ")
            name, _, labels = series.removeprefix("driftline_").partition("{")
            pairs = sorted(re.findall(r'(\w+)="([^"]*)"', labels))
            found[name, *(text for _, text in pairs)] = float(value)
    return found
