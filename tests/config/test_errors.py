from __future__ import annotations

import pytest

from tests.config.cases import HEAD, TAIL, findings_of, settings_of, with_model

ROOT_CASES = [
    # (text after HEAD and TAIL, code, path, what the caret is under, what the text, suggestion or help says)
    ("kafak: {}", "unknown-key", "kafak", "kafak", "`kafka`"),
    ("web: {listn: ':1'}", "unknown-key", "web.listn", "listn", "`listen`"),
    ("mlflow: {}", "not-supported", "mlflow", "mlflow", "not supported by this version"),
    ("state: {log: kafkaa}", "bad-value", "state.log", "kafkaa", "`kafka`"),
    ("state: {kafka: {prefix: 'a b'}}", "bad-topic", "state.kafka.prefix", "'a b'", "letters"),
    ("state: {kafka: {partitions: 0}}", "out-of-range", "state.kafka.partitions", "0", "between 1"),
    ("state: {emit_every: 30s}", "not-supported", "state.emit_every", "emit_every", "remove the line"),
    ("state: {checkpoint_every: 10}", "bad-duration", "state.checkpoint_every", "10", "10s"),
    ("state: {checkpoint_every: 5ms}", "out-of-range", "state.checkpoint_every", "5ms", "between 1s and 30d"),
    ("state: {dir: }", "wrong-type", "state.dir", "dir", "got nothing"),
    ("state: 5", "wrong-type", "state", "5", "expected a mapping"),
    ("memory: {max: 12 parsecs}", "bad-size", "memory.max", "12 parsecs", "64MiB"),
    ("memory: {max: 1KiB}", "out-of-range", "memory.max", "1KiB", "16MiB"),
    ("metrics: {per_feature: some}", "bad-value", "metrics.per_feature", "some", "top, all, none"),
    ("metrics: {top_k: many}", "wrong-type", "metrics.top_k", "many", "whole number"),
    ("metrics: {top_k: 1.5}", "wrong-type", "metrics.top_k", "1.5", "whole number"),
    ("metrics: {top_k: 0}", "out-of-range", "metrics.top_k", "0", "between 1"),
    ("metrics: {top_k: true}", "wrong-type", "metrics.top_k", "true", "whole number"),
    ("web: {listen: 8710}", "bad-address", "web.listen", "8710", "127.0.0.1:8710"),
    ("web: {listen: ':99999'}", "bad-address", "web.listen", "':99999'", ":8710"),
    ("web: {enable_lifecycle: yes}", "wrong-type", "web.enable_lifecycle", "yes", "`true`"),
    ("web: {external_url: driftline}", "bad-url", "web.external_url", "driftline", "https://host"),
    ("web: {external_url: 'https://h:0/'}", "bad-url", "web.external_url", "'https://h:0/'", "https://host"),
    ("web: {route_prefix: 'a b'}", "bad-value", "web.route_prefix", "'a b'", "/driftline"),
    ("web: {tls: {}}", "not-supported", "web.tls", "tls", "TLS"),
    ("backend: gpus", "bad-value", "backend", "gpus", "`gpu`"),
    ("log: {level: verbose}", "bad-value", "log.level", "verbose", "debug"),
    ("log: {format: jsno}", "bad-value", "log.format", "jsno", "`json`"),
    ("log: [info]", "wrong-type", "log", "log", "expected a mapping, got a list"),
    (
        "targets: {t: {url: https://x.example, secret: whsec_abc}}",
        "bad-secret",
        "targets.t.secret",
        "<secret>",
        "24",
    ),
    (
        "targets: {t: {preset: webhok, url: https://x.example}}",
        "bad-value",
        "targets.t.preset",
        "webhok",
        "`webhook`",
    ),
    ("targets: {t: {}}", "missing-key", "targets.t.url", "t", "url is missing"),
    (
        "targets: {t: {url: http://x.example, token: x}}",
        "insecure-url",
        "targets.t.url",
        "http://x.example",
        "TLS",
    ),
    (
        "targets: {t: {url: https://10.0.0.1}}",
        "private-address",
        "targets.t.url",
        "https://10.0.0.1",
        "10.0.0.1/32",
    ),
    (
        "targets: {t: {url: https://localhost}}",
        "private-address",
        "targets.t.url",
        "https://localhost",
        "127.0.0.1",
    ),
    (
        "targets: {t: {url: 'https://[::1]/'}}",
        "private-address",
        "targets.t.url",
        "'https://[::1]/'",
        "::1/128",
    ),
    ("targets: {t: {url: ftp://x.example}}", "bad-url", "targets.t.url", "ftp://x.example", "https://"),
    (
        "targets: {t: {url: https://x.example, allow_private: [ten]}}",
        "bad-network",
        "targets.t.allow_private[0]",
        "ten",
        "ten",
    ),
    (
        "targets: {t: {url: https://x.example, allow_private: [10.0.0.1/8]}}",
        "bad-network",
        "targets.t.allow_private[0]",
        "10.0.0.1/8",
        "host bits",
    ),
    (
        "targets: {t: {url: https://x.example, headers: {'a b': c}}}",
        "bad-header",
        "targets.t.headers.a b",
        "'a b'",
        "",
    ),
    (
        'targets: {t: {url: https://x.example, headers: {a: "b\\r\\nc"}}}',
        "bad-header",
        "targets.t.headers.a",
        '"b\\r\\nc"',
        "line breaks",
    ),
    (
        "targets: {t: {url: https://x.example, secret_file: a, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}}",
        "conflict",
        "targets.t.secret_file",
        "secret_file",
        "exclude",
    ),
    (
        "targets: {t: {url: https://x.example, old_secret_file: a}}",
        "missing-key",
        "targets.t.secret",
        "t",
        "new one",
    ),
    ("targets: {a/b: {url: https://x.example}}", "bad-name", "targets.a/b", "a/b", "name"),
]


