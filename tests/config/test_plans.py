from __future__ import annotations

from collections.abc import Mapping

import pytest

from monitor.config.finding import Finding
from monitor.config.pane import PaneError, choose
from monitor.config.plans import build_plans, reference_paths
from monitor.config.values import TopicsPlan
from monitor.errors import ConfigError
from monitor.plan import Kind, ModelPlan, RawRule, Rule, RuleKind, TimeUnit, WindowSpec
from monitor.reference.profile import Reference
from tests.config.cases import HEAD, TAIL, categorical, numeric, reference_of, settings_of, vector, with_model

REFERENCE = reference_of(
    numeric("spend"),
    categorical("country", "DE", "FR"),
    numeric("age"),
    categorical("vip", kind=Kind.BOOLEAN),
    numeric("prediction", ("score",)),
)
HOUR, DAY = 3_600_000, 86_400_000


def model_of(lines: str = "", reference: Reference = REFERENCE) -> ModelPlan:
    return build_plans(settings_of(with_model(lines)), {"m": reference}).models[0]


def disagreements(
    lines: str, references: Mapping[str, Reference] | None = None
) -> list[tuple[str, str, str]]:
    """(code, path, suggestion) of what settings and reference do not agree in."""
    settings = settings_of(with_model(lines))
    with pytest.raises(ConfigError) as caught:
        build_plans(settings, {"m": REFERENCE} if references is None else references)
    found = [finding for finding in caught.value.findings if isinstance(finding, Finding)]
    assert all(finding.mark for finding in found)
    return [(f.code, f.path, f.suggestion) for f in found]


def test_features_are_those_of_the_reference_in_its_order() -> None:
    """Left out, features come whole from the reference; named, they get paths and contracts."""
    assert [f.name for f in model_of().features] == ["spend", "country", "age", "vip", "prediction"]
    plan = model_of(
        "features: {age: {path: features.age, range: [0, 120], nullable: false}, country: {allowed: [DE]}}"
    )
    assert [f.name for f in plan.features] == ["spend", "country", "age", "vip", "prediction"]
    age = plan.features[2]
    assert (age.path, age.kind, age.range, age.nullable) == (
        ("features", "age"),
        Kind.NUMERIC,
        (0.0, 120.0),
        False,
    )
    assert plan.features[0].path == ("spend",)
    assert plan.features[4].path == ("score",)


def test_contract_rules_have_a_stable_order() -> None:
    """Rules follow the features, whatever order the file has them in: null, range, category."""
    first = "features: {country: {allowed: [DE], nullable: false}, age: {range: [0, null], nullable: false}}"
    second = "features: {age: {nullable: false, range: [0, null]}, country: {nullable: false, allowed: [DE]}}"
    expected = (
        Rule("country", RuleKind.NULL),
        Rule("country", RuleKind.CATEGORY),
        Rule("age", RuleKind.NULL),
        Rule("age", RuleKind.RANGE),
    )
    assert model_of(first).rules == model_of(second).rules == expected


def test_disagreements_with_the_reference_come_at_once() -> None:
    """Features that it lacks or knows as another kind, and rules on features that nobody has."""
    found = disagreements(
        "features: {agee: {kind: numeric}, spend: {kind: categorical}, vip: {range: [0, 1]}}\n"
        "prediction: {path: score, kind: class}\nlabel: y\n"
        "rules: {r: psi(contry) > 1}\ntolerance: {psi(spent): 0.1}\n"
    )
    assert set(found) == {
        ("not-in-reference", "models.m.features.agee", "did you mean `age`?"),
        ("other-kind", "models.m.features.spend.kind", ""),
        ("bad-contract", "models.m.features.vip.range", ""),
        ("other-kind", "models.m.prediction.kind", ""),
        ("not-in-reference", "models.m.label", ""),
        ("unknown-feature", "models.m.rules.r.when", "did you mean `country`?"),
        ("unknown-feature", "models.m.tolerance.psi(spent)", "did you mean `spend`?"),
    }


def test_a_vector_has_the_length_of_the_reference() -> None:
    """The configuration may leave the length out or repeat it, and cannot contradict it."""
    known = {"m": reference_of(vector("e", 5))}
    for lines in ("", "features: {e: {path: x.e}}", "features: {e: {kind: vector, length: 5}}"):
        plan = build_plans(settings_of(with_model(lines)), known).models[0]
        assert (plan.features[0].kind, plan.features[0].length) == (Kind.VECTOR, 5)
    found = disagreements("features: {e: {kind: vector, length: 6}}", known)
    assert found == [("other-length", "models.m.features.e.length", "")]


