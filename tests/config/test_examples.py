from __future__ import annotations

from pathlib import Path

import pytest

from monitor.config.load import load
from monitor.config.plans import build_plans, reference_paths
from tests.config.cases import categorical, group, numeric, reference_of

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
ENV = {"ALERTMANAGER_PASSWORD": "x"}


def test_the_minimal_example_is_enough() -> None:
    """Under 20 lines, no warnings, and it becomes plans."""
    path = CONFIGS / "examples" / "minimal.yaml"
    assert len(path.read_text(encoding="utf-8").splitlines()) < 20
    settings = load([str(path)], environ={})
    assert settings.warnings == ()
    assert reference_paths(settings) == {"churn": path.parent / "churn.ref"}
    plans = build_plans(settings, {"churn": reference_of(numeric("age"), numeric("prediction"))})
    assert plans.models[0].features[1].path == ("score",)


def test_an_example_for_every_preset() -> None:
    """It loads without warnings, and asks every kind of target once."""
    from monitor.deliver.presets.catalogue import PRESETS

    settings = load([str(CONFIGS / "examples" / "targets.yaml")], environ=ENV)
    assert settings.warnings == ()
    assert {target.preset for target in settings.targets.values()} == PRESETS.keys()
    assert {model.retrain.target for model in settings.models.values()} == settings.targets.keys()


def test_the_full_example_names_every_setting() -> None:
    """It loads without warnings, and no setting of any group is missing from it."""
    from monitor.config.schema import groups

    path = CONFIGS / "examples" / "full.yaml"
    text = path.read_text(encoding="utf-8")
    settings = load([str(path)], environ=ENV)
    assert settings.warnings == ()
    twins = {
        "token",
        "secret",
        "webhook_secret",
        "old_secret",
        "routing_key",
        "password_file",
        "bearer_token",
        "bearer_token_file",
        "ca_file",
        "insecure_http",
        "value",
    }
    text += (CONFIGS / "examples" / "targets.yaml").read_text(encoding="utf-8")
    missing = {name for group in groups() for name in group.model_fields if f"{name}:" not in text} - twins
    assert missing == set()
    churn = reference_of(
        numeric("age"),
        categorical("country", "DE"),
        numeric("spend"),
        categorical("returning", kind=__import__("monitor.plan").plan.Kind.BOOLEAN),
        numeric("prediction"),
        categorical("label", "0", "1"),
        group("means", "age", "spend"),
    )
    plans = build_plans(settings, {"churn": churn, "upsell": reference_of(numeric("x"))})
    assert [len(plan.features) for plan in plans.models] == [7, 1, 4]
    assert [source.models for source in plans.sources] == [("churn", "upsell"), ("fraud",), ("churn",)]


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_each_environment_lies_over_the_base(name: str) -> None:
    """Two files make a whole configuration without warnings."""
    folder = CONFIGS / "environments"
    settings = load([str(folder / "base.yaml"), str(folder / f"{name}.yaml")], environ={})
    assert settings.warnings == ()
    assert settings.models["churn"].reference is not None
