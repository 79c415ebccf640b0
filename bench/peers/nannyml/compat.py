"""NannyML: every score that `compat: [nannyml]` shows, of one column in one chunk."""

import nannyml as nml
import pandas as pd
from samples import column, finite
from serve import serve

METHODS = {
    "numeric": ["jensen_shannon", "hellinger", "kolmogorov_smirnov", "wasserstein"],
    "categorical": ["jensen_shannon", "hellinger", "l_infinity", "chi2"],
}


def scores(kind, reference, current, missing):
    frames = [
        pd.DataFrame({"x": column(kind, rows, gone)})
        for rows, gone in zip((reference, current), missing, strict=True)
    ]
    side = "continuous" if kind == "numeric" else "categorical"
    calculator = nml.UnivariateDriftCalculator(
        column_names=["x"], chunk_number=1, **{f"{side}_methods": METHODS[kind]},
        **({} if kind == "numeric" else {"treat_as_categorical": ["x"]}),
    )  # fmt: skip
    calculator.fit(frames[0])
    table = calculator.calculate(frames[1]).filter(period="analysis").to_df()
    return {"scores": finite({method: table["x", method, "value"].iloc[0] for method in METHODS[kind]})}


serve(["nannyml", "pandas", "numpy", "scipy"], scores=scores)