def test_a_reference_that_was_not_read_is_an_error() -> None:
    """A model that names a reference is never planned without it, unless it is left out on purpose."""
    assert disagreements("", {}) == [("no-reference", "models.m.reference", "")]
    assert build_plans(settings_of(with_model("")), {}, without=["m"]).models == ()


def test_models_without_a_reference_are_planned_from_their_settings() -> None:
    """Their features are those of the file, in its order, then prediction and label."""
    text = with_model(
        "features: {b: {path: x.b, kind: numeric}, a: {path: a, kind: boolean}}\nprediction: p\n"
        "label: {path: y, kind: class}"
    ).replace("    reference: m.ref\n", "")
    plan = build_plans(settings_of(text), {}).models[0]
    assert [(f.name, f.path, f.kind) for f in plan.features] == [
        ("b", ("x", "b"), Kind.NUMERIC),
        ("a", ("a",), Kind.BOOLEAN),
        ("prediction", ("p",), Kind.NUMERIC),
        ("label", ("y",), Kind.CATEGORICAL),
    ]
    assert plan.reference == ""
    assert plan.config


def test_a_class_may_be_boolean() -> None:
    """A predicted class that the reference found to be true or false is no disagreement."""
    reference = reference_of(categorical("prediction", "false", "true", kind=Kind.BOOLEAN))
    assert model_of("prediction: {path: p, kind: class}", reference).features[0].kind is Kind.BOOLEAN


LIVE = [
    "budget: 9 per 30d",
    "min_records: 7",
    "allowed_lateness: 1m",
    "rules: {r: psi(age) > 1}",
    "runbook: https://x",
    "tolerance: {psi: 0.1}",
    "clear_after: 5",
    "champion: blue",
    "windows: {1h: {size: 1h}, 2h: {size: 2h, step: 1h}}",
    "detectors: [wasserstein]",
    "season: hour_of_day",
    "beside: [previous_window, {name: old, file: old.ref}]",
    "compat: [evidently, popmon]",
    "features: {age: {tolerance: {psi: 0.1}}}",
    "features: {age: {}}",
]
RESET = [
    "pane: 30s",
    "windows: {1m: {size: 1m, step: 30s}}",
    "features: {age: {path: x}}",
    "features: {age: {nullable: false}}",
    "features: {age: {range: [0, 1]}}",
    "features: {country: {allowed: [DE]}}",
    "prediction: other",
    "features: {age: {numbers_in_strings: true}}",
]


@pytest.mark.parametrize("lines", LIVE)
def test_what_leaves_counts_alone_keeps_the_digest(lines: str) -> None:
    """Thresholds, budgets, routes and windows of the same panes keep their sketches."""
    assert model_of(lines).config == model_of().config


@pytest.mark.parametrize("lines", RESET)
def test_what_counts_mean_changes_the_digest(lines: str) -> None:
    """Paths, contract rules and panes start new sketches."""
    assert model_of(lines).config != model_of().config


def test_the_digest_knows_the_bins_and_the_time() -> None:
    """Another reference or another event time is another meaning; the order of categories is not."""
    assert model_of(reference=reference_of(*REFERENCE.features, digest="e" * 64)).config != model_of().config
    bare = reference_of(*REFERENCE.features, digest="")
    assert model_of(reference=bare).config == model_of(reference=bare).config != model_of().config
    timed = with_model("").replace("s: {topic: t}", "s: {topic: t, fields: {time: ts}}")
    assert build_plans(settings_of(timed), {"m": REFERENCE}).models[0].config != model_of().config
    left, right = ("features: {country: {allowed: [DE, FR]}}", "features: {country: {allowed: [FR, DE]}}")
    assert model_of(left).config == model_of(right).config
    assert len(model_of().config) == 16


@pytest.mark.parametrize(
    ("spans", "pane"),
    [
        ([HOUR], 60_000),
        ([DAY], 300_000),
        ([DAY, HOUR], 60_000),
        ([300_000], 60_000),
        ([10_000], 10_000),
        ([30_000, 60_000], 30_000),
        ([2 * HOUR], 300_000),
        ([DAY, 7 * DAY], 300_000),
        ([70_000], 35_000),
        ([610_000], 10_000),
    ],
)
def test_the_pane_divides_everything(spans: list[int], pane: int) -> None:
    """The longest divisor: at most 5 min, 1 min for hourly and shorter windows, at least 10 s."""
    assert choose(spans) == pane
    assert all(span % pane == 0 for span in spans)


@pytest.mark.parametrize("spans", [[11_000, 60_000], [5_000], [10_500], [607_000, 1_000_000]])
def test_windows_without_a_common_pane_are_refused(spans: list[int]) -> None:
    """Below 10 s a pane would cost more than it tells."""
    with pytest.raises(PaneError):
        choose(spans)


