"""Cross checks of what goes out: alerts, targets, their secrets and addresses."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from monitor.config.base import Group
from monitor.config.finding import Level, Problem, Steps
from monitor.config.outward import PRIVATE, Alertmanager, PagerDuty, Reached, Target
from monitor.config.settings import Settings

KEY_LENGTH = 32


def check_out(settings: Settings) -> Iterator[Problem]:
    alerts = settings.alerts
    if alerts.alertmanager:
        yield from _alertmanager(alerts.alertmanager, ("alerts", "alertmanager"))
    if alerts.pagerduty:
        yield from _pagerduty(alerts.pagerduty, ("alerts", "pagerduty"))
    if not alerts.alertmanager and not alerts.pagerduty:
        yield Problem(
            "no-alerts",
            (),
            "no alerts are sent: neither alertmanager nor pagerduty is configured",
            level=Level.WARNING,
            help="verdicts are seen on the page, in the API and at /metrics",
        )
    used = {model.retrain.target for model in settings.models.values()}
    for name, target in settings.targets.items():
        yield from _target(target, ("targets", name))
        if name not in used:
            yield Problem(
                "unused",
                ("targets", name),
                f"targets.{name} is not the target of any model",
                level=Level.WARNING,
                at_key=True,
            )
    yield from _twins(settings.web, "token", ("web",))


def _twins(group: Group, field: str, steps: Steps, *, needed: bool = False) -> Iterator[Problem]:
    given, file = getattr(group, field), getattr(group, f"{field}_file")
    if given and file:
        yield Problem(
            "conflict",
            (*steps, f"{field}_file"),
            f"{field} and {field}_file exclude each other",
            at_key=True,
            help="keep the file: it is read anew when it changes",
        )
    if needed and not given and not file:
        yield Problem(
            "missing-key",
            (*steps, field),
            f"{'.'.join(map(str, steps))}: {field} or {field}_file is missing",
            at_key=True,
        )


def _alertmanager(plan: Alertmanager, steps: Steps) -> Iterator[Problem]:
    yield from _twins(plan, "password", steps)
    yield from _twins(plan, "bearer_token", steps)
    if plan.username and plan.chosen("bearer_token"):
        yield Problem(
            "conflict",
            (*steps, "username"),
            "basic authentication and a bearer token exclude each other",
            at_key=True,
        )
    if bool(plan.username) != bool(plan.chosen("password")):
        yield Problem("missing-key", steps, "username and password belong together", at_key=True)
    for index, url in enumerate(plan.urls):
        yield from _address(plan, url, (*steps, "urls", index))
        if url in plan.urls[:index]:
            yield Problem(
                "duplicate-url", (*steps, "urls", index), "this address stands twice", level=Level.WARNING
            )
        if "/api/v" in url:
            yield Problem(
                "bad-url",
                (*steps, "urls", index),
                "an Alertmanager is named without the path of its API",
                help="for example http://am-0.am:9093",
            )


def _pagerduty(plan: PagerDuty, steps: Steps) -> Iterator[Problem]:
    yield from _twins(plan, "routing_key", steps, needed=True)
    if plan.routing_key and len(plan.routing_key.value) != KEY_LENGTH:
        yield Problem(
            "bad-secret",
            (*steps, "routing_key"),
            f"an integration key has {KEY_LENGTH} characters, this one has {len(plan.routing_key.value)}",
            help="take the Integration Key of an Events API v2 integration",
        )
    yield from _address(plan, plan.url, (*steps, "url"))
    if plan.url.startswith("http://"):
        yield Problem(
            "insecure-url", (*steps, "url"), "the routing key would travel without TLS", level=Level.WARNING
        )


def _target(plan: Target, steps: Steps) -> Iterator[Problem]:
    for field in ("secret", "old_secret", "token"):
        yield from _twins(plan, field, steps)
    for field in ("secret", "old_secret"):
        given = getattr(plan, field)
        if given and not is_signing_secret(given.value):
            yield Problem(
                "bad-secret",
                (*steps, field),
                "a signing secret is whsec_ and base64 of 24 to 64 bytes",
                help="make one: echo whsec_$(openssl rand -base64 32)",
            )
    if plan.chosen("old_secret") and not plan.chosen("secret"):
        yield Problem(
            "missing-key", (*steps, "secret"), "an old secret needs a new one beside it", at_key=True
        )
    if not plan.chosen("secret") and not plan.chosen("token"):
        yield Problem(
            "unsigned",
            steps,
            f"targets.{steps[1]}: requests are neither signed nor authorized",
            level=Level.WARNING,
            at_key=True,
            help="give it a secret_file or a token_file",
        )
    if plan.url.startswith("http://") and not plan.insecure_http:
        yield Problem(
            "insecure-url",
            (*steps, "url"),
            "the URL has no TLS",
            help="use https://, or allow it: insecure_http: true",
        )
    yield from _address(plan, plan.url, (*steps, "url"))


def is_signing_secret(text: str) -> bool:
    """True for a secret of Standard Webhooks."""
    try:
        return text.startswith("whsec_") and 24 <= len(base64.b64decode(text[6:], validate=True)) <= 64
    except (binascii.Error, ValueError):
        return False


def allowed_networks(plan: Reached) -> tuple[str, ...]:
    """Private networks that a receiver may be reached in."""
    if plan.allow_private is not None:
        return plan.allow_private
    return PRIVATE if isinstance(plan, Alertmanager) else ()


def _address(plan: Reached, url: str, steps: Steps) -> Iterator[Problem]:
    """A literal address in a network that is not allowed; names are resolved when they are used."""
    host = urlsplit(url).hostname or ""
    try:
        address = ip_address("127.0.0.1" if host == "localhost" else host.split("%")[0])
    except ValueError:
        return
    inside = any(address in ip_network(network) for network in allowed_networks(plan))
    if not inside and not address.is_global:
        yield Problem(
            "private-address",
            steps,
            f"{host} is a private address",
            at_key=False,
            help=f"allow its network: allow_private: [{address}/{address.max_prefixlen}]",
        )
