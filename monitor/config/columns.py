"""The features of a model: what the configuration says, in the order of the reference."""

from __future__ import annotations

from dataclasses import replace

from monitor.config.crosscheck_model import KIND_OF, check_column
from monitor.config.finding import Problem, Steps, nearest
from monitor.config.grouped import check_against
from monitor.config.watched import Column, Feature, Model, Outcome
from monitor.plan import FeaturePlan, Kind
from monitor.reference.profile import FeatureProfile, Reference


def plan_columns(
    model: Model, name: str, reference: Reference | None, problems: list[Problem]
) -> tuple[FeaturePlan, ...]:
    """Inputs, prediction and label of a model as plans, and behind them the groups of the reference.

    With a reference: all of its features in its order, with the paths and contracts of the
    configuration; a feature that only the configuration knows, or knows as another kind, is a problem.
    """
    given = _given(model, name)
    if model.reference and reference is None:
        problems.append(
            Problem(
                "no-reference",
                ("models", name, "reference"),
                f"models.{name}: the reference {model.reference.file} was not read",
            )
        )
        return ()
    if reference is None:
        return tuple(_alone(column, steps) for column, steps in given.values())
    profiles = {profile.name: profile for profile in reference.features}
    for feature, (_, steps) in given.items():
        if feature not in profiles:
            problems.append(
                Problem(
                    "not-in-reference",
                    steps,
                    f"the reference {reference.name} has no feature called `{feature}`",
                    suggestion=nearest(feature, set(profiles) - set(given)),
                    at_key=True,
                    help="remove it here, or build the reference again with it",
                )
            )
    problems += check_against(model, name, reference)
    plans = [_known(profile, given.get(profile.name), problems) for profile in reference.features]
    return tuple(plans)


def _given(model: Model, name: str) -> dict[str, tuple[Column, Steps]]:
    steps = ("models", name)
    given: dict[str, tuple[Column, Steps]] = {
        feature: (column, (*steps, "features", feature)) for feature, column in model.features.items()
    }
    for role, outcome in (("prediction", model.prediction), ("label", model.label)):
        if outcome:
            given[role] = (outcome, (*steps, role))
    return given


def _kind(column: Column) -> str:
    if isinstance(column, Outcome):
        return KIND_OF[column.kind]
    return (column.kind or "") if isinstance(column, Feature) else ""


def _alone(column: Column, steps: Steps) -> FeaturePlan:
    """A feature of a model without a reference: `crosscheck` has seen to its path and kind."""
    return _plan(str(steps[-1]), column, Kind(_kind(column) or Kind.NUMERIC))


def _known(
    profile: FeatureProfile, given: tuple[Column, Steps] | None, problems: list[Problem]
) -> FeaturePlan:
    if profile.members:
        if given is not None:
            text = f"{profile.name} is a group of features in the reference"
            problems.append(
                Problem("other-kind", given[1], text, at_key=True, help="call one something else")
            )
        length = len(profile.members)
        return FeaturePlan(profile.name, (), profile.kind, length=length, members=profile.members)
    if given is None:
        length = profile.vector.length if profile.vector is not None else 0
        return FeaturePlan(profile.name, profile.path or (profile.name,), profile.kind, length=length)
    column, steps = given
    kind = _kind(column)
    is_class = isinstance(column, Outcome) and kind == "categorical"
    if kind and kind != profile.kind and not (is_class and profile.kind is Kind.BOOLEAN):
        problems.append(
            Problem(
                "other-kind",
                (*steps, "kind"),
                f"{profile.name} is {kind} here and {profile.kind} in the reference",
                help="make them agree, or build the reference again",
            )
        )
    elif not kind:
        problems += [p for p in check_column(column, str(profile.kind), steps) if p.code == "bad-contract"]
    plan = _plan(profile.name, column, profile.kind)
    if profile.vector is not None:
        if plan.length not in {0, profile.vector.length}:
            problems.append(
                Problem(
                    "other-length",
                    (*steps, "length"),
                    f"{profile.name} has {plan.length} numbers here and {profile.vector.length} in the reference",
                    help="make them agree, or build the reference again",
                )
            )
        plan = replace(plan, length=profile.vector.length)
    return plan if plan.path else replace(plan, path=profile.path or (profile.name,))


def _plan(name: str, column: Column, kind: Kind) -> FeaturePlan:
    path = column.path if isinstance(column, Feature | Outcome) else ()
    return FeaturePlan(
        name=name,
        path=path,
        kind=kind,
        nullable=column.nullable,
        range=column.range or (None, None),
        allowed=column.allowed,
        numbers_in_strings=column.numbers_in_strings,
        length=(column.length or 0) if isinstance(column, Feature) else 0,
    )
