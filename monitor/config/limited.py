"""Settings of raw limits."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PlainSerializer, WithJsonSchema

from monitor.config.base import Group
from monitor.config.fields import Choice, Number, parsed
from monitor.config.rule import When, parse_limit
from monitor.judge.catalogue import FEATURE_MISMATCH, PERFORMANCE, SCORES
from monitor.plan import RawRule


def format_limit(value: When) -> str:
    return RawRule("", *value[:5], "", *value[5:]).text


class Limit(Group):
    """A raw limit on a score, outside the budget."""

    shorthand = "when"

    when: Annotated[
        When,
        parsed("bad-rule", parse_limit, When),
        PlainSerializer(format_limit),
        WithJsonSchema({"type": "string"}),
    ] = Field(
        description=f"score(feature), a limit, and for how many windows, all on end or `3 of 5`; or a score in so many "
        f"features. Scores: {', '.join(SCORES)}. Or a figure of labelled windows, of a segment in brackets or in so many "
        f"segments, for how many windows or how long: {', '.join(PERFORMANCE)}. Or {FEATURE_MISMATCH}, of a feature in "
        "brackets or of whole records, for how many windows or how long.",
        examples=["psi(age) > 0.25 for 3 windows", "psi > 0.1 in 3 features for 2 of 4 windows"],
    )
    clear: Number | None = Field(
        default=None,
        description="Where the value must be again, once the rule held, before it holds no more; left out, at the limit.",
        examples=[0.2],
    )
    do: Annotated[str, Choice(("ticket", "page", "retrain"))] = Field(
        default="ticket",
        description="ticket: an alert of severity warning; page: critical; retrain: ask for retraining.",
        examples=["ticket"],
    )
