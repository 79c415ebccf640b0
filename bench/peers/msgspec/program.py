"""msgspec: structs declared for the very records, decoded one by one. Nothing is done with them."""

from pathlib import Path

import msgspec
from serve import serve

STATE = {}


def load(path, fields):
    """`fields`: name → "number" | "text", of the features; `time` is the type of ts."""
    kinds = {"number": float | None, "text": str | None, "integer": int}
    features = msgspec.defstruct(
        "Features", [(name, kinds[kind], None) for name, kind in fields["features"].items()]
    )
    outer = [
        ("id", str),
        ("ts", int if fields["time"] == "integer" else str),
        ("model", str),
        ("version", str),
    ]
    record = msgspec.defstruct("Record", [*outer, ("features", features)])
    STATE["lines"] = Path(path).read_bytes().splitlines()
    STATE["decode"] = msgspec.json.Decoder(record).decode


def run():
    decode = STATE["decode"]
    for line in STATE["lines"]:
        decode(line)


serve(["msgspec"], load=load, run=run)
