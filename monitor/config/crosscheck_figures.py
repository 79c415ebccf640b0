"""Cross checks of limits on how well a model does: one that can never hold, or always does, is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.config.finding import Problem, Steps, nearest
from monitor.config.limited import Limit
from monitor.config.rule import When
from monitor.config.watched import Model
from monitor.judge.catalogue import COVERAGE, ESTIMATED, FIGURES, PERFORMANCE
from monitor.segments import MISSING, OTHER

SHARES = frozenset(PERFORMANCE) - {"log_loss", *FIGURES["number"]}
"""Figures between 0 and 1."""


def check_figure(model: Model, rule: Limit, at: Steps) -> Iterator[Problem]:
    """`at`: of the rule's condition."""
    when = rule.when
    yield from _unlabelled(model, rule, at)
    kind = model.prediction.kind if model.prediction else ""
    own = (*FIGURES.get(kind, ()), COVERAGE)
    if kind and when.score not in own:
        yield Problem(
            "conflict", at, f"a prediction of kind {kind} has no {when.score}", suggestion=nearest(when.score, own),
            help=f"its figures: {', '.join(own)}",
        )  # fmt: skip
    if when.score in SHARES and not 0 <= when.limit <= 1:
        yield Problem(
            "out-of-range", at, f"{when.score} lies between 0 and 1, and {when.limit:g} does not",
            help="92 % is written 92% or 0.92",
        )  # fmt: skip
    yield from _segments(model, when, at)


def _unlabelled(model: Model, rule: Limit, at: Steps) -> Iterator[Problem]:
    """Without labels a limit may say what harm is, where pages are sent for that, as far as estimates go."""
    when, needs = rule.when, ""
    if model.labels is not None:
        return
    if model.page_on != "harm":
        needs = f"`{when.score}` needs labels"
    elif when.score not in ESTIMATED:
        needs = f"`{when.score}` is not estimated, it needs labels"
    elif when.feature or when.quorum:
        needs = "a limit on segments is not held against estimates, it needs labels"
    elif rule.do == "retrain":
        needs = "nothing is retrained by estimates, that needs labels"
    if needs:
        yield Problem(
            "missing-key", at, f"{needs}, and the model has none",
            help="say where they come from: labels: {source: outcomes, path: label}",
        )  # fmt: skip


def _segments(model: Model, when: When, at: Steps) -> Iterator[Problem]:
    column, equals, value = when.feature.partition("=")
    if not column:
        return
    if column not in model.segments:
        known = tuple(model.segments)
        yield Problem(
            "unknown-segment", at, f"there are no segments by `{column}`", suggestion=nearest(column, known),
            help=f"a segment is written country=DE; segments by: {', '.join(known) or 'none'}",
        )  # fmt: skip
        return
    if bool(equals) == bool(when.quorum):
        wrong = "is one segment, and several are asked for" if equals else "is a column and no segment"
        yield Problem(
            "unknown-segment", at, f"`{when.feature}` {wrong}",
            help=f"of one: {when.score}({column}=…); of several: {when.score}({column}) … in 2 segments",
        )  # fmt: skip
        return
    values = model.segments[column].values
    known = (*values, OTHER, MISSING)
    if (
        equals and values and value not in {*known, "true", "false"}
    ):  # of a boolean both are segments, whatever is named
        yield Problem(
            "unknown-segment", at, f"`{value}` is none of the segments by `{column}`", suggestion=nearest(value, known),
            help=f"segments by {column}: {', '.join(known)}",
        )  # fmt: skip
