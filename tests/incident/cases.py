"""Verdicts and plans for tests of what follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from monitor.deliver.plan import AlertmanagerPlan, AlertsPlan, HttpPlan, PagerDutyPlan, TargetPlan
from monitor.incident.intend import intend
from monitor.incident.model import latest_incidents
from monitor.incident.track import Kind, track
from monitor.names import Source
from monitor.plan import Budget, ModelPlan, RawRule, RetrainPlan, WindowSpec
from monitor.secret import Secret
from monitor.state.log import Entry, Ledger
from monitor.verdict import State, Test, Unknown, Verdict

HOUR = 3_600_000
DAY = 24 * HOUR
START = 1_360_368_000_000
"""9 February 2013, 00:00 UTC."""
LOOPBACK = HttpPlan(timeout=5.0, allow_private=("127.0.0.0/8",), insecure_http=True)
SECRET = "whsec_" + "c2VjcmV0LW9mLXRoaXJ0eS10d28tYnl0ZXMtbG9uZyE="
ROTATED = "whsec_" + "YW5vdGhlci1zZWNyZXQtb2YtdGhpcnR5LXR3by1ieXQ="


def plan(
    *,
    clear_after: int = 2,
    raw_rules: tuple[RawRule, ...] = (),
    retrain: RetrainPlan | None = None,
    windows: tuple[str, ...] = ("1h", "1d"),
    name: str = "flights",
) -> ModelPlan:
    sizes = {"1h": HOUR, "1d": DAY}
    return ModelPlan(
        name=name,
        source="predictions",
        features=(),
        rules=(),
        windows=tuple(WindowSpec(w, sizes[w], sizes[w]) for w in windows),
        pane=60_000,
        budget=Budget(2, 30 * DAY),
        config="c0ffee",
        raw_rules=raw_rules,
        retrain=retrain or RetrainPlan(),
        clear_after=clear_after,
        runbook="https://runbooks.example/drift",
    )


def raw_rule(name: str = "limit", *, action: str = "ticket") -> RawRule:
    return RawRule(name=name, score="psi", feature="age", operator=">", limit=0.25, windows=1, action=action)


def voting_test(feature: str = "dep_delay", kind: str = "missing", *, x: float = 21.0) -> Test:
    return Test(
        feature=feature,
        test=kind,
        score=0.51,
        threshold=0.51 / x,
        x=x,
        p=1e-9,
        n=812.0,
        m=27_004.0,
        tolerance=0.005,
        effect=0.49,
        state=State.DRIFT if x > 1 else State.OK,
    )


def verdict(
    number: int = 0,
    state: str = "drift",
    *,
    window: str = "1h",
    revision: int = 0,
    rules: tuple[str, ...] = (),
    reference: str = "january",
    versions: Mapping[str, int] | None = None,
    coverage: float = 1.0,
    rows: int = 812,
    model: str = "flights",
    tests: Sequence[Test] | None = None,
) -> Verdict:
    """The verdict of hour `number` after START (day `number` for "1d" windows)."""
    size = HOUR if window == "1h" else DAY
    start = START + number * HOUR - (size - HOUR)
    if tests is None:
        tests = (voting_test(),) if state == "drift" else (voting_test(x=0.4),)
    return Verdict(
        model=model,
        window=window,
        start=start,
        end=start + size,
        revision=revision,
        state=State(state),
        reason=Unknown.NOT_ENOUGH_DATA if state == "unknown" else None,
        detail="missing(dep_delay) is far above the reference",
        rows=rows,
        coverage=coverage,
        p=0.001,
        statistic=21.0,
        alpha=0.0028,
        proven=True,
        reference=reference,
        reference_windows=700,
        windows_needed=360,
        tests=tuple(tests),
        scores={"age": {"psi": 0.31}},
        rules=rules,
        offsets={Source("predictions", 0): (812, 944), Source("predictions", 1): (7, 19)},
        versions={"7": rows} if versions is None else versions,
    )


def empty_ledger(model: str = "flights") -> Ledger:
    return Ledger(model, 1, {})


def with_entries(ledger: Ledger, entries: Sequence[Entry]) -> Ledger:
    """What a state log would return after `entries` were appended."""
    bodies = {kind: dict(found) for kind, found in ledger.entries.items()}
    for entry in entries:
        if entry.body is None:
            bodies.get(entry.kind, {}).pop(entry.id, None)
        else:
            bodies.setdefault(entry.kind, {})[entry.id] = entry.body
    return replace(ledger, entries=bodies)


def routes(
    *,
    alertmanager: str = "",
    pagerduty: str = "",
    target: str = "",
    severities: tuple[str, ...] = ("critical",),
) -> AlertsPlan:
    """Routes to loopback receivers; an empty URL leaves the integration out."""
    members = tuple(alertmanager.split(",")) if alertmanager else ()
    return AlertsPlan(
        alertmanager=AlertmanagerPlan(urls=members, http=LOOPBACK) if members else None,
        pagerduty=PagerDutyPlan(Secret("k" * 32), url=pagerduty, http=LOOPBACK, severities=severities)
        if pagerduty
        else None,
        targets={
            "pipeline": TargetPlan(
                "pipeline", "webhook", f"{target}/hooks/retrain", secrets=(Secret(SECRET),), http=LOOPBACK
            )
        }
        if target
        else {},
        external_url="https://driftline.example",
        source="https://driftline.example/prod",
    )


def live(
    ledger: Ledger,
    verdicts: Sequence[Verdict],
    model_plan: ModelPlan,
    alerts: AlertsPlan,
    *,
    now: int = START,
) -> tuple[Ledger, list[tuple[int, Kind]]]:
    """Run verdicts through track and intend as the evaluate loop does, one hour of wall time each."""
    kinds = []
    for number, one in enumerate(verdicts):
        transitions = track(latest_incidents(ledger.of("incident")), one, model_plan)
        intentions = intend(transitions, ledger, plan=model_plan, alerts=alerts, now=now + number * HOUR)
        ledger = with_entries(ledger, intentions.entries)
        kinds += [(number, transition.kind) for transition in transitions]
    return ledger, kinds
