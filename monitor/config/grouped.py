"""The groups of a model: features that are also judged together."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.config.crosscheck_model import KIND_OF, OWN_FEATURES, known_features, unknown_feature
from monitor.config.finding import Problem, Steps
from monitor.config.watched import Model
from monitor.plan import Kind
from monitor.reference.profile import FeatureProfile, Reference


def check_groups(model: Model, steps: Steps) -> Iterator[Problem]:
    """What the configuration alone tells."""
    known = known_features(model)
    for name, members in model.groups.items():
        at = (*steps, "groups", name)
        if name in (*known, *OWN_FEATURES):
            yield Problem(
                "reserved-name",
                at,
                f"`{name}` is the name of a feature",
                at_key=True,
                help="call the group something else",
            )
        for index, member in enumerate(members):
            here = (*at, index)
            if member in members[:index]:
                yield Problem("conflict", here, f"`{member}` stands twice")
            elif not model.reference and member not in _columns(model):
                yield unknown_feature(member, here, _columns(model))
            elif (kind := _kind(model, member)) not in {"", Kind.NUMERIC}:
                yield _not_numeric(member, kind, here)
    if model.groups and not model.reference:
        yield Problem(
            "no-reference",
            (*steps, "groups"),
            f"models.{steps[1]} has groups, but no reference to judge them by",
            at_key=True,
            help="remove them until there is one",
        )


def check_against(model: Model, name: str, reference: Reference) -> Iterator[Problem]:
    """Groups that the reference does not have as the configuration says."""
    profiles = {profile.name: profile for profile in reference.features}
    for group, members in model.groups.items():
        at, own = ("models", name, "groups", group), profiles.get(group)
        wrong = list(_members(members, profiles, at))
        yield from wrong
        if own is not None and not own.members:
            yield Problem(
                "reserved-name",
                at,
                f"`{group}` is a feature of the reference {reference.name}",
                at_key=True,
                help="call the group something else",
            )
        elif wrong:
            continue
        elif own is None:
            yield Problem(
                "not-in-reference",
                at,
                f"the reference {reference.name} has no group called `{group}`",
                at_key=True,
                help="remove it here, or build the reference again with it",
            )
        elif set(own.members) != set(members):
            yield Problem(
                "other-members",
                at,
                f"{group} is {', '.join(members)} here and {', '.join(own.members)} in the reference",
                help="make them agree, or build the reference again",
            )


def _members(members: tuple[str, ...], profiles: dict[str, FeatureProfile], at: Steps) -> Iterator[Problem]:
    names = tuple(name for name, profile in profiles.items() if not profile.members)
    for index, member in enumerate(members):
        if member not in names:
            yield unknown_feature(member, (*at, index), names)
        elif profiles[member].kind is not Kind.NUMERIC:
            yield _not_numeric(member, profiles[member].kind, (*at, index))


def _columns(model: Model) -> tuple[str, ...]:
    return tuple(name for name in known_features(model) if name not in {"latency", "error"})


def _kind(model: Model, member: str) -> str:
    if outcome := {"prediction": model.prediction, "label": model.label}.get(member):
        return KIND_OF[outcome.kind]
    feature = model.features.get(member)
    return (feature.kind or "") if feature else ""


def _not_numeric(member: str, kind: str, steps: Steps) -> Problem:
    return Problem(
        "bad-group",
        steps,
        f"{member} is {kind}: groups are of numbers",
        help="name numeric features; an embedding is a vector of its own",
    )
