"""Cross checks of what goes out."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.config.crosscheck_reach import check_address, twins
from monitor.config.crosscheck_targets import check_target
from monitor.config.finding import Level, Problem, Steps
from monitor.config.outward import Alertmanager, PagerDuty
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
        yield from check_target(target, ("targets", name))
        if name not in used:
            yield Problem(
                "unused",
                ("targets", name),
                f"targets.{name} is not the target of any model",
                level=Level.WARNING,
                at_key=True,
            )
    yield from twins(settings.web, "token", ("web",))


def _alertmanager(plan: Alertmanager, steps: Steps) -> Iterator[Problem]:
    yield from twins(plan, "password", steps)
    yield from twins(plan, "bearer_token", steps)
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
        yield from check_address(plan, url, (*steps, "urls", index))
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
    yield from twins(plan, "routing_key", steps, needed=True)
    if plan.routing_key and len(plan.routing_key.value) != KEY_LENGTH:
        yield Problem(
            "bad-secret",
            (*steps, "routing_key"),
            f"an integration key has {KEY_LENGTH} characters, this one has {len(plan.routing_key.value)}",
            help="take the Integration Key of an Events API v2 integration",
        )
    yield from check_address(plan, plan.url, (*steps, "url"))
    if plan.url.startswith("http://"):
        yield Problem(
            "insecure-url", (*steps, "url"), "the routing key would travel without TLS", level=Level.WARNING
        )
