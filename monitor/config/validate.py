"""From data to settings: pydantic's errors as problems with a suggestion each."""

from __future__ import annotations

import copy
import types
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from monitor.config.base import Group
from monitor.config.fields import shown
from monitor.config.finding import Problem, Steps, dotted, nearest
from monitor.config.later import explain
from monitor.config.sensitive import is_sensitive
from monitor.config.settings import Settings

STAND_IN = "?"
"""Name of what stands in for missing parts while the rest is checked."""
_STAND_INS: dict[str, Any] = {
    "kafka": {"brokers": ["?:1"]},
    "sources": {STAND_IN: {"topic": "none"}},
    "models": {STAND_IN: {}},
}
_BROKERS = ("kafka", "brokers")
_TYPES = {
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
}
_ROUNDS = 6


def validate(data: dict[str, Any]) -> tuple[Settings | None, list[Problem], list[Steps]]:
    """Settings and every problem of structure.

    With problems the settings are those of what remains when the broken parts are taken out
    (returned third), so that the rest can be checked too; None when nothing can be made of it.
    """
    problems: list[Problem] = []
    pruned: list[Steps] = []
    for turn in range(_ROUNDS):
        try:
            return Settings.model_validate(data), problems, pruned
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
        if turn == 0:
            problems = _without_echoes([_explain(item, data) for item in found])
            data = copy.deepcopy(data)
        pruned += [_prune(data, _steps(item["loc"]), item["type"]) for item in found]
    return None, problems, pruned


def _without_echoes(problems: list[Problem]) -> list[Problem]:
    """Drop "needs at least one entry" where it only follows from broken entries."""
    return [
        p
        for p in problems
        if p.code != "missing-value"
        or not any(len(o.steps) > len(p.steps) and o.steps[: len(p.steps)] == p.steps for o in problems)
    ]


def _steps(loc: tuple[Any, ...]) -> Steps:
    return tuple(step for step in loc if step != "[key]")


def _explain(error: Mapping[str, Any], data: Any) -> Problem:
    steps, kind = _steps(error["loc"]), error["type"]
    context = error.get("ctx") or {}
    is_key = "[key]" in error["loc"]
    if kind == "driftline":
        quoted = f", got {context['got']}" if context["got"] and not is_sensitive(steps) else ""
        text = f"{dotted(steps)}: {context['text']}{quoted}"
        return Problem(context["code"], steps, text, suggestion=context["suggestion"], at_key=is_key)
    if kind == "extra_forbidden":
        return _unknown(steps)
    if kind == "missing":
        return _missing(steps)
    if kind in _TYPES:
        value = _value(data, steps)
        return Problem(
            "wrong-type",
            steps,
            f"{dotted(steps)}: expected {_TYPES[kind]}, got {shown(value)}",
            help="leave the key out, or give it a value" if value == "" else _members(steps),
        )
    if kind in {"too_short", "dict_too_short"}:
        least = error.get("ctx", {}).get("min_length", 1)
        entries = "one entry" if least == 1 else f"{least} entries"
        return Problem("missing-value", steps, f"{dotted(steps)}: needs at least {entries}")
    return Problem("bad-value", steps, f"{dotted(steps)}: {error['msg']}", at_key=is_key)


def _unknown(steps: Steps) -> Problem:
    known = fields_at(steps[:-1])
    late = explain(steps)
    if late:
        return Problem("not-supported", steps, late, at_key=True)
    return Problem(
        "unknown-key",
        steps,
        f"{dotted(steps)} is not a known setting",
        suggestion=nearest(str(steps[-1]), known),
        help=_members(steps[:-1]),
        at_key=True,
    )


def _missing(steps: Steps) -> Problem:
    group = group_at(steps[:-1])
    field = group.model_fields.get(str(steps[-1])) if group else None
    example = field.examples[0] if field is not None and field.examples else ""
    text = f"{dotted(steps)} is missing"
    return Problem(
        "missing-key",
        steps,
        text,
        at_key=True,
        help=f"{field.description} For example: {steps[-1]}: {_flow(example)}" if field else "",
    )


def _flow(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)


def _members(steps: Steps) -> str:
    known = fields_at(steps)
    return f"settings of {dotted(steps) or 'the file'}: {', '.join(known)}" if known else ""


def fields_at(steps: Steps) -> tuple[str, ...]:
    """Names of the settings of the group at `steps`."""
    group = group_at(steps)
    return tuple(group.model_fields) if group else ()


def group_at(steps: Steps) -> type[Group] | None:
    """The class of the settings at `steps`; None where there is no group."""
    kind: Any = Settings
    for step in steps:
        if isinstance(kind, type) and issubclass(kind, Group):
            field = kind.model_fields.get(str(step))
            kind = field.annotation if field else None
        else:
            arguments = typing.get_args(kind)
            kind = arguments[-1] if typing.get_origin(kind) is dict and arguments else None
        kind = _bare(kind)
    return kind if isinstance(kind, type) and issubclass(kind, Group) else None


def _bare(kind: Any) -> Any:
    """A type without Annotated and None."""
    while typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) in {typing.Union, types.UnionType}:
        rest = [member for member in typing.get_args(kind) if member is not type(None)]
        return _bare(rest[0])
    return kind


def _value(data: Any, steps: Steps) -> Any:
    for step in steps:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return data
    return data


def _prune(data: dict[str, Any], steps: Steps, kind: str) -> Steps:
    """Take the broken part out of `data`; what was taken."""
    if kind == "missing":
        if steps == _BROKERS:  # else all that is wrong beside them would go unseen with them
            data["kafka"]["brokers"] = list(_STAND_INS["kafka"]["brokers"])
            return steps
        if len(steps) <= 1:
            data[str(steps[0])] = copy.deepcopy(_STAND_INS.get(str(steps[0]), {}))
            return steps
        steps = steps[:-1]
    parent: Any = data
    for at, step in enumerate(steps[:-1]):
        below = parent.get(step) if isinstance(parent, dict) else None
        if not isinstance(below, dict):
            steps = steps[: at + 1]
            break
        parent = below
    if isinstance(parent, dict):
        parent.pop(steps[-1], None)
    return steps
