"""alibi-detect: p-values of trailing windows, by its detectors of one feature; larger scores are smaller p-values.

A missing category is one category more, and whether a value is missing is a feature for Fisher's exact test: its
detectors take no NaN. Its online detectors are left out: their thresholds are simulated, for at least as many rows as
may pass between two false alarms of any of the features, which are millions here.
"""

import numpy as np
from alibi_detect.cd import ChiSquareDrift, CVMDrift, FETDrift, KSDrift
from looks import is_number, present, scored
from serve import serve

CATEGORIES = 12
LEVEL = 0.05
"""Its default, divided by the number of features."""
STATE = {}


def load(reference, numeric, categorical):
    assert categorical == "chisquare"
    values = np.load(reference)
    of = {"ks": KSDrift, "cvm": CVMDrift}[numeric]
    STATE["drift"] = [
        of(present(rows)[:, None]) if is_number(feature)
        else ChiSquareDrift(_codes(rows), categories_per_feature={0: CATEGORIES + 1})
        for feature, rows in enumerate(values)
    ]  # fmt: skip
    STATE["missing"] = [FETDrift(np.isnan(rows).astype(int), alternative="greater") for rows in values]


def score(path, out, columns, looks, window, every):
    scored(path, out, columns=columns, looks=looks, window=window, every=every, score=_score)


def _score(feature, rows):
    given = present(rows)[:, None] if is_number(feature) else _codes(rows)
    drift = _told(STATE["drift"][feature], given)
    missing = _told(STATE["missing"][feature], np.isnan(rows).astype(int))
    return drift, missing, drift >= -np.log(LEVEL / len(STATE["drift"]))


def _told(detector, rows):
    p = float(np.ravel(detector.predict(rows)["data"]["p_val"])[0])
    return -np.log(max(p, 1e-300))


def _codes(rows):
    return np.where(np.isnan(rows), CATEGORIES, rows).astype(int)[:, None]


serve(["alibi-detect", "numpy", "scipy", "scikit-learn"], load=load, score=score)
