"""popmon: what it compares one time slot of one column with its reference by.

Booleans are given as text: of a boolean column popmon 1.4.12 takes all rows for each category, so that chi2 is always 0.
"""

import logging

import pandas as pd
import popmon  # noqa: F401 - gives frames their methods
from popmon.pipeline.metrics import df_stability_metrics
from samples import column, finite
from serve import serve

METHODS = [
    "psi", "jsd", "max_prob_diff", "chi2", "chi2_norm", "chi2_pvalue", "chi2_zscore", "chi2_max_residual",
]  # fmt: skip


def scores(kind, reference, current, missing):
    if kind == "numeric":
        return {"scores": {}}
    logging.disable(logging.INFO)
    reference, current = ([(str(value), count) for value, count in rows] for rows in (reference, current))
    frames = [
        pd.DataFrame({"x": column(kind, rows, gone)}).assign(t=pd.Timestamp("2026-01-01"))
        for rows, gone in zip((reference, current), missing, strict=True)
    ]
    known = frames[0].pm_make_histograms(features=["t:x"], time_axis="t", time_width="1d")
    store = df_stability_metrics(frames[1], time_axis="t", reference_type="external", reference=known)
    row = store["comparisons"]["x"].iloc[0]
    return {"scores": finite({method: row[f"ref_{method}"] for method in METHODS})}


serve(["popmon", "histogrammar", "pandas", "numpy", "scipy"], scores=scores)
