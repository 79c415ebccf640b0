"""Types of settings: each takes the text of the file and refuses it with a sentence of its own."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError, core_schema

from monitor.config import quantity
from monitor.config.document import resolve
from monitor.config.finding import nearest
from monitor.config.paths import parse_path
from monitor.config.rule import GrammarError
from monitor.config.sensitive import IN_URL, MASK
from monitor.config.tree import Scalar
from monitor.plan import Path
from monitor.reference.paths import format_path
from monitor.secret import Secret

PLACEHOLDER = {"type": "string", "pattern": r"\$\{[^}]+\}"}
"""JSON Schema of a value that is not known before substitution."""


def refuse(code: str, text: str, *, suggestion: str = "", got: Any = None) -> PydanticCustomError:
    """The error a validator raises; `load` turns it into a finding.

    The value stands in `got` and nowhere else, so that it can be left out where it is a secret.
    """
    quoted = "" if got is None else shown(got)
    context = {"code": code, "text": text, "suggestion": suggestion, "got": quoted}
    return PydanticCustomError("driftline", "{text}", context)


def shown(value: Any) -> str:
    """What an error may quote of a value."""
    if isinstance(value, dict | list | tuple):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = IN_URL.sub(MASK, value.shown if isinstance(value, Scalar) else str(value))
    return "nothing" if text == "" else f"`{text if len(text) <= 60 else text[:57] + '…'}`"


def typed(value: Any) -> Any:
    """The YAML value of a scalar; anything else as it is."""
    return resolve(str(value)) if isinstance(value, Scalar) and value.is_typed else value


def as_text(value: Any) -> str:
    if isinstance(value, Scalar) and value.leaf.plain and not value.leaf.origins and resolve(value) is None:
        raise refuse("wrong-type", "expected a text", got="")
    if not isinstance(value, str):
        raise refuse("wrong-type", "expected a text", got=value)
    if "\0" in value:
        raise refuse("bad-value", "a text cannot hold a NUL character")
    return str(value)


def as_whole(value: Any) -> int:
    number = typed(value)
    if isinstance(number, float) and number.is_integer() and abs(number) < 2**53:
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int):
        raise refuse("wrong-type", f"expected a whole number{_quotes(value)}", got=value)
    if abs(number) > 2**62:
        raise refuse("bad-value", "the number is too large")
    return number


def as_number(value: Any) -> float:
    number = typed(value)
    if isinstance(number, str) and number.endswith("%"):
        number = _parse("bad-number", quantity.parse_number, value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise refuse("wrong-type", f"expected a number{_quotes(value)}", got=value)
    if not math.isfinite(number):
        raise refuse("bad-value", "expected a finite number")
    return float(number)


def as_flag(value: Any) -> bool:
    flag = typed(value)
    if not isinstance(flag, bool):
        near = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(
            str(value).lower(), str(value)
        )
        raise refuse(
            "wrong-type",
            f"expected true or false{_quotes(value)}",
            got=value,
            suggestion=nearest(near, ("true", "false")),
        )
    return flag


def _quotes(value: Any) -> str:
    is_quoted = isinstance(value, Scalar) and not value.is_typed and resolve(str(value)) != str(value)
    return " without quotes" if is_quoted else ""


def _parse(code: str, parse: Callable[[str], Any], value: Any) -> Any:
    if not isinstance(value, str):
        raise refuse("wrong-type", "expected a text", got=value)
    try:
        return parse(str(value))
    except GrammarError as error:
        raise refuse(code, str(error), suggestion=error.suggestion) from None
    except ValueError as error:
        raise refuse(code, str(error), got=value) from None


def parsed(code: str, parse: Callable[[str], Any], kind: type = str) -> BeforeValidator:
    """A validator that parses text and lets values that are `kind` already pass."""

    def validate(value: Any) -> Any:
        if isinstance(value, kind) and not isinstance(value, str | bool):
            return value
        return _parse(code, parse, value)

    return BeforeValidator(validate)


def bounded(low: float, high: float, form: Callable[[Any], str] = str) -> AfterValidator:
    """A closed interval of allowed values, as part of a type."""

    def validate(value: Any) -> Any:
        if not low <= value <= high:
            raise refuse("out-of-range", f"must lie between {form(low)} and {form(high)}")
        return value

    return AfterValidator(validate)


@dataclass(frozen=True)
class Choice:
    """One of a closed set of words; `later` are those that other versions bring."""

    known: tuple[str, ...]
    later: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, follow: Any) -> Any:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, schema: Any, follow: Any) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(self.known)}, PLACEHOLDER]}

    def _check(self, value: Any) -> str:
        word = as_text(value)
        if word in self.later:
            raise refuse(
                "not-supported",
                f"`{word}` is not supported by this version; supported: {', '.join(self.known)}",
            )
        if word not in self.known:
            raise refuse(
                "bad-value",
                f"expected one of {', '.join(self.known)}",
                got=value,
                suggestion=nearest(word, self.known),
            )
        return word


def _either(*schemas: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [*schemas, PLACEHOLDER]})


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError("a time zone is written like Europe/Berlin or UTC") from None
    return text


def _cidr(text: str) -> str:
    return str(ip_network(text))


def _name(text: str) -> str:
    if not re.fullmatch(r"[^\s|/\x00-\x1f\x7f](?:[^|/\x00-\x1f\x7f]{0,198}[^\s|/\x00-\x1f\x7f])?", text):
        raise ValueError(
            "a name has 1 to 200 characters, none of them | or / or a control character, "
            "and no space at either end"
        )
    return text


def _label(text: str) -> str:
    if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", text) or text.startswith("__"):
        raise ValueError("a label name has letters, digits and _ only")
    return text


def _topic(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", text) or text in {".", ".."}:
        raise ValueError("a topic name has 1 to 249 letters, digits, dots, dashes and underscores")
    return text


_DURATION_SCHEMA = _either({"type": "string", "pattern": r"^(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$"})
_SHARE_SCHEMA = _either(
    {"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "pattern": r"^[0-9.]+%$"}
)

Text = Annotated[str, BeforeValidator(as_text), WithJsonSchema({"type": ["string", "number", "boolean"]})]
Whole = Annotated[int, BeforeValidator(as_whole), _either({"type": "integer"})]
Number = Annotated[float, BeforeValidator(as_number), _either({"type": "number"})]
Flag = Annotated[bool, BeforeValidator(as_flag), _either({"type": "boolean"})]
Duration = Annotated[
    int,
    parsed("bad-duration", quantity.parse_duration, int),
    PlainSerializer(quantity.format_duration),
    _DURATION_SCHEMA,
]
Size = Annotated[
    int,
    parsed("bad-size", quantity.parse_size, int),
    PlainSerializer(quantity.format_size),
    _either({"type": "integer"}, {"type": "string", "pattern": r"^\d+(\.\d+)? ?([kKMGT]i?)?B?$"}),
]
Share = Annotated[float, parsed("bad-share", quantity.parse_share, float), _SHARE_SCHEMA]
DottedPath = Annotated[
    Path,
    parsed("bad-path", parse_path, tuple),
    PlainSerializer(format_path),
    WithJsonSchema({"type": "string"}),
]
Zone = Annotated[str, parsed("bad-timezone", _zone), WithJsonSchema({"type": "string"})]
Cidr = Annotated[str, parsed("bad-network", _cidr), WithJsonSchema({"type": "string"})]
Name = Annotated[str, parsed("bad-name", _name), WithJsonSchema({"type": "string"})]
Topic = Annotated[str, parsed("bad-topic", _topic), WithJsonSchema({"type": "string"})]
LabelName = Annotated[str, parsed("bad-name", _label), WithJsonSchema({"type": "string"})]


def _secret(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise refuse("wrong-type", "expected a text", got=value)
    if not value:
        raise refuse("bad-value", "a secret cannot be empty")
    return Secret(value=as_text(value))


SecretText = Annotated[
    Secret,
    BeforeValidator(_secret),
    PlainSerializer(lambda secret, info: show_secret(secret, info.context)),
    WithJsonSchema({"type": "string", "writeOnly": True}),
]


def show_secret(secret: Secret, context: Any) -> str:
    """`<secret>`, or its text when the caller of the serializer asks for it in `context`."""
    is_open = isinstance(context, dict) and context.get("secrets") == "shown"
    return secret.value if is_open else "<secret>"
