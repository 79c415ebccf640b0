"""A view as a busy daemon would show it; what the web tests and the screenshots are made from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kernels.layout import FIRST_BIN, LATENCY_BINS
from monitor.incident.model import Closed, Incident, Severity, Status, Streak, evidence_of, incident_id
from monitor.judge.kept import Kept
from monitor.names import REASONS, Source
from monitor.plan import Budget, FeaturePlan, Kind, ModelPlan, RetrainPlan, WindowSpec
from monitor.reference.profile import FeatureProfile, Panes, Reference
from monitor.state.log import Progress
from monitor.verdict import State, Test, Unknown, Verdict, Window
from monitor.view import ModelView, View
from tests.web.asked import request, started
from tests.web.diagnosis import DIAGNOSIS

HOUR = 3_600_000
DAY = 24 * HOUR
NOW = 1_795_380_000_000
"""2026-11-22T20:00:00Z."""

HOSTILE = 'x"><script>alert(1)</script>\n{{7*7}} \\'
"""A feature's name as an attacker would choose it."""

NUMERIC = ("age", "tenure_months", "amount_eur", "sessions_7d", "score_v2", "prediction")
CATEGORICAL = {
    "country": ("DE", "FR", "IT", "ES", "NL", "PL"),
    "device": ("ios", "android", "web"),
    "plan": ("a", "b"),
}


