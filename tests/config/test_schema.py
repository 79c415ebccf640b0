from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from monitor.config.schema import generate, groups, render

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "configs" / "schema" / "driftline.schema.json"


def test_the_committed_schema_is_current() -> None:
    """`driftline config schema > configs/schema/driftline.schema.json` would change nothing."""
    assert COMMITTED.read_text(encoding="utf-8") == render()


def test_every_setting_is_described() -> None:
    """Description, examples, and a default unless it is required, on every setting of every group."""
    schema = generate()
    definitions: dict[str, Any] = {**schema["$defs"], "Settings": schema}
    assert len(definitions) > 20
    for name, group in definitions.items():
        assert group["additionalProperties"] is False, name
        for key, given in group["properties"].items():
            assert len(given["description"]) > 3, (name, key)
            assert given["examples"], (name, key)
            assert ("default" in given) != (key in group.get("required", ())), (name, key)


def test_examples_of_settings_are_valid() -> None:
    """Every example in the schema is accepted by the class that gives it."""
    from pydantic import TypeAdapter

    for group in {group.__name__: group for group in groups()}.values():
        for name, field in group.model_fields.items():
            kind: Any = field.annotation
            from typing import Annotated

            adapter = TypeAdapter(Annotated[kind, *field.metadata] if field.metadata else kind)
            for example in field.examples or ():
                adapter.validate_python(example)
                assert example is not None, name


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("configs/examples/*.yaml"), *ROOT.glob("configs/environments/*.yaml")])
)
def test_editors_accept_our_files(path: Path) -> None:
    """The schema has no complaint about the examples, placeholders and shorthands included."""
    schema = generate()
    if path.parent.name == "environments":
        schema.pop("required")  # an overlay is not a whole configuration
        for definition in schema["$defs"].values():
            definition.pop("required", None)
    Draft202012Validator.check_schema(schema)
    text = path.read_text(encoding="utf-8")
    errors = list(Draft202012Validator(schema).iter_errors(yaml.safe_load(text)))
    assert [error.message for error in errors] == []
    head = text.splitlines()[0]
    found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", head)
    assert found
    assert (path.parent / found[1]).resolve() == COMMITTED


@pytest.mark.parametrize(
    "text", ["{kafka: {brokers: [a], grup: x}}", "{log: {level: loud}}", "{state: {stall: 5}}"]
)
def test_editors_see_mistakes(text: str) -> None:
    """Unknown keys, wrong words and durations without a unit are marked while typing."""
    schema = generate()
    schema.pop("required")
    assert list(Draft202012Validator(schema).iter_errors(yaml.safe_load(text)))


def test_the_schema_is_json() -> None:
    """The text ends in a line break and is plain JSON."""
    assert json.loads(render())["title"] == "driftline"
    assert render().endswith("}\n")
