from __future__ import annotations

import pytest

from tests.config.cases import HEAD, TAIL, findings_of, settings_of, with_model

SOURCE_CASES = [
    ("s: {topic: t, format: avro}", "not-supported", "sources.s.format"),
    ("s: {topic: 'a b'}", "bad-topic", "sources.s.topic"),
    ("s: {}", "missing-key", "sources.s.topic"),
    ("s: {topic: t, fields: {time: {path: ts, unit: minutes}}}", "bad-value", "sources.s.fields.time.unit"),
    ("s: {topic: t, fields: {time: {unit: ms}}}", "missing-key", "sources.s.fields.time.path"),
    (
        "s: {topic: t, fields: {latency: {path: l, unit: rfc3339}}}",
        "bad-value",
        "sources.s.fields.latency.unit",
    ),
    ("s: {topic: t, dead_letter: {to: topic, topic: t}}", "topic-loop", "sources.s.topic"),
    ("s: {topic: t, dead_letter: {limit: 5}}", "bad-share", "sources.s.dead_letter.limit"),
    ("s: {topic: t, start: now}", "bad-value", "sources.s.start"),
    ("s: {topic: t, max_depth: 0}", "out-of-range", "sources.s.max_depth"),
]


@pytest.mark.parametrize(("text", "code", "path"), SOURCE_CASES)
def test_every_error_of_a_source(text: str, code: str, path: str) -> None:
    """Code and path of one error in a source."""
    found = findings_of(HEAD.replace("s: {topic: t}", text) + TAIL)
    assert [(f.code, f.path) for f in found] == [(code, path)]


def test_sources_that_exclude_each_other() -> None:
    """Two sources of one topic, two models that cannot be told apart, a model that names no source."""
    twice = HEAD.replace("  s: {topic: t}", "  s: {topic: t}\n  u: {topic: t}") + "    source: s\n"
    assert [f.code for f in findings_of(twice)] == ["duplicate-topic"]
    several = HEAD.replace("  s: {topic: t}", "  s: {topic: t}\n  u: {topic: t2}")
    assert [(f.code, f.path) for f in findings_of(several)] == [("missing-key", "models.m.source")]
    both = HEAD + "  n: {reference: n.ref}\n"
    assert [(f.code, f.path) for f in findings_of(both)] == [("ambiguous-model", "sources.s.fields")]


def test_labels_of_two_models_on_one_topic_name_their_model() -> None:
    """Else each would be joined with the labels of both: refused, with both ways out."""
    sources = "".join(f"  {name}: {{topic: {name}, fields: {{id: id}}}}\n" for name in "abo")
    own = "features: {x: {path: x, kind: numeric}}, prediction: {path: p, kind: score}, labels: {source: o, path: y}"
    models = "".join(f"  {name}: {{source: {source}, {own}}}\n" for name, source in (("k", "a"), ("l", "b")))
    text = f'version: 1\nkafka: {{brokers: ["localhost:9092"]}}\nsources:\n{sources}models:\n{models}'
    found = [f for f in findings_of(text) if f.code == "ambiguous-model"]
    assert [f.path for f in found] == ["sources.o.fields"]
    assert "carries labels of 2 models (k, l)" in found[0].text
    assert "fields: {model: model}; or give the labels of each a topic" in found[0].help
    named = text.replace("o: {topic: o, fields: {id: id}}", "o: {topic: o, fields: {id: id, model: model}}")
    assert settings_of(named).sources["o"].fields.model


def test_properties_that_driftline_owns() -> None:
    """Offsets, groups and brokers are ours to set; a secret stands in one place and is one thing."""

    def with_kafka(text: str) -> str:
        return (HEAD + TAIL).replace('["localhost:9092"]', f'["localhost:9092"], {text}')

    for key in ("group.id", "bootstrap.servers", "enable.auto.commit", "auto.offset.reset"):
        assert [f.code for f in findings_of(with_kafka(f"properties: {{{key}: x}}"))] == ["owned-property"]
    assert [f.code for f in findings_of(with_kafka("secret_properties: {a: {}}"))] == ["missing-value"]
    (found,) = findings_of(with_kafka("properties: {group.protocol: consumr}"))
    assert (found.code, "consumer" in found.suggestion) == ("bad-value", True)
    newer = with_kafka("properties: {group.protocol: consumer, session.timeout.ms: 6000}")
    assert [(f.code, f.path) for f in findings_of(newer)] == [
        ("conflict", 'kafka.properties["session.timeout.ms"]')
    ]
    for protocol in ("classic", "auto"):
        assert settings_of(newer.replace("protocol: consumer", f"protocol: {protocol}"))
    both = with_kafka("properties: {a: b}, secret_properties: {a: c}")
    assert [f.code for f in findings_of(both)] == ["conflict"]
    for broken in ("localhost", "a:0", "a:99999", ":9092", "a:b"):
        assert [f.code for f in findings_of((HEAD + TAIL).replace("localhost:9092", broken))] == [
            "bad-address"
        ]


