"""A configuration to begin with, for a topic that nobody has described yet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from monitor.plan import Kind
from monitor.reference.infer import Field, Schema
from monitor.reference.paths import format_path
from monitor.reference.role import plain_name

RESERVED = frozenset({"prediction", "label", "latency", "error"})
"""Names that mean something else to the judge."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"passw|secret|token|jaas|credential|(^|[._])key($|[._])|\.pem$", re.IGNORECASE)
_WORDS = frozenset(["true", "false", "null", "yes", "no", "on", "off", "y", "n"])


def starter(
    schema: Schema,
    *,
    topic: str,
    brokers: Sequence[str],
    properties: Mapping[str, str] | None = None,
) -> str:
    """YAML that `driftline run` accepts: one source, its models, every feature that was found.

    The first model of the records gets a reference. The others are there too, as a record of a model
    that is not configured is rejected, and have none until one is built.
    """
    build = f"driftline reference build --from topic:{_comment(topic)} -c driftline.yaml"
    lines = [
        f"# Inferred from {schema.records} records of {_comment(topic)}. Check it, then build the reference from a",
        "# span of time that was normal:",
        f"#   {build} --model {_comment(_model(schema))} --since 30d -o {_file(schema)}",
        "version: 1",
        "kafka:",
        f"  brokers: [{', '.join(_quote(broker) for broker in brokers)}]",
    ]
    lines += [
        *_properties(properties or {}),
        "sources:",
        f"  {_key(plain_name((topic,)) or 'predictions')}:",
        f"    topic: {_quote(topic)}",
        "    format: json",
        *_fields(schema),
        "models:",
        f"  {_key(_model(schema))}:",
        f"    reference: {_quote(_file(schema))}",
        "    budget: 2 per 30d  # false pages you accept",
        "    windows: {1h: {size: 1h}}",
        *_features(schema),
        *_outcome(schema, "prediction"),
        *_outcome(schema, "label"),
        *_others(schema),
    ]
    return "\n".join(lines) + "\n"


def _properties(properties: Mapping[str, str]) -> Iterator[str]:
    """Properties as given; of secrets only where they are to come from."""
    shown = {name: value for name, value in properties.items() if not _SECRET.search(name)}
    hidden = [name for name in properties if name not in shown]
    if shown:
        yield "  properties:"
        yield from (f"    {_key(name)}: {_quote(value)}" for name, value in shown.items())
    if hidden:
        yield "  secret_properties:"
    for name in hidden:
        variable = re.sub(r"[^A-Z0-9]+", "_", name.upper())
        yield f'    {_key(name)}: "${{env:KAFKA_{variable}}}"'


def _fields(schema: Schema) -> Iterator[str]:
    inner = []
    for role in ("id", "time", "model", "version", "variant", "latency", "error"):
        candidate = schema.roles.get(role)
        if candidate is None:
            continue
        path = _quote(format_path(candidate.path))
        value = path if candidate.unit is None else f"{{path: {path}, unit: {candidate.unit}}}"
        inner.append(f"      {role}: {value}  # {candidate.why}")
    if "time" not in schema.roles:
        inner.append("      # time: no field looks like a time; the Kafka record timestamp is the event time")
    if len(inner) == 1 and inner[0].lstrip().startswith("#"):
        yield inner[0].replace("      ", "    ", 1)
    else:
        yield "    fields:"
        yield from inner


def _others(schema: Schema) -> Iterator[str]:
    """The models beside the first. Which features they have the records were not asked."""
    if not schema.features and schema.models[1:]:  # a model of neither reference nor features is refused
        yield f"  # also in these records: {', '.join(_quote(name) for name in schema.models[1:])}"
        return
    for model in schema.models[1:]:
        yield f"  {_key(_name(model))}:  # is in these records too; without a reference it is unknown"
        yield "    windows: {1h: {size: 1h}}"
        yield from _features(schema)
        yield from _outcome(schema, "prediction")
        yield from _outcome(schema, "label")


def _features(schema: Schema) -> Iterator[str]:
    for left_out, reason in schema.left_out.items():
        yield f"    # not a feature: {_comment(format_path(left_out))} ({_comment(reason)})"
    if not schema.features:
        yield "    # no features were found in these records"
        return
    yield "    features:"
    names: set[str] = set()
    for one in schema.features:
        name = _unique(one, names)
        names.add(name)
        path = _quote(format_path(one.path))
        settings = [f"path: {path}", f"kind: {one.kind}"] + [f"length: {one.length}"] * (one.length > 0)
        yield f"      {_key(name)}: {{{', '.join(settings)}}}  # {_seen(one)}"


def _outcome(schema: Schema, role: str) -> Iterator[str]:
    candidate = schema.roles.get(role)
    if candidate is None:
        if role == "prediction":
            yield "    # prediction: no field is named like one; {path: …, kind: score | class | number}"
        return
    one = next(one for one in schema.fields if one.path == candidate.path)
    yield f"    {role}: {{path: {_quote(format_path(one.path))}, kind: {_outcome_kind(one)}}}  # {candidate.why}"


def _outcome_kind(one: Field) -> str:
    if one.kind is not Kind.NUMERIC:
        return "class"
    assert one.minimum is not None
    assert one.maximum is not None
    return "score" if one.minimum >= 0 and one.maximum <= 1 else "number"


def _seen(one: Field) -> str:
    parts = [f"null in {one.nulls} of {one.present + one.nulls}"] if one.nulls else []
    if one.kind is Kind.NUMERIC and one.minimum is not None:
        parts.append(f"seen {one.minimum:g} to {one.maximum:g}")
    elif one.kind is Kind.VECTOR:
        parts.append("a list of numbers")
    elif one.kind is not Kind.NUMERIC:
        parts.append(f"{one.distinct} categories")
    return ", ".join(parts) or "check"


def _unique(one: Field, names: set[str]) -> str:
    """A short name, or the whole path where the short one is taken."""
    last = one.path[-1]
    short = _name(last if isinstance(last, str) else format_path(one.path[-2:]))
    if short not in names and short not in RESERVED:
        return short
    long = _name(format_path(one.path))
    numbered = (f"{long}_{number}" for number in range(2, len(names) + 3))
    return next(name for name in (long, *numbered) if name not in names and name not in RESERVED)


def _name(text: str) -> str:
    """A name that a configuration may use."""
    return re.sub(r"[|/\s\x00-\x1f\x7f]", "_", text)[:80] or "_"


def _model(schema: Schema) -> str:
    return _name(schema.models[0]) if schema.models else "model"


def _file(schema: Schema) -> str:
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', _model(schema)).strip('-') or 'model'}.ref"


def _key(text: str) -> str:
    """A YAML key; keys are never substituted, so `$` stands as it is."""
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else _escaped(text)


def _quote(text: str) -> str:
    """A YAML scalar: plain where that is safe, else quoted with `$` doubled."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", text) and text.lower() not in _WORDS
    return text if plain else _escaped(text).replace("$", "$$")


def _escaped(text: str) -> str:
    """A double-quoted YAML scalar of ASCII alone; JSON's surrogate pairs are no YAML."""
    return '"' + "".join(_sign(sign) for sign in text) + '"'


def _sign(sign: str) -> str:
    if sign in '"\\':
        return f"\\{sign}"
    if " " <= sign <= "~":
        return sign
    return f"\\u{ord(sign):04x}" if ord(sign) <= 0xFFFF else f"\\U{ord(sign):08x}"


def _comment(text: str) -> str:
    return _escaped(text)[1:-1]
