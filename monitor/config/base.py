"""What all classes of settings share."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict

from monitor.config.sensitive import MASK, is_sensitive_key
from monitor.secret import Secret


class Group(BaseModel):
    """A mapping with known keys. Frozen; unknown keys are errors; errors never hold values.

    A group with a `shorthand` may be written as one scalar, the value of that key, where `expand` says so.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        strict=False,
        arbitrary_types_allowed=True,
        protected_namespaces=(),
    )

    shorthand: typing.ClassVar[str] = ""

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            is_map = isinstance(value, dict)
            yield name, {k: MASK if is_sensitive_key(k) else v for k, v in value.items()} if is_map else value

    def chosen(self, field: str) -> Secret:
        """The secret of the twins `field` and `field_file` as written; empty when neither is given."""
        file = getattr(self, f"{field}_file")
        return Secret(file=file) if file else getattr(self, field) or Secret()


def expand(group: type[Group]) -> Any:
    """A validator that lets `group` be written as one scalar, the value of its shorthand."""
    from pydantic import BeforeValidator

    def validate(value: Any) -> Any:
        return {group.shorthand: value} if isinstance(value, str) else value

    return BeforeValidator(validate, json_schema_input_type=group | str)