@pytest.mark.parametrize("brokers", ["brokers: []", "brokers: [nowhere]", "", "brokers: {}"])
def test_brokers_that_are_none_hide_nothing_beside_them(brokers: str) -> None:
    """What else is wrong in their section, and in all others, is told at once."""
    rest = "properties: {group.id: x}, secret_properties: {a: {}}"
    text = (HEAD + TAIL).replace(
        '{brokers: ["localhost:9092"]}', f"{{{', '.join(filter(None, [brokers, rest]))}}}"
    )
    found = findings_of(text.replace("s: {topic: t}", "s: {topic: 'a b'}"))
    assert {f.path for f in found if f.path.startswith("kafka.")} == {
        "kafka.brokers",
        'kafka.properties["group.id"]',
        "kafka.secret_properties.a",
    }
    assert "sources.s.topic" in {f.path for f in found}


def test_models_without_a_reference_say_what_they_watch() -> None:
    """Without a reference, features need a path and a kind, and rules may only name them."""
    text = with_model("features: {a: {}}\nrules: {r: psi(b) > 1}").replace("    reference: m.ref\n", "")
    found = {(f.code, f.path) for f in findings_of(text)}
    assert found == {
        ("missing-key", "models.m.features.a.path"),
        ("missing-key", "models.m.features.a.kind"),
        ("unknown-feature", "models.m.rules.r.when"),
    }
    nothing = with_model("budget: 1 per 30d").replace("    reference: m.ref\n", "")
    assert [f.code for f in findings_of(nothing)] == ["missing-key"]
    text = with_model("features: {a: {path: a, kind: numeric}}\nbeside: [previous_window]")
    (finding,) = findings_of(text.replace("    reference: m.ref\n", ""))
    assert (finding.code, finding.path) == ("bad-beside", "models.m.beside")


def test_pagerduty_and_alertmanager() -> None:
    """A key of 32 characters, no address twice with two kinds of authentication, no API path."""

    def with_alerts(text: str) -> str:
        return HEAD + f"alerts: {{{text}}}\n"

    cases = [
        ("pagerduty: {routing_key: short}", "bad-secret"),
        ("pagerduty: {}", "missing-key"),
        ("pagerduty: {routing_key_file: f, severity: [info]}", "bad-value"),
        ("pagerduty: {routing_key_file: f, severity: []}", "missing-value"),
        ("alertmanager: {urls: []}", "missing-value"),
        ("alertmanager: {urls: ['http://a:9093/api/v2/alerts']}", "bad-url"),
        ("alertmanager: {urls: ['http://u:p@a:9093']}", "bad-url"),
        ("alertmanager: {urls: ['http://a:9093'], username: u}", "missing-key"),
        ("alertmanager: {urls: ['http://a:9093'], password: p, password_file: f, username: u}", "conflict"),
        ("alertmanager: {urls: ['http://a:9093'], labels: {a-b: c}}", "bad-name"),
        ("slack: {}", "not-supported"),
    ]
    for text, code in cases:
        assert [f.code for f in findings_of(with_alerts(text))] == [code], text


def test_all_errors_come_at_once() -> None:
    """Structure, substitution, YAML and cross checks are all reported, in the order of the lines."""
    text = """\
version: 2
kafka: {brokers: ["${env:NONE}"], grup: x}
sources:
  s: {topic: t, max_bytes: big}
models:
  m:
    source: x
    budget: much
    budget: more
    windows: {1h: {sise: 5m}}
    retrain: {mode: auto, target: t}
  n: {reference: n.ref}
targets:
  t: {url: http://10.0.0.1}
"""
    found = findings_of(text)
    assert [(f.code, f.mark.line if f.mark else 0) for f in found] == [
        ("bad-version", 1),
        ("unset-variable", 2),
        ("unknown-key", 2),
        ("bad-size", 4),
        ("unknown-source", 7),
        ("bad-budget", 8),
        ("duplicate-key", 9),
        ("missing-key", 10),
        ("unknown-key", 10),
        ("insecure-url", 14),
        ("private-address", 14),
    ]


def test_missing_parts_are_named_with_an_example() -> None:
    """A file without kafka, sources and models says what they are."""
    found = findings_of("version: 1\n")
    assert {f.path for f in found} == {"kafka", "sources", "models"}
    assert all("For example" in f.help for f in found)


def test_warnings_do_not_stop() -> None:
    """What is doubtful is told, and the settings are used."""
    settings = settings_of(
        HEAD.replace("s: {topic: t}", "s: {topic: t}\n  u: {topic: t2}") + "    source: s\n"
    )
    assert {(w.code, w.path) for w in settings.warnings} == {("unused", "sources.u"), ("no-alerts", "")}
    assert not any(w.is_error for w in settings.warnings)


