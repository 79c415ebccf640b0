"""Scouter: the PSI of one column, from its own profile with its defaults."""

import numpy as np
import pandas as pd
from samples import column, finite
from scouter import Drifter, PsiDriftConfig
from serve import serve


def scores(kind, reference, current, missing):
    if kind == "categorical":
        reference, current = ([(str(value), count) for value, count in rows] for rows in (reference, current))
    # A column of numbers beside it: a frame of categories alone is not taken.
    frames = [
        pd.DataFrame({"x": own, "beside": np.arange(len(own), dtype=float)})
        for own in (
            column(kind, rows, gone) for rows, gone in zip((reference, current), missing, strict=True)
        )
    ]
    config = PsiDriftConfig(categorical_features=["x"]) if kind == "categorical" else PsiDriftConfig()
    profile = Drifter().create_drift_profile(frames[0], config)
    return {"scores": finite({"psi": Drifter().compute_drift(frames[1], profile).features["x"]})}


serve(["scouter-ml", "pandas", "numpy"], scores=scores)
