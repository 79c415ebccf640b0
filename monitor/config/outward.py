"""Settings of what goes out: alerts and retraining requests."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, WithJsonSchema

from monitor.config.base import Group
from monitor.config.fields import (
    Choice,
    Cidr,
    Duration,
    LabelName,
    SecretText,
    Text,
    Whole,
    as_text,
    bounded,
    parsed,
)
from monitor.config.intake import DAY, MINUTE, SECOND
from monitor.config.quantity import format_duration

PRIVATE = (
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
)
"""Where Alertmanagers usually live; a target of requests must name its networks itself."""


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("a URL is written like https://host:port/path") from None
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or port == 0
        or re.search(r"[\s\x00-\x1f\x7f]", text)
    ):
        raise ValueError("a URL is written like https://host:port/path")
    if "@" in parts.netloc:
        raise ValueError("a URL holds no user or password; use the settings for them")
    return text


def _header(text: str) -> str:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", text):
        raise ValueError("a header name has letters, digits and dashes")
    return text


def _header_value(text: str) -> str:
    as_text(text)
    if re.search(r"[\r\n\x00]", text):
        raise ValueError("a header value has no line breaks")
    return text


Url = Annotated[str, parsed("bad-url", _url), WithJsonSchema({"type": "string", "format": "uri"})]
HeaderName = Annotated[str, parsed("bad-header", _header), WithJsonSchema({"type": "string"})]
HeaderValue = Annotated[str, parsed("bad-header", _header_value), WithJsonSchema({"type": "string"})]
Timeout = Annotated[Duration, bounded(100, 5 * MINUTE, format_duration)]


class Reached(Group):
    """How a receiver is reached."""

    timeout: Timeout = Field(default=10 * SECOND, description="Limit of one attempt.", examples=["10s"])
    allow_private: tuple[Cidr, ...] | None = Field(
        default=None,
        description="Private networks it may be reached in; loopback and private addresses are refused "
        "otherwise. Alertmanagers may be in any private network unless this is given.",
        examples=[["10.0.0.0/8"]],
    )
    ca_file: Text = Field(
        default="",
        description="Certificates to trust instead of the system's.",
        examples=["/etc/ssl/internal.pem"],
    )


class Alertmanager(Reached):
    """Every member of an Alertmanager cluster."""

    urls: tuple[Url, ...] = Field(
        min_length=1,
        description="Every member, never a load balancer.",
        examples=[["http://am-0.am:9093", "http://am-1.am:9093"]],
    )
    username: Text = Field(default="", description="User of basic authentication.", examples=["driftline"])
    password: SecretText | None = Field(
        default=None, description="Its password.", examples=["${env:AM_PASSWORD}"]
    )
    password_file: Text = Field(
        default="", description="File that holds the password.", examples=["/run/secrets/am"]
    )
    bearer_token: SecretText | None = Field(
        default=None, description="Token sent as Authorization: Bearer.", examples=["${env:AM_TOKEN}"]
    )
    bearer_token_file: Text = Field(
        default="", description="File that holds the token.", examples=["/run/secrets/am-token"]
    )
    resend: Annotated[Duration, bounded(SECOND, DAY, format_duration)] = Field(
        default=MINUTE, description="Firing alerts are sent again this often.", examples=["1m"]
    )
    resolved_for: Annotated[Duration, bounded(0, DAY, format_duration)] = Field(
        default=15 * MINUTE, description="Resolved alerts are sent again for this long.", examples=["15m"]
    )
    labels: dict[LabelName, Text] = Field(
        default_factory=dict, description="Labels added to every alert.", examples=[{"cluster": "prod"}]
    )


class PagerDuty(Reached):
    """A PagerDuty service, by Events API v2."""

    routing_key: SecretText | None = Field(
        default=None, description="Integration key, 32 characters.", examples=["${env:PD_ROUTING_KEY}"]
    )
    routing_key_file: Text = Field(
        default="", description="File that holds the integration key.", examples=["/run/secrets/pd"]
    )
    url: Url = Field(
        default="https://events.pagerduty.com/v2/enqueue",
        description="EU accounts have an address of their own.",
        examples=["https://events.eu.pagerduty.com/v2/enqueue"],
    )
    severity: tuple[Annotated[str, Choice(("critical", "warning"))], ...] = Field(
        default=("critical",), min_length=1, description="Severities that are sent.", examples=[["critical"]]
    )
    per_minute: Annotated[Whole, bounded(1, 120)] = Field(
        default=100, description="Most events in a minute; PagerDuty takes about 120.", examples=[100]
    )


class Alerts(Group):
    """Where alerts go."""

    alertmanager: Alertmanager | None = Field(
        default=None, description="Alertmanager, API v2.", examples=[{"urls": ["http://am-0.am:9093"]}]
    )
    pagerduty: PagerDuty | None = Field(
        default=None,
        description="PagerDuty, Events API v2.",
        examples=[{"routing_key_file": "/run/secrets/pd"}],
    )
