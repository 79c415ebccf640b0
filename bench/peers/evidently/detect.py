"""Evidently: drift scores of trailing windows, by the functions that its report calls, and shares of missing values.

A report takes tens of milliseconds beside them; `load` holds one against the functions.
"""

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations import stattests
from evidently.legacy.core import ColumnType
from evidently.metrics import MissingValueCount, ValueDrift
from looks import is_number, present, scored
from serve import serve

METHODS = {
    "wasserstein": stattests.wasserstein_stat_test,
    "psi": stattests.psi_stat_test,
    "jensenshannon": stattests.jensenshannon_stat_test,
    "ks": stattests.ks_stat_test,
    "chisquare": stattests.chi_stat_test,
}
P_VALUES = ("ks", "chisquare")
STATE = {}


def load(reference, numeric, categorical):
    values = np.load(reference)
    STATE["methods"] = (numeric, categorical)
    STATE["reference"] = [pd.Series(present(column)) for column in values]
    STATE["missing"] = np.isnan(values).mean(axis=1)
    if "checked" not in STATE:
        STATE["checked"] = _check(values)


def score(path, out, columns, looks, window, every):
    scored(path, out, columns=columns, looks=looks, window=window, every=every, score=_score)


def _score(feature, rows):
    drift, is_drift = _drift(feature, pd.Series(present(rows)))
    return drift, np.isnan(rows).mean() - STATE["missing"][feature], is_drift


def _drift(feature, rows):
    kind = ColumnType.Numerical if is_number(feature) else ColumnType.Categorical
    method = _method(feature)
    found, is_drift = METHODS[method].func(
        STATE["reference"][feature], rows, kind, METHODS[method].default_threshold
    )
    return _larger(method, float(found)), bool(is_drift)


def _larger(method, found):
    """Smaller p-values are more."""
    return -np.log(max(found, 1e-300)) if method in P_VALUES else found


def _method(feature):
    return STATE["methods"][0 if is_number(feature) else 1]


def _check(values):
    """The report says the same of 400 rows."""
    for feature in (0, len(values) - 1):
        kind = "numerical" if is_number(feature) else "categorical"
        definition = DataDefinition(**{f"{kind}_columns": ["x"]})
        frames = [
            Dataset.from_pandas(pd.DataFrame({"x": rows}), data_definition=definition)
            for rows in (values[feature, :400], values[feature])
        ]
        metrics = [ValueDrift(column="x", method=_method(feature)), MissingValueCount(column="x")]
        drift, missing = Report(metrics).run(*frames).dict()["metrics"]
        theirs, share = float(drift["value"]), missing["value"]["share"]
        ours, gone, _ = _score(feature, values[feature, :400])
        assert np.isclose(_larger(_method(feature), theirs), ours), (theirs, ours)
        assert np.isclose(share - STATE["missing"][feature], gone), (share, gone)
    return True


serve(["evidently", "pandas", "numpy", "scipy"], load=load, score=score)