def test_everything_of_a_model_arrives() -> None:
    """Windows, budget, rules, tolerances and retraining as plain values."""
    text = (
        with_model(
            "budget: 1 per 7d\nwindows: {d: {size: 24h, timezone: Europe/Berlin}, h: 1h}\nallowed_lateness: 10m\n"
            "min_records: 9\ntolerance: {psi: 0.02, ks: learn, 'missing(age)': 0.1}\nratio_tolerance: 1%\n"
            "detectors: [js]\nrules: {r: {when: psi(age) >= 25% for 3 windows, do: page}, s: p99(latency) > 200}\n"
            "retrain: {mode: auto, when: [drift for 5 windows, drift for 3 windows], cooldown: 1h, max_per_day: 2, "
            "min_records: 5, target: t}\nchampion: blue\nclear_after: 4\nrunbook: https://x"
        )
        + "targets: {t: {url: https://x.example, token: x}}\n"
    )
    plan = build_plans(settings_of(text), {"m": REFERENCE}).models[0]
    assert plan.windows == (WindowSpec("d", DAY, DAY, "Europe/Berlin"), WindowSpec("h", HOUR, HOUR, "UTC"))
    assert (plan.budget.pages, plan.budget.period, plan.lateness, plan.min_records) == (
        1.0,
        7 * DAY,
        600_000,
        9,
    )
    assert plan.tolerance == {"psi": 0.02, "missing(age)": 0.1}
    assert (plan.ratio_tolerance, plan.detectors, plan.champion, plan.clear_after) == (
        0.01,
        ("js",),
        "blue",
        4,
    )
    assert plan.raw_rules == (
        RawRule("r", "psi", "age", ">=", 0.25, 3, "page"),
        RawRule("s", "p99", "latency", ">", 200.0, 1, "ticket"),
    )
    retrain = plan.retrain
    assert (retrain.mode, retrain.windows, retrain.cooldown, retrain.max_per_day) == ("auto", 3, HOUR, 2)
    assert (retrain.min_records, retrain.target, plan.source, plan.pane) == (5, "t", "s", 60_000)


def test_what_windows_are_shown_beside_has_the_path_of_its_file() -> None:
    """Relative ones lie beside the configuration file; windows have none."""
    plan = model_of("beside: [previous_window, {name: old, file: /ref/old.ref}]")
    assert plan.beside == {"previous_window": "", "old": "/ref/old.ref"}


def test_a_season_gives_short_windows_a_time_zone() -> None:
    """Hours and days are those of the clock on the wall."""
    plan = model_of("season: hour_of_week\nwindows: {1h: {size: 1h, timezone: Europe/Berlin}}")
    assert (plan.season, plan.windows[0].timezone) == ("hour_of_week", "Europe/Berlin")
    assert model_of().season == "none"


def test_a_feature_may_learn_what_others_have_fixed() -> None:
    """A fixed tolerance with one feature that learns is written out for the others."""
    plan = model_of(
        "tolerance: {psi: 0.02}\nfeatures: {age: {tolerance: {psi: learn}}, spend: {tolerance: {psi: 0.5}}}"
    )
    assert "psi" not in plan.tolerance
    assert "psi(age)" not in plan.tolerance
    assert plan.tolerance["psi(spend)"] == 0.5
    assert plan.tolerance["psi(country)"] == plan.tolerance["psi(prediction)"] == 0.02


def test_sources_arrive() -> None:
    """Every part of a source, and the models it carries; sources without a model are not read."""
    text = """\
kafka: {brokers: "a:1,b:2", group: g, properties: {fetch.min.bytes: 1000, enable.x: true}}
sources:
  one:
    topic: t1
    fields: {id: id, time: {path: at, unit: rfc3339}, model: m.name, version: v, variant: w, latency: {path: l, unit: s},
             error: e}
    start: latest
    dead_letter: {to: topic, topic: dead, limit: 100%, over: 50, max_bytes: 1MiB}
    watermark_bound: 1s
    max_future: 2s
    max_ahead: 3d
    idle: 4s
    max_bytes: 2KiB
    max_depth: 5
  two: {topic: t2, dead_letter: {path: /x/y.jsonl}}
  three: {topic: t3}
models:
  a: {source: one, features: {f: {path: f, kind: numeric}}}
  b: {source: one, features: {f: {path: f, kind: numeric}}}
  c: {source: two, features: {f: {path: f, kind: numeric}}}
state: {dir: /state}
"""
    plans = build_plans(settings_of(text), {})
    one, two = plans.sources
    assert (one.name, one.topic, one.models, two.models) == ("one", "t1", ("a", "b"), ("c",))
    assert (one.id, one.time, one.time_unit, one.model) == (("id",), ("at",), TimeUnit.RFC3339, ("m", "name"))
    assert (one.version, one.variant, one.latency, one.latency_unit) == (
        ("v",),
        ("w",),
        ("l",),
        TimeUnit.SECONDS,
    )
    assert (one.error, one.start, one.max_bytes, one.max_depth) == (("e",), "latest", 2048, 5)
    assert (one.bound, one.max_future, one.max_ahead, one.idle) == (1000, 2000, 3 * DAY, 4000)
    assert (one.dead_letter.to, one.dead_letter.path, one.dead_letter.limit) == ("topic", "dead", 1.0)
    assert (two.dead_letter.to, two.dead_letter.path) == ("file", "/x/y.jsonl")
    assert (two.time, two.time_unit) == ((), TimeUnit.MILLISECONDS)
    assert plans.kafka.client() == {
        "bootstrap.servers": "a:1,b:2",
        "fetch.min.bytes": "1000",
        "enable.x": "true",
    }
    default = build_plans(settings_of(HEAD + TAIL), {}, without=["m"]).sources[0].dead_letter
    assert (default.path, default.limit) == ("driftline-state/dead-letters/s.jsonl", 0.05)


