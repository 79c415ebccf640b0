"""Evidently: DataDriftPreset on two DataFrames, end to end: from the frames to the result as a dict."""

import numpy as np
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
from serve import serve

STATE = {}


def load(path, reference):
    STATE["current"], STATE["reference"] = _frame(path), _frame(reference)


def run():
    result = Report([DataDriftPreset()]).run(STATE["current"], STATE["reference"])
    return {"metrics": len(result.dict()["metrics"])}


def _frame(path):
    values = np.load(path)
    return pd.DataFrame({f"f{n}": column for n, column in enumerate(values)})


serve(["evidently", "pandas", "numpy", "scipy"], load=load, run=run)
