from __future__ import annotations

import pytest

from monitor.config.diff import Effect, diff
from tests.config.cases import HEAD, TAIL, settings_of, with_model

CASES = [
    # (settings of the model before, after, effect, text)
    ("budget: 2 per 30d", "budget: 1 per 30d", Effect.LIVE, "live: models.m.budget 2 per 30d -> 1 per 30d"),
    (
        "pane: 1m",
        "pane: 30s",
        Effect.RESET,
        "window reset: models.m.pane 1m -> 30s (loses the counts of open windows; the pane becomes 30s)",
    ),
    (
        "windows: {1h: 1h}",
        "windows: {1h: 30m}",
        Effect.LIVE,
        "live: models.m.windows.1h.size 1h -> 30m (the pane stays 1m: no counts are lost)",
    ),
    (
        "windows: {1h: 24h}",
        "windows: {1h: 30m}",
        Effect.RESET,
        "window reset: models.m.windows.1h.size 1d -> 30m (loses the counts of open windows; the pane becomes 1m)",
    ),
    (
        "features: {a: {}}",
        "features: {a: {path: b}}",
        Effect.RESET,
        "window reset: models.m.features.a.path added (loses the counts of open windows)",
    ),
    (
        "features: {a: {}}",
        "features: {a: {tolerance: {psi: 0.1}}}",
        Effect.LIVE,
        "live: models.m.features.a.tolerance.psi added",
    ),
    (
        "prediction: a",
        "prediction: b",
        Effect.RESET,
        "window reset: models.m.prediction.path a -> b (loses the counts of open windows)",
    ),
    (
        "rules: {r: psi(a) > 1}",
        "rules: {r: psi(a) > 2}",
        Effect.LIVE,
        "live: models.m.rules.r.when psi(a) > 1 -> psi(a) > 2",
    ),
    ("rules: {r: psi(a) > 1}", "rules: {}", Effect.LIVE, "live: models.m.rules.r removed"),
    ("source: s", "", Effect.RESTART, "refused: models.m.source (restart needed)"),
]


@pytest.mark.parametrize(("before", "after", "effect", "text"), CASES)
def test_changes_of_a_model(before: str, after: str, effect: Effect, text: str) -> None:
    """Each change says whether it is live, starts new windows, or needs a restart."""
    (change,) = diff(settings_of(with_model(before)), settings_of(with_model(after)))
    assert (change.effect, change.text) == (effect, text)
    assert change.models == (("m",) if effect is Effect.RESET else ())
    assert change.needs_restart == (effect is Effect.RESTART)


@pytest.mark.parametrize(
    ("extra", "effect", "path"),
    [
        ("web: {listen: ':1'}", Effect.RESTART, "web.listen"),
        ("web: {external_url: https://x.example}", Effect.LIVE, "web.external_url"),
        ("state: {dir: /x}", Effect.RESTART, "state.dir"),
        ("state: {log: kafka}", Effect.RESTART, "state.log"),
        ("state: {log: local, kafka: {prefix: x}}", Effect.RESTART, "state.kafka.prefix"),
        ("state: {checkpoint_every: 1s}", Effect.LIVE, "state.checkpoint_every"),
        ("log: {level: debug}", Effect.LIVE, "log.level"),
        ("backend: cpu", Effect.RESTART, "backend"),
        ("metrics: {top_k: 1}", Effect.LIVE, "metrics.top_k"),
        ("targets: {t: {url: https://x.example}}", Effect.LIVE, "targets.t"),
    ],
)
def test_changes_outside_the_models(extra: str, effect: Effect, path: str) -> None:
    """Addresses and directories need a restart; levels, pace, metrics and routes do not."""
    (change,) = diff(settings_of(HEAD + TAIL), settings_of(HEAD + TAIL + extra + "\n"))
    assert (change.effect, change.path) == (effect, path)


@pytest.mark.parametrize(
    ("source", "effect", "path"),
    [
        ("{topic: u}", Effect.RESTART, "sources.s.topic"),
        ("{topic: t, idle: 5s}", Effect.RESTART, "sources.s.idle"),
        ("{topic: t, max_bytes: 5KiB}", Effect.LIVE, "sources.s.max_bytes"),
        ("{topic: t, fields: {time: ts}}", Effect.RESET, "sources.s.fields.time"),
        ("{topic: t, fields: {id: id}}", Effect.LIVE, "sources.s.fields.id"),
    ],
)
def test_changes_of_a_source(source: str, effect: Effect, path: str) -> None:
    """What decides where the log is read needs a restart; what counts mean resets its models."""
    changed = HEAD.replace("s: {topic: t}", f"s: {source}") + TAIL
    (change,) = diff(settings_of(HEAD + TAIL), settings_of(changed))
    assert (change.effect, change.path) == (effect, path)
    assert change.models == (("m",) if effect is Effect.RESET else ())


def test_models_come_and_go() -> None:
    """A model that is added counts from now on; one that is removed is closed; both are live."""
    both = settings_of(
        HEAD.replace("s: {topic: t}", "s: {topic: t, fields: {model: m}}") + "  n: {reference: n}\n"
    )
    one = settings_of(HEAD.replace("s: {topic: t}", "s: {topic: t, fields: {model: m}}"))
    assert [change.text for change in diff(one, both)] == ["live: models.n added (counts from now on)"]
    assert [change.text for change in diff(both, one)] == [
        "live: models.n removed (its incidents are closed)"
    ]
    more = settings_of(HEAD.replace("s: {topic: t}", "s: {topic: t}\n  u: {topic: v}") + "    source: s\n")
    assert "refused: sources.u (restart needed)" in [change.text for change in diff(settings_of(HEAD), more)]


def test_nothing_differs() -> None:
    """The same settings written differently are the same."""
    left = with_model("windows: {1h: {size: 1h}}\nbudget: 2 per 30d\nratio_tolerance: 0.5%")
    right = with_model("ratio_tolerance: 0.005\nwindows: {1h: 60m}\nbudget: 2.0 per 720h")
    assert diff(settings_of(left), settings_of(right)) == ()


def test_the_loss_is_told_where_it_is_known() -> None:
    """With the span that open windows hold, a reset says what it costs."""
    old, new = settings_of(with_model("pane: 1m")), settings_of(with_model("pane: 30s"))
    (change,) = diff(old, new, held={"m": 41 * 60_000 + 5})
    assert "(loses 41 min of counts; the pane becomes 30s)" in change.text
