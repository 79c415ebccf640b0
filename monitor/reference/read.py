"""Any training file as tables."""

from __future__ import annotations

from pathlib import Path

from monitor.errors import ReferenceInvalid
from monitor.reference.csv_file import MISSING_TOKENS, CsvTables
from monitor.reference.parquet_file import ParquetTables
from monitor.reference.records import JsonLines, RecordTables
from monitor.reference.selection import Selection

CSV = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz")
JSON = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz")
PARQUET = (".parquet", ".pq", ".parq")

FileTables = CsvTables | ParquetTables | RecordTables


def open_file(path: str, selection: Selection, *, missing: frozenset[str] = MISSING_TOKENS) -> FileTables:
    """The tables of a file, by its name: Parquet (also a folder), CSV or JSON lines.

    Raises ReferenceInvalid when the file is of no known kind, is not readable, or has not the
    columns that `selection` names.
    """
    lower = path.lower()
    if Path(path).is_dir() or lower.endswith(PARQUET):
        return ParquetTables(path, selection)
    if lower.endswith(CSV):
        return CsvTables(path, selection, missing)
    if lower.endswith(JSON):
        return RecordTables(JsonLines(path), selection)
    raise ReferenceInvalid(
        f"a file of no known kind - {path} - a name that ends in {', '.join((*PARQUET, *CSV[:2], *JSON[:2]))}"
        " (.gz too) is right"
    )
