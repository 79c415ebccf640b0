"""What the web part needs to know, as plain values."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.secret import Secret


class PerFeature(enum.StrEnum):
    """Which features get series of their own in `/metrics`."""

    TOP = "top"
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class WebSettings:
    """`enable_lifecycle` allows requests that change something; `token`, when given, is asked for
    in `Authorization: Bearer …` on top of it."""

    enable_lifecycle: bool = False
    token: Secret = field(default_factory=Secret)
    per_feature: PerFeature = PerFeature.TOP
    top_k: int = 20
    """Worst features of a model that get series, in `top`."""
    max_series: int = 20_000
    """Per-feature series in one exposition, over all models, in `top` and `all`."""
    route_prefix: str = ""
    """Path below which everything is served, "/driftline"; "" is the root."""
    flags: Mapping[str, str] = field(default_factory=dict)
    """Command-line flags, shown at `/api/v1/status/flags`."""
    revision: str = "unknown"
    """Source revision of the build."""
