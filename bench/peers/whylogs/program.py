"""whylogs: profiles of DataFrames (`why.log`), and its drift report from two profiles."""

import numpy as np
import pandas as pd
import whylogs as why
from serve import serve
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

STATE = {}


def load(path, reference=None):
    """float64[columns, rows] each; a DataFrame is whylogs' own batch interface, and its fastest."""
    STATE["current"] = _frame(path)
    if reference:
        STATE["reference"] = why.log(_frame(reference)).view()


def run(what="log"):
    """log: profile the current data. drift: the same, and scores against the reference's profile."""
    view = why.log(STATE["current"]).view()
    if what == "drift":
        scores = calculate_drift_scores(
            target_view=view, reference_view=STATE["reference"], with_thresholds=True
        )
        return {"scores": len(scores)}
    return {}


def _frame(path):
    values = np.load(path)
    return pd.DataFrame({f"f{n}": column for n, column in enumerate(values)})


serve(["whylogs", "pandas", "numpy"], load=load, run=run)
