"""Plans of what goes out: alerts and retraining targets."""

from __future__ import annotations

from monitor.config.crosscheck_reach import allowed_networks
from monitor.config.finding import Steps
from monitor.config.outward import Reached
from monitor.config.settings import Settings
from monitor.deliver.plan import AlertmanagerPlan, AlertsPlan, HttpPlan, PagerDutyPlan, TargetPlan


def plan_alerts(settings: Settings) -> AlertsPlan:
    """Where alerts and retraining requests go."""
    return AlertsPlan(
        alertmanager=_alertmanager(settings),
        pagerduty=_pagerduty(settings),
        targets={name: _target(settings, name) for name in settings.targets},
        external_url=settings.web.external_url.rstrip("/"),
        source=settings.web.external_url.rstrip("/"),
    )


def _http(settings: Settings, plan: Reached, steps: Steps, *, insecure: bool = False) -> HttpPlan:
    ca_file = str(settings.origin.beside((*steps, "ca_file"), plan.ca_file)) if plan.ca_file else ""
    return HttpPlan(
        timeout=plan.timeout / 1000,
        allow_private=allowed_networks(plan),
        ca_file=ca_file,
        insecure_http=insecure,
    )


def _alertmanager(settings: Settings) -> AlertmanagerPlan | None:
    given, steps = settings.alerts.alertmanager, ("alerts", "alertmanager")
    if given is None:
        return None
    return AlertmanagerPlan(
        urls=tuple(url.rstrip("/") for url in given.urls),
        http=_http(settings, given, steps, insecure=any(url.startswith("http://") for url in given.urls)),
        username=given.username,
        password=settings.origin.secret(given, "password", (*steps, "password_file")),
        bearer=settings.origin.secret(given, "bearer_token", (*steps, "bearer_token_file")),
        resend=given.resend,
        resolved_for=given.resolved_for,
        labels=dict(given.labels),
    )


def _pagerduty(settings: Settings) -> PagerDutyPlan | None:
    given, steps = settings.alerts.pagerduty, ("alerts", "pagerduty")
    if given is None:
        return None
    return PagerDutyPlan(
        routing_key=settings.origin.secret(given, "routing_key", (*steps, "routing_key_file")),
        url=given.url,
        severities=given.severity,
        per_minute=given.per_minute,
        http=_http(settings, given, steps, insecure=given.url.startswith("http://")),
    )


def _target(settings: Settings, name: str) -> TargetPlan:
    given, steps = settings.targets[name], ("targets", name)
    secrets = [
        settings.origin.secret(given, field, (*steps, f"{field}_file")) for field in ("secret", "old_secret")
    ]
    return TargetPlan(
        name=name,
        preset=given.preset,
        url=given.url,
        secrets=tuple(secret for secret in secrets if secret),
        token=settings.origin.secret(given, "token", (*steps, "token_file")),
        username=given.username,
        password=settings.origin.secret(given, "password", (*steps, "password_file")),
        options=given.where().options,
        parameters=dict(given.parameters),
        headers=dict(given.headers),
        http=_http(settings, given, steps, insecure=given.insecure_http),
    )
