"""How severe an incident is: what its rule says, unless there is maintenance, or pages are sent for harm alone. Pure.

In maintenance nobody is told of an incident that opens then; it is tracked, and rises to what its rule says with the first
window after it that still drifts. One that stood before stands on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from monitor.incident.model import DRIFT, Incident, Severity
from monitor.plan import Maintenance, ModelPlan, RawRule
from monitor.verdict import State, Verdict


def is_quiet(maintenance: Sequence[Maintenance], at: int) -> bool:
    """Whether a window that ends at this time, ms, ends in maintenance: after it began, and no later than it ends."""
    return any(_covers(one, at) for one in maintenance)


def severity_of(
    rule: str,
    told: Severity,
    *,
    state: State,
    verdict: Verdict,
    plan: ModelPlan,
    incidents: Mapping[str, Incident],
    standing: Severity | None,
) -> Severity:
    """What an incident of a rule is after a window in this `state` for it.

    `told`: what the rule says; `standing`: of the incident if it is open.
    """
    severity = told
    if rule == DRIFT and plan.page_on_harm and not plan.borrowed and standing is not Severity.CRITICAL:
        is_harmed = any(True for _ in harms(verdict, plan, incidents))
        severity = Severity.CRITICAL if is_harmed else Severity.WARNING
    if severity is Severity.NONE or standing is severity:
        return severity
    if is_quiet(plan.maintenance, verdict.end):
        return Severity.NONE if standing is None else standing
    rises = standing is Severity.NONE or (rule == DRIFT and plan.page_on_harm and standing is not None)
    return standing if rises and standing is not None and state is not State.DRIFT else severity


def harms(verdict: Verdict, plan: ModelPlan, incidents: Mapping[str, Incident]) -> Iterator[str]:
    """Why a drift does harm, in words: a limit on performance that is broken, or that the estimate of the window is sure
    to break with all of its bounds, by the scores alone or by any column of segments."""
    ways = [verdict.estimate["figures"], *verdict.estimate["segments"].values()] if verdict.estimate else []
    for rule in plan.harm:
        incident = incidents.get(rule.name)
        if incident is not None and incident.firing:
            yield f"{rule.text} by labels"
        elif not rule.quorum and not rule.feature:
            beyond = next((own[rule.score] for own in ways if _is_beyond(rule, own.get(rule.score))), None)
            if beyond is not None:
                value, low, high = beyond
                yield f"{rule.text}: estimated at {value:.3g} ({low:.3g} to {high:.3g})"


def _is_beyond(rule: RawRule, figure: Sequence[float] | None) -> bool:
    if figure is None:
        return False
    _, low, high = figure
    if rule.operator in {"<", "<="}:
        return high < rule.limit
    return low > rule.limit


def _covers(one: Maintenance, at: int) -> bool:
    if not one.length:
        return one.begin < at <= one.until
    zone = ZoneInfo(one.timezone)
    day = datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).date()
    for back in range(one.length // 86_400_000 + 2):
        own = day - timedelta(days=back)
        local = datetime(own.year, own.month, own.day, one.minute // 60, one.minute % 60, tzinfo=zone)
        start = round(local.timestamp() * 1000)
        if own.weekday() in one.days and start < at <= start + one.length:
            return True
    return False
