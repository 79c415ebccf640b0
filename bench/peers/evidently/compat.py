"""Evidently: every score that `compat: [evidently]` shows, of one column, through its own report."""

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift
from samples import column, finite
from serve import serve

METHODS = {
    "numeric": ["psi", "kl_div", "jensenshannon", "wasserstein", "hellinger", "ks"],
    "categorical": ["psi", "kl_div", "jensenshannon", "hellinger", "chisquare", "z"],
}


def scores(kind, reference, current, missing):
    columns = {f"{'numerical' if kind == 'numeric' else 'categorical'}_columns": ["x"]}
    frames = [
        Dataset.from_pandas(
            pd.DataFrame({"x": column(kind, rows, gone)}), data_definition=DataDefinition(**columns)
        )
        for rows, gone in zip((reference, current), missing, strict=True)
    ]
    found = {}
    for method in METHODS[kind]:
        values = {value for rows in (reference, current) for value, count in rows if count}
        if method == "z" and len(values) > 2:
            continue  # of more than two categories it compares whichever comes first
        result = Report([ValueDrift(column="x", method=method)]).run(frames[1], frames[0]).dict()
        found[method] = result["metrics"][0]["value"]
    return {"scores": finite(found)}


serve(["evidently", "pandas", "numpy", "scipy"], scores=scores)
