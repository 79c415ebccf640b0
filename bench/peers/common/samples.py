"""A column of each sample, from the rows of each of its values, as bench/compat.py tells them."""

import numpy as np
import pandas as pd


def column(kind, rows, missing):
    """`rows`: [value, rows] pairs. Categories are strings or booleans, missing ones None; numbers float64 and NaN."""
    if kind == "numeric":
        values = np.repeat([float(value) for value, _ in rows], [count for _, count in rows])
        return pd.Series(np.append(values, np.full(missing, np.nan)), name="x")
    values = [value for value, count in rows for _ in range(count)] + [None] * missing
    return pd.Series(values, dtype=object, name="x")


def finite(scores):
    return {name: float(value) for name, value in scores.items() if np.isfinite(value)}