@pytest.mark.parametrize("name", ["no-such-file.yaml", "\0"])
def test_files_that_cannot_be_read(name: str) -> None:
    """A missing file is a finding like any other."""
    from monitor.config.load import load
    from monitor.errors import ConfigError

    with pytest.raises(ConfigError) as caught:
        load([name], environ={})
    assert "unreadable-file" in str(caught.value)


EDGES = [
    # (text after HEAD and TAIL, code): what is rare, and must be said all the same
    ("metrics: {max_series: 9999999999999999999999}", "bad-value"),
    ('state: {dir: "a\\0b"}', "bad-value"),
    ("state: {stall: {a: 1}}", "wrong-type"),
    ("state: {dir: [a]}", "wrong-type"),
    ("web: {token: ''}", "bad-value"),
    ("web: {external_url: 'https://h:99999999/'}", "bad-url"),
    ("web: {external_url: 'https://[::1/'}", "bad-url"),
]


@pytest.mark.parametrize(("text", "code"), EDGES)
def test_rare_mistakes(text: str, code: str) -> None:
    """Numbers beyond 62 bits, NUL characters, maps for texts and broken hosts have findings of their own."""
    assert [f.code for f in findings_of(HEAD + TAIL + text + "\n")] == [code]


def test_whole_numbers_may_be_written_as_floats() -> None:
    """1e3 is a thousand, where a whole number is expected; 0.5 % of a number is one too."""
    settings = settings_of(HEAD + TAIL + "metrics: {max_series: 1e3}\n")
    assert settings.metrics.max_series == 1000
    assert settings_of(with_model("tolerance: {psi: 2%}")).models["m"].tolerance == {"psi": 0.02}


WARNINGS = [
    (
        "features: {c: {kind: categorical, allowed: [a, b, a]}}",
        "duplicate-category",
        "models.m.features.c.allowed[2]",
    ),
    ("retrain: {mode: suggest}", "no-target", "models.m.retrain.mode"),
]


@pytest.mark.parametrize(("text", "code", "path"), WARNINGS)
def test_doubts_about_a_model(text: str, code: str, path: str) -> None:
    """Doubtful, not wrong: the settings are used."""
    assert [(w.code, w.path) for w in settings_of(with_model(text)).warnings] == [(code, path)]


def test_doubts_about_what_goes_out() -> None:
    """Addresses that stand twice, keys without TLS, unsigned requests, paths without effect."""
    text = (
        HEAD.replace("{topic: t}", "{topic: t, dead_letter: {to: count, path: x, topic: y}}")
        + f"""\
alerts:
  alertmanager: {{urls: ["http://a:9093", "http://a:9093"]}}
  pagerduty: {{routing_key: {"k" * 32}, url: http://events.example}}
targets: {{t: {{url: https://x.example}}}}
"""
    )
    assert [w.code for w in settings_of(text).warnings] == [
        "unused", "unused", "duplicate-url", "insecure-url", "unsigned", "unused"
    ]  # fmt: skip


def test_conflicts_of_authentication_and_tolerance() -> None:
    """Two ways to log in, a feature's tolerance for another feature, a feature that nobody has."""
    both = (
        HEAD + "alerts: {alertmanager: {urls: ['http://a:1'], username: u, password: p, bearer_token: b}}\n"
    )
    assert [f.code for f in findings_of(both)] == ["conflict"]
    other = with_model("features: {a: {tolerance: {psi(b): 1}}}")
    assert [(f.code, f.path) for f in findings_of(other)] == [
        ("bad-test", "models.m.features.a.tolerance.psi(b)")
    ]
    nobody = with_model("features: {a: {path: a, kind: numeric}}\ntolerance: {psi(b): 1}")
    found = findings_of(nobody.replace("    reference: m.ref\n", ""))
    assert [(f.code, f.path) for f in found] == [("unknown-feature", "models.m.tolerance.psi(b)")]
    owned = (HEAD + TAIL).replace(
        '["localhost:9092"]', '["localhost:9092"], secret_properties: {group.id: x}'
    )
    assert [f.code for f in findings_of(owned)] == ["owned-property"]


def test_a_document_of_nothing_lacks_everything() -> None:
    """`---` alone is an empty configuration; a list of properties is no mapping."""
    assert {f.path for f in findings_of("---\n")} == {"kafka", "sources", "models"}
    text = (HEAD + TAIL).replace('["localhost:9092"]', '["localhost:9092"], properties: [a]')
    assert [f.code for f in findings_of(text)] == ["wrong-type"]


def test_placeholders_in_folded_texts() -> None:
    """Where the text of the file is not the text of the value, the caret covers all of it."""
    (finding,) = findings_of(with_model("runbook: >-\n      a\n      ${env:NONE}"))
    assert finding.code == "unset-variable"
    assert finding.mark is not None
    assert finding.mark.line == 8


def test_files_of_absurd_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond the limit is named as such."""
    import monitor.config.load as module

    monkeypatch.setattr(module, "MAX_FILE", 100)
    assert "yaml-size" in {f.code for f in findings_of(HEAD + TAIL)}
