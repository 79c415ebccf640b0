"""The diagnosis of the drifting model of `tests.web.view`, as a verdict has it."""

from __future__ import annotations

DIAGNOSIS = {
    "features": [
        {
            "feature": "age", "test": "missing", "x": 21.4, "share": 0.68, "kind": "missing", "title": "missing values",
            "text": "57 % missing, 2 % in the reference", "figures": {"share": 0.57, "reference_share": 0.02},
        },
        {
            "feature": "tenure_months", "test": "psi", "x": 9.8, "share": 0.29, "kind": "scale",
            "title": "unit or scale change", "text": "values x 12 in 31 % of the rows, mean 36 → 159 (x 4.41)",
            "figures": {"factor": 12.0, "share": 0.31},
            "also": [{"kind": "missing", "title": "missing values", "text": "4 % missing, 2 % in the reference", "figures": {}}],
        },
        {
            "feature": "country", "test": "novel", "x": 1.7, "share": 0.03, "kind": "renamed",
            "title": "renamed categories", "text": "UK → GB: 31 % under the new name", "figures": {"share": 0.31},
        },
    ],
    "more": 0,
    "segments": {
        "guilty": [{"segment": "country=DE", "x": 9.1, "rows": 9_000, "feature": "age"}],
        "innocent": ["country=FR", "country=other"],
        "of": {"guilty": 1, "innocent": 5, "all": 7},
    },
    "where": {"text": "device = ios: 92 % of it, in 4 % of the rows (4 % in the reference)", "features": ["device"]},
    "since": {"start": 1_795_376_400_000, "end": 1_795_380_000_000},
    "records": [],
    "commands": [
        "kcat -b BROKER -C -t predictions -p 0 -o 81234 -c 24106",
        "kcat -b BROKER -C -t predictions -p 1 -o 80110 -c 24105",
        "driftline replay -c CONFIG --source predictions --from 2026-11-22T19:00:00.000Z --to 2026-11-22T20:05:00.000Z",
    ],
}  # fmt: skip
