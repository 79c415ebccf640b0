"""The JSON Schema of the configuration, for editors; generated from the classes of settings."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from monitor.config.base import Group
from monitor.config.settings import Settings

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def generate() -> dict[str, Any]:
    """The schema of a whole configuration; placeholders are valid wherever a value is."""
    schema = Settings.model_json_schema(mode="validation")
    definitions = schema.pop("$defs")
    for group in {group.__name__: group for group in groups()}.values():
        _complete(group, schema if group is Settings else definitions[group.__name__])
    return {"$schema": DRAFT, **schema, "title": "driftline", "$defs": dict(sorted(definitions.items()))}


def render() -> str:
    """The text of `configs/schema/driftline.schema.json`."""
    return json.dumps(generate(), indent=2, ensure_ascii=False) + "\n"


def groups(kind: Any = Settings) -> Iterator[type[Group]]:
    """Every class of settings below `kind`, and itself."""
    if isinstance(kind, type) and issubclass(kind, Group):
        yield kind
        for field in kind.model_fields.values():
            yield from groups(field.annotation)
    elif typing.get_origin(kind) in {typing.Union, types.UnionType, typing.Annotated, dict, tuple}:
        for member in typing.get_args(kind):
            yield from groups(member)


def _complete(group: type[Group], schema: dict[str, Any]) -> None:
    """Descriptions, examples, and defaults as they would be written; pydantic leaves some out."""
    schema.pop("title", None)
    for name, field in group.model_fields.items():
        given = schema["properties"][name]
        given.pop("title", None)
        given["description"] = field.description
        given["examples"] = field.examples
        if not field.is_required():
            given["default"] = default_of(field)


def default_of(field: FieldInfo) -> Any:
    """The default of a setting as it would be written in a file."""
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    value = field.get_default(call_default_factory=True, validated_data={})
    return TypeAdapter(kind).dump_python(value, mode="json")
