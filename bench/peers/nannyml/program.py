"""NannyML: univariate drift (Jensen-Shannon) of all columns; fit on the reference, calculate on the current data."""

import nannyml as nml
import numpy as np
import pandas as pd
from serve import serve

STATE = {}


def load(path, reference):
    STATE["current"], STATE["reference"] = _frame(path), _frame(reference)
    STATE["fitted"] = _calculator().fit(STATE["reference"])


def run(what="fit and calculate"):
    """ "fit and calculate", or "calculate" alone on a calculator that was fitted before."""
    calculator = STATE["fitted"] if what == "calculate" else _calculator().fit(STATE["reference"])
    results = calculator.calculate(STATE["current"])
    return {"chunks": len(results.filter(period="analysis").to_df())}


def _calculator():
    """One chunk of the current data, as ours is one window; ten of the reference for its thresholds."""
    return nml.UnivariateDriftCalculator(
        column_names=list(STATE["reference"].columns), continuous_methods=["jensen_shannon"],
        chunk_size=max(len(STATE["reference"]) // 10, 1),
    )  # fmt: skip


def _frame(path):
    values = np.load(path)
    return pd.DataFrame({f"f{n}": column for n, column in enumerate(values)})


serve(["nannyml", "pandas", "numpy"], load=load, run=run)
