"""NannyML: univariate drift and missing values of trailing windows, each given as a chunk."""

import nannyml as nml
import numpy as np
import pandas as pd
from looks import is_number, windows
from serve import serve

STATE = {}


def load(reference, numeric, categorical):
    STATE.update(reference=np.load(reference), methods=(numeric, categorical), fitted={})


def score(path, out, columns, looks, window, every):
    chunks = windows(path, columns=columns, looks=looks, window=window, every=every)
    frame = _frame(chunks.transpose(1, 0, 2).reshape(len(columns), -1), columns)
    drift, missing = (
        one.calculate(frame).filter(period="analysis").to_df() for one in _fitted(tuple(columns), window)
    )
    found = np.empty((3, len(columns), len(chunks)))
    for at, feature in enumerate(columns):
        name, method = f"f{feature}", STATE["methods"][0 if is_number(feature) else 1]
        found[0, at] = drift[name, method, "value"].to_numpy(float)
        found[1, at] = missing[name, "value"].to_numpy(float)
        found[2, at] = drift[name, method, "alert"].to_numpy(float)
    np.save(out, found)


def _fitted(columns, window):
    key = columns, window
    if key not in STATE["fitted"]:
        names, frame = [f"f{n}" for n in columns], _frame(STATE["reference"][list(columns)], columns)
        drift = nml.UnivariateDriftCalculator(
            column_names=names, chunk_size=window, continuous_methods=[STATE["methods"][0]],
            categorical_methods=[STATE["methods"][1]],
        )  # fmt: skip
        missing = nml.MissingValuesCalculator(column_names=names, chunk_size=window, normalize=True)
        STATE["fitted"][key] = drift.fit(frame), missing.fit(frame)
    return STATE["fitted"][key]


def _frame(values, columns):
    return pd.DataFrame({f"f{n}": _column(n, rows) for n, rows in zip(columns, values, strict=True)})


def _column(feature, rows):
    """Categories are texts, so that they are taken for such."""
    if is_number(feature):
        return rows
    return pd.Series([None if np.isnan(value) else f"k{value:.0f}" for value in rows], dtype=object)


serve(["nannyml", "pandas", "numpy", "scipy"], load=load, score=score)