def numeric(name: str, rng: np.random.Generator) -> FeatureProfile:
    """A profile with 256 quantile bins of a skewed sample."""
    sample = rng.gamma(3.0, 12.0, 20_000)
    edges = np.unique(np.quantile(sample, np.linspace(0, 1, 257)))
    edges[-1] = np.nextafter(edges[-1], np.inf)
    bins = len(edges) - 1
    return FeatureProfile(
        name=name,
        path=("features", name),
        kind=Kind.NUMERIC,
        edges=edges,
        coarse=(np.arange(bins) * 20 // bins).astype(np.int16),
        categories=(),
        center=float(np.median(sample)),
        scale=20.0,
        minimum=float(sample.min()),
        maximum=float(sample.max()),
        mean=float(sample.mean()),
        std=float(sample.std()),
        iqr=20.0,
    )


def categorical(name: str, categories: tuple[str, ...]) -> FeatureProfile:
    return FeatureProfile(
        name=name,
        path=("features", name),
        kind=Kind.CATEGORICAL,
        edges=np.empty(0),
        coarse=np.empty(0, np.int16),
        categories=categories,
        center=0.0,
        scale=1.0,
        minimum=0.0,
        maximum=0.0,
        mean=0.0,
        std=0.0,
        iqr=0.0,
    )


def profiles(names: tuple[str, ...], categories: dict[str, tuple[str, ...]]) -> tuple[FeatureProfile, ...]:
    rng = np.random.default_rng(7)
    return (
        *(numeric(name, rng) for name in names),
        *(categorical(name, values) for name, values in categories.items()),
    )


def counts(features: tuple[FeatureProfile, ...], rows: int, *, drift: bool, seed: int) -> np.ndarray:
    """Counts of every slot; with drift the first feature is half missing, the second shifted."""
    rng = np.random.default_rng(seed)
    parts = []
    for index, profile in enumerate(features):
        slots = np.zeros(profile.slots, np.int64)
        values = profile.slots - FIRST_BIN - (profile.kind is Kind.NUMERIC)
        weights = np.ones(values)
        if profile.kind is not Kind.NUMERIC:
            weights = 1.0 / np.arange(1, values + 1)
        missing = 0.02
        if drift and index == 0:
            missing = 0.57
        if drift and index == 1:
            weights = np.linspace(0.2, 2.4, values) ** 2
        slots[0] = round(missing * rows)
        slots[FIRST_BIN : FIRST_BIN + values] = rng.multinomial(rows - slots[0], weights / weights.sum())
        if drift and profile.name == "country":
            slots[1] = slots[FIRST_BIN] // 3
            slots[FIRST_BIN] -= slots[1]
        parts.append(slots)
    return np.concatenate(parts)


def reference(model: str, features: tuple[FeatureProfile, ...], *, rows: int = 1_204_113) -> Reference:
    empty = np.empty(0, np.int64)
    return Reference(
        model=model,
        name="train-2026-10",
        created=NOW - 20 * DAY,
        origin={"file": "train.parquet"},
        features=features,
        panes=Panes(
            empty, np.zeros(1, np.int64), np.empty(0, np.int32), empty, empty, empty,
            np.zeros(1, np.int64), np.empty(0, np.int32), empty,
        ),
        pane=60_000,
        timed=True,
        rows=rows,
        errors=310,
        counts=counts(features, rows, drift=False, seed=1),
        latency=np.zeros(LATENCY_BINS, np.int64),
        digest="sha256:4b1d9c",
    )  # fmt: skip


def plan(
    name: str, features: tuple[FeatureProfile, ...], *, windows: tuple[str, ...] = ("1h", "1d")
) -> ModelPlan:
    sizes = {"1h": HOUR, "1d": DAY}
    return ModelPlan(
        name=name,
        source="predictions",
        features=tuple(FeaturePlan(one.name, one.path, one.kind) for one in features),
        rules=(),
        windows=tuple(WindowSpec(window, sizes[window], sizes[window]) for window in windows),
        pane=60_000,
        budget=Budget(2, 30 * DAY),
        config="c0ffee",
        retrain=RetrainPlan(mode="suggest", target="airflow"),
        runbook="https://runbooks.example/churn",
    )


def window(
    model: str, name: str, features: tuple[FeatureProfile, ...], *, drift: bool, rows: int = 48_210
) -> Window:
    size = HOUR if name == "1h" else DAY
    return Window(
        model=model,
        name=name,
        start=NOW - size,
        end=NOW,
        rows=rows,
        errors=12,
        counts=counts(features, rows, drift=drift, seed=2),
        sums=np.zeros((1, 3), np.int64),
        extremes=np.zeros((1, 2)),
        latency=np.zeros(LATENCY_BINS, np.int64),
        violations=np.zeros(0, np.int64),
        rejects=np.zeros(len(REASONS), np.int64),
        offsets=OFFSETS,
        versions={"7": rows},
    )


OFFSETS = {Source("predictions", 0): (81_234, 105_339), Source("predictions", 1): (80_110, 104_214)}


def a_test(feature: str, kind: str, x: float, *, state: State = State.OK) -> Test:
    return Test(
        feature=feature,
        test=kind,
        score=0.0261 * x,
        threshold=0.0261,
        x=x,
        p=min(1.0, 10.0 ** (-6 * (x - 0.6))) if x > 0.6 else 0.4,
        n=48_210.0,
        m=1_204_113.0,
        tolerance=0.01,
        effect=0.0261 * x,
        state=state,
    )


def verdict(model: str, name: str, tests: tuple[Test, ...], *, state: State, detail: str, **more) -> Verdict:
    size = HOUR if name == "1h" else DAY
    values = {
        "reason": None,
        "rows": 48_210,
        "coverage": 1.0,
        "p": 0.0014 if state is State.DRIFT else 0.41,
        "statistic": tests[0].x if tests else 0.0,
        "alpha": 0.0028,
        "proven": True,
        "reference": "train-2026-10",
        "reference_windows": 744,
        "windows_needed": 359,
        "offsets": OFFSETS,
        "versions": {"7": 48_210},
        "scores": {
            test.feature: {"psi": 0.0261 * test.x, "ks": 0.02 * test.x, "js": 0.01 * test.x}
            | ({"mmd": 0.01 * test.x} if test.feature == "score_v2" else {})
            for test in tests
            if test.feature not in {"latency", "error"}
        },
    }
    return Verdict(
        model=model, window=name, start=NOW - size, end=NOW, revision=0, state=state, detail=detail,
        tests=tests, **(values | more),
    )  # fmt: skip


def incident(model: str, *, state: str = "firing", age: int = HOUR, cause: str = "missing(age)") -> dict:
    """The body of a ledger entry, as the incident machine writes it."""
    opened = NOW - age
    tests = (a_test("age", "missing", 21.4, state=State.DRIFT),)
    detail = "57.0 % of 48 210 rows miss age; the reference has 2.0 %."
    return Incident(
        id=incident_id(model, "", "drift", opened),
        model=model,
        segment="",
        rule="drift",
        severity=Severity.CRITICAL,
        state=Status(state),
        opened=opened,
        onset=opened - HOUR,
        last=opened,
        updated=NOW,
        window="1h",
        cause=cause,
        causes=(cause, "psi(tenure_months)", "novel(country)"),
        streaks={"1h": Streak(drifting=2, clear=0, end=NOW)},
        reference="train-2026-10",
        versions=("7",),
        evidence=evidence_of(
            verdict(model, "1h", tests, state=State.DRIFT, detail=detail, diagnosis=DIAGNOSIS)
        ),
        closed_because="" if state == "firing" else str(Closed.RECOVERED),
    ).to_json()


def drifting() -> ModelView:
    features = profiles(NUMERIC, CATEGORICAL)
    tests = (
        a_test("age", "missing", 21.4, state=State.DRIFT),
        a_test("tenure_months", "psi", 9.8, state=State.DRIFT),
        a_test("tenure_months", "ks", 6.1, state=State.DRIFT),
        a_test("country", "novel", 1.7, state=State.DRIFT),
        a_test("amount_eur", "psi", 0.82, state=State.OK),
        a_test("sessions_7d", "psi", 0.64),
        a_test("latency", "latency", 0.51),
        a_test("device", "g", 0.44),
        a_test("score_v2", "ks", 0.37),
        a_test("prediction", "psi", 0.31),
        a_test("plan", "g", 0.12),
        a_test("error", "error", 0.05),
    )
    name = "churn"
    latest = {
        "1h": verdict(
            name, "1h", tests, state=State.DRIFT, diagnosis=DIAGNOSIS,
            detail="57.0 % of 48 210 rows miss age (2.0 % in the reference); tenure_months and country moved with it.",
        ),
        "1d": verdict(name, "1d", tests[4:], state=State.OK, detail="No feature moved beyond its tolerance."),
    }  # fmt: skip
    quiet = verdict(name, "1h", tests[4:], state=State.OK, detail="No feature moved.")
    history = tuple(
        Kept.of(replace(quiet, start=NOW - (k + 1) * HOUR, end=NOW - k * HOUR)) for k in range(24, 0, -1)
    )
    return ModelView(
        plan=plan(name, features),
        reference=reference(name, features),
        latest=latest,
        alarms={
            "1d": replace(latest["1d"], early=True, end=NOW + HOUR, onset=NOW - HOUR, detail="age changed.")
        },
        windows={
            "1h": window(name, "1h", features, drift=True),
            "1d": window(name, "1d", features, drift=False, rows=1_101_880),
        },
        history=(*history, Kept.of(latest["1h"])),
        incidents=(incident(name), incident(name, state="resolved", age=9 * DAY, cause="psi(amount_eur)")),
        retrains=(request(name, NOW - HOUR // 2), started(name, NOW - HOUR)),
        closed={"1h": 401, "1d": 16},
        skipped={("1h", "not_enough_data"): 3},
        pages_sent=1,
        pages_expected=0.37,
        early_expected=0.07,
        watermark=NOW - 31_000,
    )


def calm(name: str = "fraud", *, state: State = State.OK) -> ModelView:
    features = profiles(NUMERIC[:3], {"country": CATEGORICAL["country"]})
    x = 0.9 if state is State.OK else 1.2
    tests = (
        a_test("amount_eur", "psi", x, state=state),
        a_test("age", "ks", 0.41),
        a_test("country", "g", 0.2),
    )
    detail = (
        "No feature moved beyond its tolerance."
        if state is State.OK
        else "amount_eur moves (PSI 0.031), within the budget of pages."
    )
    return ModelView(
        plan=plan(name, features, windows=("1h",)),
        reference=reference(name, features, rows=88_000),
        latest={"1h": verdict(name, "1h", tests, state=state, detail=detail)},
        windows={"1h": window(name, "1h", features, drift=False)},
        closed={"1h": 401},
        pages_expected=0.4,
        watermark=NOW - 45_000,
    )


def blind() -> ModelView:
    features = profiles(("age",), {})
    nothing = verdict(
        "pricing", "1d", (), state=State.UNKNOWN, detail="1 240 more rows are needed: 310 of 1 550.",
        reason=Unknown.NOT_ENOUGH_DATA, rows=310, proven=False, reference_windows=12, windows_needed=359,
    )  # fmt: skip
    return ModelView(
        plan=plan("pricing", features, windows=("1d",)),
        reference=reference("pricing", features, rows=4000),
        latest={"1d": nothing},
        skipped={("1d", "not_enough_data"): 4},
        closed={"1d": 4},
        blind_since=NOW - 2 * DAY,
        watermark=NOW - HOUR,
    )


def new() -> ModelView:
    """A model without a reference, before its first window."""
    return ModelView(plan=plan("ranking", (), windows=("1h",)), reference=None)


def hostile() -> ModelView:
    """A model whose feature has a name that would be markup."""
    features = profiles((HOSTILE,), {})
    tests = (a_test(HOSTILE, "psi", 3.0, state=State.DRIFT),)
    return ModelView(
        plan=plan("upload", features, windows=("1h",)),
        reference=reference("upload", features),
        latest={"1h": verdict("upload", "1h", tests, state=State.DRIFT, detail=f"{HOSTILE} moved.")},
        windows={"1h": window("upload", "1h", features, drift=False)},
        incidents=(incident("upload", cause=f"psi({HOSTILE})"),),
    )


def partitions() -> tuple[Progress, ...]:
    seen = {"watermark": NOW - 31_000, "observed": NOW - 900}
    return (
        Progress(Source("predictions", 0), 105_340, 105_352, idle=False, paused="", **seen),
        Progress(Source("predictions", 1), 104_215, 104_215, idle=True, paused="", **seen),
        Progress(
            Source("predictions", 2), 99_001, 131_870, watermark=NOW - 2 * HOUR, idle=False,
            paused="rejects are 61 % of the last 1 000 records, the limit is 5 %", observed=NOW - 900,
        ),
    )  # fmt: skip


def view(*models: ModelView) -> View:
    return View(
        version="0.1.0",
        started=NOW - 3 * DAY,
        now=NOW,
        ready=True,
        ready_reason="",
        models=models or (calm(), new(), drifting(), calm("basket", state=State.WARN), blind()),
        partitions=partitions(),
        undescribed={"predictions": False},
        outbox={"alertmanager": 0, "pagerduty": 1, "webhook": 0},
        config_redacted="version: 1\nalerts:\n  pagerduty: {routing_key: <secret>}\n",
        config_loaded=NOW - 3 * DAY,
        checkpoint_last=NOW - 4000,
        checkpoint_bytes=812_333,
    )
