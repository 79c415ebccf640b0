"""The effective configuration: everything that is in force, where it comes from, without secrets."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from monitor.config.document import resolve
from monitor.config.finding import Steps
from monitor.config.sensitive import MASK, is_sensitive, mask_urls
from monitor.config.settings import Settings
from monitor.config.validate import group_at

_BARE = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./-]*")


class Mode(enum.StrEnum):
    REDACTED = "redacted"
    UNREDACTED = "unredacted"
    ORIGIN = "origin"


def effective(settings: Settings, *, secrets: bool = False) -> dict[str, Any]:
    """All settings as they would be written, defaults included and empty ones left out.

    Without `secrets`, secrets and everything that came from a `${file:…}` are masked.
    """
    dump = settings.model_dump(
        mode="json", exclude_none=True, context={"secrets": "shown" if secrets else ""}
    )
    whole = _without_empty(dump)
    assert isinstance(whole, dict)
    return whole if secrets else _redact(settings, whole, ())


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_empty(child) for key, child in value.items() if child != ""}
    return value


def _redact(settings: Settings, value: Any, steps: Steps) -> Any:
    if isinstance(value, dict):
        return {key: _redact(settings, child, (*steps, key)) for key, child in value.items()}
    if isinstance(value, list):
        return [_redact(settings, child, (*steps, index)) for index, child in enumerate(value)]
    if is_sensitive(steps):
        return MASK
    leaf = settings.origin.leaf(steps)
    return mask_urls(leaf.raw if leaf and "file" in leaf.origins else value)


def render_json(settings: Settings, *, mode: str = Mode.REDACTED) -> dict[str, Any]:
    """The effective configuration; in mode `origin` each value stands beside its origin."""
    data = effective(settings, secrets=mode == Mode.UNREDACTED)
    return _with_origins(settings, data, ()) if mode == Mode.ORIGIN else data


def _with_origins(settings: Settings, value: Any, steps: Steps) -> Any:
    if isinstance(value, dict) and value:
        return {key: _with_origins(settings, child, (*steps, key)) for key, child in value.items()}
    return {"value": value, "origin": _origin(settings, steps)}


def _origin(settings: Settings, steps: Steps) -> str:
    mark = settings.origin.mark(steps)
    found, _, _ = settings.origin.node(steps)
    group = group_at(steps[:-1])
    if found != steps and group and group.shorthand != steps[-1]:
        return "default"
    return f"{mark.file}:{mark.line}" if mark else "default"


def render(settings: Settings, *, mode: str = Mode.REDACTED) -> str:
    """The effective configuration as YAML; without redaction, `load` reads it back to the same settings."""
    data = effective(settings, secrets=mode == Mode.UNREDACTED)
    lines = list(_lines(settings, data, (), mode))
    return "\n".join(lines) + "\n"


def _lines(settings: Settings, value: dict[str, Any], steps: Steps, mode: str) -> Iterator[str]:
    indent = "  " * len(steps)
    for key, child in value.items():
        inner = (*steps, key)
        if isinstance(child, dict) and child:
            yield f"{indent}{write(key)}:"
            yield from _lines(settings, child, inner, mode)
            continue
        note = f"  # {_origin(settings, inner)}" if mode == Mode.ORIGIN else ""
        yield f"{indent}{write(key)}: {_flow(child)}{note}"


def _flow(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_flow(child) for child in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{write(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    return write(value.replace("$", "$$") if isinstance(value, str) else value)


def write(value: Any) -> str:
    """A scalar as YAML 1.1 and 1.2 both read it."""
    if not isinstance(value, str):
        return json.dumps(value)
    is_bare = _BARE.fullmatch(value) and isinstance(resolve(value), str)
    if is_bare and isinstance(yaml.safe_load(value), str):
        return value
    return '"' + "".join(_escape(character) for character in value) + '"'


def _escape(character: str) -> str:
    if character in {'"', "\\"}:
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"
