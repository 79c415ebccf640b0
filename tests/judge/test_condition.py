"""Conditions in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kernels.layout import FIRST_BIN, MISSING
from monitor.judge.condition import Condition, Literal
from monitor.judge.kind_text import Words
from monitor.plan import Shown
from tests.config.cases import group
from tests.judge.build import categorical_profile, numeric_profile

OWN = [numeric_profile("x", 20), categorical_profile("city", "abcde")]

CONDITION = Condition(
    (Literal("city", (FIRST_BIN + 1, FIRST_BIN + 3)), Literal("x", (FIRST_BIN + 4, FIRST_BIN + 5))), 0.92, 0.041, 0.04, 1e-9
)  # fmt: skip


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (Shown.NAMES, "city in {b, d} and 0.2 <= x < 0.3"),
        (Shown.CODES, "city in {category 2, category 4} and x in bins 5 to 6"),
        (Shown.NONE, "some values of city and x"),
    ],
)
def test_a_condition_says_no_more_than_it_may(values, said) -> None:
    """Names, numbers of categories and bins, or only which columns."""
    profiles = {profile.name: profile for profile in OWN}
    text = CONDITION.text(profiles, Words(values))
    assert text == f"{said}: 92 % of it, in 4.1 % of the rows (4 % in the reference)"


def test_a_share_of_what_others_did_says_so() -> None:
    """A feature never says where its own change is, so there its own is not among what is shared out."""
    text = replace(CONDITION, others=True).text({profile.name: profile for profile in OWN}, Words())
    assert "0.3: 92 % of the change of the other features, in 4.1 % of the rows" in text


@pytest.mark.parametrize(
    ("literal", "said"),
    [
        (Literal("city", (FIRST_BIN,)), "city = a"),
        (Literal("city", (MISSING,)), "city is missing"),
        (Literal("city", (1,)), "city is novel"),
        (
            Literal("city", (1, 2, *range(FIRST_BIN, FIRST_BIN + 5))),
            "city in {novel, other, a, b, c, d, … 1 more}",
        ),
        (Literal("x", (MISSING,)), "x is missing"),
        (Literal("x", (1,)), "x is no number"),
        (Literal("x", (2, FIRST_BIN)), "x < 0.05"),
        (Literal("x", (FIRST_BIN + 19, FIRST_BIN + 20)), "x >= 0.95"),
        (Literal("x", (2,)), "x < 0"),
    ],
)
def test_values_of_every_kind_have_a_name(literal, said) -> None:
    """Special slots in words, the open ends of a number without an edge."""
    profiles = {profile.name: profile for profile in OWN}
    text = Condition((literal,), 1.0, 0.5, 0.5, 0.0).text(profiles, Words())
    assert text.startswith(f"{said}: 100 % of it")


def test_a_hostile_category_is_cut_and_cleaned() -> None:
    """As in every other text of a diagnosis."""
    profile = categorical_profile("city", ["\x1b[2J" + "y" * 500])
    text = Condition((Literal("city", (FIRST_BIN,)),), 1.0, 0.5, 0.5, 0.0).text({"city": profile}, Words())
    assert "\x1b" not in text
    assert len(text) < 150


@pytest.mark.parametrize(("slot", "said"), [(MISSING, "missing"), (1, "incomplete"), (FIRST_BIN, "complete")])
def test_of_a_group_it_says_whether_a_row_has_all_members(slot, said) -> None:
    """Some or all of them may be missing."""
    condition = Condition((Literal("money", (slot,)),), 0.9, 0.1, 0.1, 1e-9)
    assert condition.text({"money": group("money", "x", "y")}, Words()).startswith(f"money is {said}: ")
