"""Groups of features: what the configuration says, and what the reference has."""

from __future__ import annotations

import pytest

from monitor.plan import Kind
from tests.config.cases import findings_of, group, reference_of, with_model
from tests.config.test_plans import REFERENCE, disagreements, model_of

CASES = [
    # (text of the model, code, path, what the caret is under, what the text says)
    ("groups: {g: [a]}", "missing-value", "models.m.groups.g", "g", "needs at least 2 entries"),
    ("groups: {g: [a, b, a]}", "conflict", "models.m.groups.g[2]", "a", "stands twice"),
    (
        "groups: {prediction: [a, b]}",
        "reserved-name",
        "models.m.groups.prediction",
        "prediction",
        "the name of",
    ),
    (
        "features: {a: {path: a}}\ngroups: {a: [b, c]}",
        "reserved-name",
        "models.m.groups.a",
        "a",
        "the name of",
    ),
    (
        "features: {a: {kind: categorical}}\ngroups: {g: [a, b]}",
        "bad-group",
        "models.m.groups.g[0]",
        "a",
        "a is categorical: groups are of numbers",
    ),
    (
        f"groups: {{g: [{', '.join(f'f{i}' for i in range(17))}]}}",
        "bad-value",
        "models.m.groups.g",
        "g",
        "at most 16",
    ),
]


@pytest.mark.parametrize(("text", "code", "path", "under", "says"), CASES)
def test_every_error_names_its_place(text: str, code: str, path: str, under: str, says: str) -> None:
    """Code, path, caret and advice, as of any other setting."""
    (finding,) = findings_of(with_model(text))
    assert (finding.code, finding.path) == (code, path)
    assert finding.source[slice(*finding.caret)] == under
    assert says in finding.text + finding.help


def test_groups_without_a_reference_are_refused() -> None:
    """There is nothing to judge them by; members that nobody knows are said too."""
    text = with_model("features: {a: {path: a, kind: numeric}}\ngroups: {g: [a, b]}")
    found = {(f.code, f.path) for f in findings_of(text.replace("    reference: m.ref\n", ""))}
    assert found == {("no-reference", "models.m.groups"), ("unknown-feature", "models.m.groups.g[1]")}


def test_groups_stand_behind_the_features_of_the_reference() -> None:
    """Those of the reference are counted; those that the configuration names vote, in whatever order it has them."""
    known = reference_of(
        *REFERENCE.features, group("money", "spend", "age"), group("both", "age", "prediction")
    )
    plan = model_of("groups: {money: [age, spend]}\nrules: {r: joint(money) > 1}", known)
    assert [(f.name, f.kind, f.path, f.members, f.length) for f in plan.features[-2:]] == [
        ("money", Kind.VECTOR, (), ("spend", "age"), 2),
        ("both", Kind.VECTOR, (), ("age", "prediction"), 2),
    ]
    assert plan.groups == ("money",)
    assert model_of("", known).groups == ()
    assert model_of("", known).config == plan.config  # what is counted is the same


def test_groups_that_the_reference_does_not_have_so() -> None:
    """All of it at once: members that it lacks, or that are no numbers, other members, and names that are taken."""
    known = {"m": reference_of(*REFERENCE.features, group("money", "spend", "age"))}
    found = disagreements(
        "groups: {money: [spend, prediction], new: [spend, age], odd: [spend, contry], bad: [age, vip], "
        "spend: [age, prediction]}\nfeatures: {age: {}}\n",
        known,
    )
    assert set(found) == {
        ("other-members", "models.m.groups.money", ""),
        ("not-in-reference", "models.m.groups.new", ""),
        ("unknown-feature", "models.m.groups.odd[1]", "did you mean `country`?"),
        ("bad-group", "models.m.groups.bad[1]", ""),
        ("reserved-name", "models.m.groups.spend", ""),
    }
    assert disagreements("features: {money: {path: x}}", known) == [
        ("other-kind", "models.m.features.money", "")
    ]
