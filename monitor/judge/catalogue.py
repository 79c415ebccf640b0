"""Names of scores and tests; imports nothing heavy."""

from __future__ import annotations

import itertools

LATENCY = "latency"
ERROR = "error"
"""What stands where a feature's name stands for the two things that are not features."""

PSI, KS, G = "psi", "ks", "g"
JOINT = "joint"
"""Of groups of features; see `monitor.judge.joint`."""
NEYMAN = "neyman"
"""Of numeric features, where `detectors:` names it, as it does by default; see `monitor.judge.neyman`."""
QUADRATIC = frozenset({PSI, G, JOINT, NEYMAN})
"""Scores that grow with the square of a change; x takes their root, so that all x are distances."""

MISSING, NON_FINITE, BELOW, ABOVE = "missing", "non_finite", "below", "above"
NOVEL, OTHER, VIOLATION = "novel", "other", "violation"
NUMERIC_SPECIALS = (MISSING, NON_FINITE, BELOW, ABOVE)
CATEGORICAL_SPECIALS = (MISSING, NOVEL, OTHER)
VECTOR_SPECIALS = (MISSING, NON_FINITE)
RATIOS = (MISSING, NON_FINITE, BELOW, ABOVE, NOVEL, OTHER, VIOLATION, ERROR, LATENCY)

EARLY = "early"
"""The test of looks at open windows."""

DISTANCES = ("js", "hellinger", "total_variation", "linf")
"""Distances over coarse slots, of either kind of feature."""
WASSERSTEIN = "wasserstein"
MMD, MEAN_SHIFT = "mmd", "mean_shift"
"""Of vector features; see `monitor.judge.vectors`."""
OF_VECTORS = frozenset({MMD, MEAN_SHIFT})
VECTOR_SCORES = (MMD, "mmd_noise", MEAN_SHIFT, "mean_shift_noise", "mean_shift_dimension")
"""In this order; noise is what sampling alone does to the score before it."""
INCOMPLETE = "incomplete"
"""Share of the rows of a window in which a member of a group has no finite value; its ratio is not tested: members'
own are."""
DETECTORS = (*DISTANCES, WASSERSTEIN, MMD, MEAN_SHIFT)
"""Scores without a closed null that `detectors:` can make vote."""
VOTERS = (NEYMAN, *DETECTORS)
"""What `detectors:` can name."""
COVERAGE = "label_coverage"
FIGURES = {
    "score": ("accuracy", "precision", "recall", "f1", "auc", "log_loss", "brier", "calibration_error"),
    "class": ("accuracy", "macro_precision", "macro_recall", "macro_f1"),
    "number": ("mae", "rmse", "bias", "r2"),
}
"""Kind of the prediction → what its labels are counted to, beside the coverage."""
ESTIMATED = ("accuracy", "precision", "recall", "f1", "auc")
"""Those that a reference which knows labels can tell of scores alone."""
PERFORMANCE = (*dict.fromkeys(itertools.chain.from_iterable(FIGURES.values())), COVERAGE)
"""Figures of windows whose labels are in, that limits can be set on."""
FEATURE_MISMATCH = "feature_mismatch"
"""Share of the compared records of a window in which a feature, or any, was not what the online store has."""
OF_ERRORS = ("adwin", "page_hinkley", "ddm", "eddm", "fhddm", "hddm_a", "hddm_w")
"""river's detectors on a stream of errors: `monitor.labels.concept`. Not KSWIN, which tests all that it holds at every
row: minutes for a window."""
OF_NUMBERS = ("adwin", "page_hinkley")
"""Those that take any number; the others count rows that are wrong."""
MOMENTS = ("mean", "std", "median", "p01", "p99")

PRODUCTS = ("evidently", "nannyml", "scouter", "popmon")
"""Whose definitions of scores are known: `monitor.judge.compat`."""

SEASONS = {"hour_of_day": 24, "day_of_week": 7, "hour_of_week": 168}
"""Kinds of season that a reference is read by, and how many there are of each."""

SCORES = (
    PSI,
    KS,
    G,
    JOINT,
    NEYMAN,
    INCOMPLETE,
    *DISTANCES,
    WASSERSTEIN,
    *VECTOR_SCORES,
    *RATIOS,
    *MOMENTS,
    "p50",
    "p90",
)
"""Every name that a verdict's scores can hold, beside `<ratio>_ratio` and `reference_<moment>`."""