@pytest.mark.parametrize(("text", "code", "path", "under", "says"), ROOT_CASES)
def test_every_error_names_its_place(text: str, code: str, path: str, under: str, says: str) -> None:
    """Code, path, line, column, caret and advice of one error outside the models."""
    found = findings_of(HEAD + TAIL + text + "\n")
    assert [(f.code, f.path) for f in found] == [(code, path)]
    (finding,) = found
    assert finding.mark is not None
    assert finding.mark.line == 9
    assert finding.source[slice(*finding.caret)] == under
    assert says in f"{finding.text} {finding.suggestion} {finding.help}"


MODEL_CASES = [
    ("source: nowhere", "unknown-source", "models.m.source", "nowhere", "sources: s"),
    ("sources: s", "unknown-key", "models.m.sources", "sources", "`source`"),
    ("budget: 2 a month", "bad-budget", "models.m.budget", "2 a month", "2 per 30d"),
    ("windows: {}", "missing-value", "models.m.windows", "windows", "at least one"),
    ("windows: {w: {size: 1h, step: 25m}}", "bad-window", "models.m.windows.w.step", "25m", "divide"),
    ("windows: {w: {size: 1h, step: 2h}}", "bad-window", "models.m.windows.w.step", "2h", "divide"),
    ("windows: {w: {step: 2h}}", "missing-key", "models.m.windows.w.size", "w", "size is missing"),
    ("windows: {w: {sise: 2h, size: 1h}}", "unknown-key", "models.m.windows.w.sise", "sise", "`size`"),
    ("windows: {w: {size: 11s}, v: {size: 1m}}", "bad-pane", "models.m.windows", "windows", "10s or more"),
    (
        "windows: {w: {size: 1h, timezone: Europe/Berlin}}",
        "bad-window",
        "models.m.windows.w.timezone",
        "Europe/Berlin",
        "whole days",
    ),
    (
        "windows: {w: {size: 24h, timezone: Mars}}",
        "bad-timezone",
        "models.m.windows.w.timezone",
        "Mars",
        "UTC",
    ),
    ("pane: 7m", "out-of-range", "models.m.pane", "7m", "5m"),
    ("pane: 50s", "", "", "", ""),
    ("pane: 35s", "bad-pane", "models.m.pane", "35s", "divide every size"),
    ("segments: {a=b: {path: x}}", "bad-name", "models.m.segments.a=b", "a=b", "cannot hold ="),
    (
        "segments: {c: {path: x, values: [DE, other]}}",
        "reserved-name",
        "models.m.segments.c.values[1]",
        "other",
        "the segment of rows",
    ),
    (
        "segments: {c: {path: x, top: 100}, d: {path: y, top: 99}}",
        "too-many-segments",
        "models.m.segments",
        "segments",
        "has 203 segments",
    ),
    ("features: {a: {path: a..b}}", "bad-path", "models.m.features.a.path", "a..b", "features.age"),
    ("features: {a: {knid: numeric}}", "unknown-key", "models.m.features.a.knid", "knid", "`kind`"),
    ("features: {a: {kind: embedding}}", "bad-value", "models.m.features.a.kind", "embedding", "vector"),
    ("features: {a: {kind: vector, length: 0}}", "out-of-range", "models.m.features.a.length", "0", "1"),
    (
        "features: {a: {kind: vector, length: 9000}}",
        "out-of-range",
        "models.m.features.a.length",
        "9000",
        "8192",
    ),
    (
        "features: {a: {kind: numeric, length: 3}}",
        "bad-contract",
        "models.m.features.a.length",
        "length",
        "vectors",
    ),
    (
        "features: {a: {kind: vector, allowed: [x]}}",
        "bad-contract",
        "models.m.features.a.allowed",
        "allowed",
        "vector",
    ),
    (
        "features: {a: {kind: vector, range: [0, 1]}}",
        "bad-contract",
        "models.m.features.a.range",
        "range",
        "vector",
    ),
    ("features: {a: {range: [5, 1]}}", "bad-range", "models.m.features.a.range", "range", "above"),
    ("features: {a: {range: [1]}}", "bad-range", "models.m.features.a.range", "range", "two ends"),
    ("features: {a: {range: [null, null]}}", "bad-range", "models.m.features.a.range", "range", "both ends"),
    ("features: {a: {range: [.nan, 1]}}", "bad-value", "models.m.features.a.range", "range", "finite"),
    (
        "features: {a: {kind: numeric, allowed: [x]}}",
        "bad-contract",
        "models.m.features.a.allowed",
        "allowed",
        "",
    ),
    (
        "features: {a: {kind: boolean, range: [0, 1]}}",
        "bad-contract",
        "models.m.features.a.range",
        "range",
        "",
    ),
    (
        "features: {a: {kind: categorical, numbers_in_strings: true}}",
        "bad-contract",
        "models.m.features.a.numbers_in_strings",
        "numbers_in_strings",
        "",
    ),
    ("features: {a: {allowed: x}}", "wrong-type", "models.m.features.a.allowed", "x", "expected a list"),
    (
        "features: {a: {tolerance: {pzi: learn}}}",
        "bad-test",
        "models.m.features.a.tolerance.pzi",
        "pzi",
        "`psi`",
    ),
    (
        "features: {a: {tolerance: {psi: lern}}}",
        "wrong-type",
        "models.m.features.a.tolerance.psi",
        "lern",
        "",
    ),
    (
        "features: {a: {tolerance: {psi: 11}}}",
        "out-of-range",
        "models.m.features.a.tolerance.psi",
        "11",
        "learn",
    ),
    ("features: {prediction: {}}", "reserved-name", "models.m.features.prediction", "prediction", "reserved"),
    ("features: [a, b]", "wrong-type", "models.m.features", "features", "got a list"),
    (
        "features: {}\nprediction: {kind: score}",
        "missing-key",
        "models.m.prediction.path",
        "prediction",
        "path",
    ),
    (
        "prediction: {path: p, kind: class, range: [0, 1]}",
        "bad-contract",
        "models.m.prediction.range",
        "range",
        "",
    ),
    ("tolerance: {'psi(': 1}", "bad-test", "models.m.tolerance.psi(", "'psi('", "psi(age)"),
    ("ratio_tolerance: 150%", "bad-share", "models.m.ratio_tolerance", "150%", "between 0 and 1"),
    (
        "beside: [previous_windov]",
        "bad-beside",
        "models.m.beside[0]",
        "previous_windov",
        "`previous_window`",
    ),
    (
        "beside: [champion]",
        "bad-beside",
        "models.m.beside[0]",
        "champion",
        "but the champion",
    ),
    (
        "beside: [{name: previous_window, file: x.ref}]",
        "bad-beside",
        "models.m.beside[0]",
        "{",
        "same_window_last_week",
    ),
    (
        "beside: [previous_window, previous_window]",
        "duplicate-name",
        "models.m.beside[1]",
        "previous_window",
        "",
    ),
    (
        "beside: [same_window_last_week]\nwindows: {5h: {size: 5h}}",
        "bad-beside",
        "models.m.beside[0]",
        "same_window_last_week",
        "",
    ),
    ("season: hour_of_dey", "bad-value", "models.m.season", "hour_of_dey", "`hour_of_day`"),
    ("detectors: [wassersteen]", "bad-value", "models.m.detectors[0]", "wassersteen", "`wasserstein`"),
    ("rules: {r: pzi(a) > 1}", "bad-rule", "models.m.rules.r.when", "pzi(a) > 1", "`psi`"),
    ("rules: {r: {when: psi(a) > 1, do: pge}}", "bad-value", "models.m.rules.r.do", "pge", "`page`"),
    ("rules: {r: {when: psi(a) > 1, do: retrain}}", "no-target", "models.m.rules.r.do", "retrain", "target"),
    ("retrain: {mode: auto}", "no-target", "models.m.retrain.mode", "auto", "target"),
    (
        "retrain: {mode: auto, target: x}",
        "unknown-target",
        "models.m.retrain.target",
        "x",
        "none are configured",
    ),
    (
        "retrain: {when: accuracy < 0.9 for 24h}",
        "bad-rule",
        "models.m.retrain.when[0]",
        "accuracy < 0.9 for 24h",
        "give the model a rule",
    ),
    ("retrain: {cooldown: never}", "bad-duration", "models.m.retrain.cooldown", "never", "30s"),
    ("reference: {mlflow: {model: m}}", "", "", "", ""),
    ("champion: [a]", "wrong-type", "models.m.champion", "champion", "expected a text, got a list"),
    ("min_records: 0", "out-of-range", "models.m.min_records", "0", "between 1"),
]


@pytest.mark.parametrize(("text", "code", "path", "under", "says"), [case for case in MODEL_CASES if case[1]])
def test_every_error_of_a_model_names_its_place(
    text: str, code: str, path: str, under: str, says: str
) -> None:
    """Code, path, caret and advice of one error in a model."""
    found = findings_of(with_model(text))
    assert [(f.code, f.path) for f in found] == [(code, path)]
    (finding,) = found
    assert finding.mark is not None
    assert finding.mark.line >= 8
    assert finding.source[slice(*finding.caret)] == under
    assert says in f"{finding.text} {finding.suggestion} {finding.help}"


def test_a_pane_that_divides_is_taken() -> None:
    """50 s do not divide an hour; 40 s do."""
    assert "bad-pane" in {f.code for f in findings_of(with_model("pane: 50s\nwindows: {w: 59m}"))}
    assert settings_of(with_model("pane: 40s")).models["m"].pane == 40_000


def test_references_of_later_versions() -> None:
    """A reference from a registry is named as not supported, and nothing else is complained of."""
    text = with_model("").replace("reference: m.ref", "reference: {file: m.ref, mlflow: {model: m}}")
    assert [f.code for f in findings_of(text)] == ["not-supported"]
