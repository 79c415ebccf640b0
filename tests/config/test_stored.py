"""Settings of the online feature store."""

from __future__ import annotations

import pytest

from monitor.config.limited import format_limit
from monitor.config.plans import build_plans
from monitor.config.rule import parse_limit
from monitor.consistency.plan import LONGEST_ANSWER
from monitor.errors import ConfigError
from monitor.plan import RawRule, StorePlan
from tests.config.cases import findings_of, settings_of, with_model

MODEL = """\
features: {rate: {path: f.rate, kind: numeric}, city: {path: f.city, kind: categorical}}
feature_store:
  url: https://feast.example/
  entities: {driver_id: driver.id}
  features: {rate: "stats:conv_rate"}
"""


def text(more="", *, store=""):
    base = MODEL + "".join(f"  {line}\n" for line in store.splitlines())
    return with_model(base + more).replace("    reference: m.ref\n", "")


def codes(found):
    return sorted((one.code, one.path) for one in found)


def test_a_store_becomes_plans():
    """What is compared goes with the model, how the server is reached stands apart from it."""
    settings = settings_of(
        text(
            "rules: {skew: feature_mismatch(rate) > 1% for 1h, any: feature_mismatch > 0.05 for 3 windows}",
            store="sample: 10%\nper_minute: 60\ntolerance: 0.001\nmax_age: 30s\ntoken: t0ken\ntimeout: 3s",
        )
    )
    plans = build_plans(settings, {})
    (model,) = plans.models
    assert model.store == StorePlan(
        entities={"driver_id": ("driver", "id")}, features={"rate": "stats:conv_rate"}, share=0.1, per_minute=60,
        tolerance=0.001, max_age=30_000,
        limits=(
            RawRule("skew", "feature_mismatch", "rate", ">", 0.01, -3_600_000, "ticket"),
            RawRule("any", "feature_mismatch", "", ">", 0.05, 3, "ticket"),
        ),
    )  # fmt: skip
    assert model.raw_rules == model.harm == ()
    assert model.limits == model.store.limits
    server = plans.stores["m"]
    assert (server.url, server.token.reveal()) == ("https://feast.example", "t0ken")
    assert (server.http.timeout, server.http.max_body, server.http.allow_private) == (3.0, LONGEST_ANSWER, ())
    assert "t0ken" not in repr(server)


def test_limits_are_written_as_they_are_read():
    """`driftline config print` gives them back."""
    for rule in ("feature_mismatch(rate) > 0.01 for 1h", "feature_mismatch > 0.05 for 3 windows"):
        assert format_limit(parse_limit(rule)) == rule


def test_all_that_is_wrong_is_said_at_once():
    """An address without TLS and in a private network, a secret in two places, and what a server is not called by."""
    found = findings_of(
        text(
            'rules: {a: "feature_mismatch(city) > 1%", b: "feature_mismatch(rat) > 1%"}',
            store="token: t\ntoken_file: f\nmax_age: 2h",
        ).replace("https://feast.example/", "http://127.0.0.1:6566/?x=1")
    )
    at = "models.m.feature_store"
    assert codes(found) == [
        ("bad-url", f"{at}.url"),
        ("conflict", f"{at}.token_file"),
        ("insecure-url", f"{at}.url"),
        ("out-of-range", f"{at}.max_age"),
        ("private-address", f"{at}.url"),
        ("unknown-feature", "models.m.rules.a.when"),
        ("unknown-feature", "models.m.rules.b.when"),
    ]


def test_references_have_a_view_and_a_feature():
    """Also in the place of the shorthand that Feast does not take."""
    found = findings_of(text().replace("stats:conv_rate", "conv_rate"))
    assert codes(found) == [("bad-value", "models.m.feature_store.features.rate")]
    assert "driver_stats:conv_rate" in found[0].text


def test_a_limit_needs_a_store():
    """Otherwise it would never hold, and nobody would know."""
    found = findings_of(with_model("rules: {skew: feature_mismatch > 1%}"))
    assert codes(found) == [("missing-key", "models.m.rules.skew.when")]


def test_features_of_the_store_are_features_of_the_model():
    """Which features there are is known with the reference, so it is said then."""
    settings = settings_of(text().replace('{rate: "stats', '{rates: "stats'))
    with pytest.raises(ConfigError) as caught:
        build_plans(settings, {})
    assert "there is no feature called `rates`" in str(caught.value)
    assert "did you mean `rate`?" in str(caught.value)
