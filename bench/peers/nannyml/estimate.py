"""NannyML: CBPE of its own data sets, fit on the reference, estimated in chunks of the rest."""

import nannyml as nml
import numpy as np
from serve import serve

CHUNK = 5_000
FIGURES = ["roc_auc", "accuracy", "precision", "recall", "f1"]
SETS = {
    "car loan": (nml.load_synthetic_car_loan_dataset, "repaid"),
    "work from home": (nml.load_synthetic_binary_classification_dataset, "work_home_actual"),
}
STATE = {}


def load(name, folder):
    """Both periods as arrays, for ours: scores and labels of the reference, scores of the rest."""
    reader, truth = SETS[name]
    reference, current, _ = reader()
    STATE.update(reference=reference, current=current, truth=truth, fitted=_estimator(truth).fit(reference))
    for file, column in (
        ("scores", reference["y_pred_proba"]),
        ("labels", reference[truth]),
        ("current", current["y_pred_proba"]),
    ):
        np.save(f"{folder}/{file}.npy", column.to_numpy(float))


def run(what="estimate"):
    """ "fit and estimate", or "estimate" alone by an estimator that was fitted before."""
    fitted = STATE["fitted"] if what == "estimate" else _estimator(STATE["truth"]).fit(STATE["reference"])
    table = fitted.estimate(STATE["current"]).filter(period="analysis").to_df()
    return {"figures": {name: table[name, "value"].tolist() for name in FIGURES}}


def _estimator(truth):
    return nml.CBPE(
        y_pred_proba="y_pred_proba", y_pred="y_pred", y_true=truth, metrics=FIGURES, chunk_size=CHUNK,
        problem_type="classification_binary",
    )  # fmt: skip


serve(["nannyml", "pandas", "numpy", "scikit-learn"], load=load, run=run)
