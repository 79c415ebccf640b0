"""Where alerts and retraining requests go; plain values built from the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.secret import Secret


@dataclass(frozen=True, slots=True)
class HttpPlan:
    """How a target may be reached. `allow_private` are CIDRs beside the public internet;
    loopback and private addresses are refused unless they are named here. Seconds."""

    timeout: float = 10.0
    allow_private: tuple[str, ...] = ()
    ca_file: str = ""
    insecure_http: bool = False
    """Allow http:// (an in-cluster Alertmanager)."""
    max_body: int = 65_536


@dataclass(frozen=True, slots=True)
class AlertmanagerPlan:
    """Every member of the cluster, never a load balancer. Times in milliseconds."""

    urls: tuple[str, ...]
    http: HttpPlan = field(default_factory=HttpPlan)
    username: str = ""
    password: Secret = field(default_factory=Secret)
    bearer: Secret = field(default_factory=Secret)
    resend: int = 60_000
    resolved_for: int = 900_000
    labels: Mapping[str, str] = field(default_factory=dict)
    """Extra labels on every alert, e.g. cluster."""


@dataclass(frozen=True, slots=True)
class PagerDutyPlan:
    routing_key: Secret
    url: str = "https://events.pagerduty.com/v2/enqueue"
    severities: tuple[str, ...] = ("critical",)
    http: HttpPlan = field(default_factory=HttpPlan)
    per_minute: int = 100


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """A retraining target. `secrets` sign each request: the first is new, others are being rotated out."""

    name: str
    preset: str
    """One of `monitor.deliver.presets.catalogue.PRESETS`."""
    url: str
    secrets: tuple[Secret, ...] = ()
    token: Secret = field(default_factory=Secret)
    username: str = ""
    password: Secret = field(default_factory=Secret)
    options: Mapping[str, str] = field(default_factory=dict)
    """What the preset needs and takes, e.g. dag; only what is given."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Added to each run."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Not shown: they may hold credentials."""
    http: HttpPlan = field(default_factory=lambda: HttpPlan(timeout=20.0))


@dataclass(frozen=True, slots=True)
class AlertsPlan:
    alertmanager: AlertmanagerPlan | None = None
    pagerduty: PagerDutyPlan | None = None
    targets: Mapping[str, TargetPlan] = field(default_factory=dict)
    external_url: str = "http://localhost:8710"
    """Base of every link in an alert."""
    source: str = "driftline"
    """CloudEvents source and PagerDuty client."""
