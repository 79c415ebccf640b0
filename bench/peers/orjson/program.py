"""orjson: every record to a dict. Nothing is done with it."""

from pathlib import Path

import orjson
from serve import serve

LINES = []


def load(path, fields=None):
    LINES[:] = Path(path).read_bytes().splitlines()


def run():
    decode = orjson.loads
    for line in LINES:
        decode(line)


serve(["orjson"], load=load, run=run)