def test_outgoing_plans_arrive() -> None:
    """Alertmanagers may be private, targets may not; secrets stay wrapped, new before old."""
    signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    text = (
        HEAD
        + f"""\
alerts:
  alertmanager: {{urls: ["http://a:9093/"], bearer_token: b, timeout: 3s, resend: 2m, resolved_for: 1m, labels: {{c: d}}}}
  pagerduty: {{routing_key: {"k" * 32}, severity: [critical, warning], per_minute: 7}}
targets:
  t: {{url: https://x.example, secret: {signing}, old_secret_file: /old, headers: {{X-A: b}}, timeout: 5s,
      allow_private: [10.0.0.0/8], ca_file: /ca.pem}}
web: {{listen: "[::1]:99", external_url: https://d.example/, enable_lifecycle: true, token: w, route_prefix: d/}}
metrics: {{per_feature: all, top_k: 3, max_series: 4}}
log: {{format: json, level: warning}}
memory: {{max: 64MiB}}
state: {{dir: /s, checkpoint_every: 1s, stall: 3s, max_hold: 4s}}
"""
    )
    plans = build_plans(settings_of(text), {}, without=["m"])
    members, pager, target = plans.alerts.alertmanager, plans.alerts.pagerduty, plans.alerts.targets["t"]
    assert members is not None
    assert pager is not None
    assert (members.urls, members.bearer.reveal(), members.resend) == (("http://a:9093",), "b", 120_000)
    assert (members.resolved_for, members.labels, members.http.timeout) == (60_000, {"c": "d"}, 3.0)
    assert members.http.insecure_http
    assert "10.0.0.0/8" in members.http.allow_private
    assert (pager.routing_key.reveal(), pager.severities, pager.per_minute) == (
        "k" * 32,
        ("critical", "warning"),
        7,
    )
    assert pager.http.allow_private == ()
    assert ([s.file or s.value for s in target.secrets], target.http.timeout) == ([signing, "/old"], 5.0)
    assert (target.http.allow_private, target.http.ca_file, target.headers) == (
        ("10.0.0.0/8",),
        "/ca.pem",
        {"X-A": "b"},
    )
    assert not target.http.insecure_http
    assert plans.alerts.external_url == plans.web.external_url == "https://d.example"
    assert (plans.web.host, plans.web.port, plans.web.route_prefix, plans.web.token.reveal()) == (
        "::1",
        99,
        "/d",
        "w",
    )
    assert (plans.metrics.per_feature, plans.metrics.top_k, plans.metrics.max_series) == ("all", 3, 4)
    assert (plans.log.format, plans.log.level, plans.memory) == ("json", "warning", 64 << 20)
    state = plans.state
    assert (state.dir, state.checkpoint, state.stall, state.max_hold) == (
        "/s",
        1000,
        3000,
        4000,
    )


def test_a_shared_state_has_topics_and_its_rejects_too() -> None:
    """A replica's disk goes with it; what is written explicitly stands."""
    text = (
        with_model("")
        + "state: {log: kafka, kafka: {prefix: p, partitions: 3, model_partitions: 2, replication: 1}}\n"
    )
    plans = build_plans(settings_of(text), {}, without=["m"])
    assert plans.state.kafka == TopicsPlan("p", 3, 2, 1)
    assert {(s.dead_letter.to, s.dead_letter.path) for s in plans.sources} == {("topic", "p.dlq")}


def test_references_lie_beside_the_file_that_names_them() -> None:
    """Relative to the configuration file; to the working directory for stdin."""
    assert {name: str(path) for name, path in reference_paths(settings_of(with_model(""))).items()} == {
        "m": "m.ref"
    }
