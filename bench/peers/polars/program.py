"""polars: read_ndjson over all records at once, joined by newlines, one thread, schema given."""

from pathlib import Path

import polars as pl
from serve import serve

STATE = {}


def load(path, fields):
    kinds = {"number": pl.Float64, "text": pl.String, "integer": pl.Int64}
    features = pl.Struct({name: kinds[kind] for name, kind in fields["features"].items()})
    STATE["schema"] = {
        "id": pl.String, "ts": kinds[fields["time"]], "model": pl.String, "version": pl.String, "features": features,
    }  # fmt: skip
    STATE["bytes"] = Path(path).read_bytes()
    if pl.thread_pool_size() != 1:
        raise RuntimeError(f"{pl.thread_pool_size()} threads - POLARS_MAX_THREADS=1 was asked for")


def run():
    return {"rows": pl.read_ndjson(STATE["bytes"], schema=STATE["schema"]).height}


serve(["polars"], load=load, run=run)
