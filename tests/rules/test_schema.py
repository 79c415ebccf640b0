from __future__ import annotations

import json

from tests.rules.tree import ROOT

SCHEMA = ROOT / "configs" / "schema" / "driftline.schema.json"


def test_the_json_schema_is_current() -> None:
    """Editors complete what this version accepts: the file is what `driftline config schema` prints."""
    from monitor.config.schema import generate

    name = SCHEMA.relative_to(ROOT)
    assert SCHEMA.is_file(), f"{name}:1: missing - write it with `driftline config schema`"
    stored = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(generate())), (
        f"{name}:1: stale - write it with `driftline config schema`"
    )
