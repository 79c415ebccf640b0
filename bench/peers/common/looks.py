"""Windows of the newest rows at every look, of rows as bench/detecting/rows.py draws them: float64[features, rows]."""

import numpy as np

NUMERIC = 15
"""The features before are numbers, those after categories; NaN is missing."""


def is_number(feature):
    return feature < NUMERIC


def present(column):
    return column[~np.isnan(column)]


def windows(path, *, columns, looks, window, every):
    """The window of each look: float64[looks, features, window]; `looks` [first, last), the first of a full window."""
    values = np.load(path)[columns]
    return np.array([values[:, (look + 1) * every - window : (look + 1) * every] for look in range(*looks)])


def scored(path, out, *, columns, looks, window, every, score):
    """Write score(feature, rows of it) → (drift, share missing, whether it is drift by default): float64[3, features, looks]."""
    found = [
        [score(feature, rows) for feature, rows in zip(columns, one, strict=True)]
        for one in windows(path, columns=columns, looks=looks, window=window, every=every)
    ]
    np.save(out, np.array(found, float).transpose(2, 1, 0))
