"""Rows of predictions and labels, the counts of them, and figures row by row."""

from __future__ import annotations

import math

import numpy as np

from monitor.labels.cells import BINS, HALF, Binary, Multiclass, Regression

UNIT = 2.0**20


def bins_of(scores, threshold):
    """Bin of each score, as the definition has it."""
    below = np.minimum((scores / threshold * HALF).astype(int), HALF - 1)
    above = HALF + np.minimum(((scores - threshold) / (1 - threshold) * HALF).astype(int), HALF - 1)
    return np.where(scores >= threshold, above, below)


def binary(scores, labels, threshold, *, has_label=None):
    """Counts of scores and labels 0 and 1, of which those without `has_label` have not come."""
    came = np.ones(len(scores), bool) if has_label is None else has_label
    own = bins_of(scores, threshold)
    counts = np.zeros((BINS, 2), np.int64)
    np.add.at(counts, (own[came], labels[came]), 1)
    s, y = scores[came], labels[came]
    clipped = np.clip(s, 2.0**-24, 1 - 2.0**-24)
    loss = -np.log(np.where(y == 1, clipped, 1 - clipped))
    sums = [int(np.rint(part * UNIT).sum()) for part in (s, (s - y) ** 2, loss)]
    return Binary(threshold, counts, np.array(sums, np.int64), np.bincount(own, minlength=BINS), len(scores))


def multiclass(predicted, labels, classes, *, has_label=None):
    """Counts of classes; those from `classes` on are any other."""
    came = np.ones(len(labels), bool) if has_label is None else has_label
    counts = np.zeros((classes + 1, classes + 1), np.int64)
    np.add.at(counts, (np.minimum(predicted, classes)[came], np.minimum(labels, classes)[came]), 1)
    return Multiclass(counts, len(labels))


def regression(predictions, labels, scale):
    """Sums of errors and labels."""
    q, p = (
        np.clip(np.rint(part / scale * 65536), -(2**26), 2**26).astype(np.int64)
        for part in (predictions - labels, labels)
    )
    sums = [len(q), q.sum(), abs(q).sum(), ((q >> 8) ** 2).sum(), p.sum(), ((p >> 8) ** 2).sum()]
    return Regression(scale, np.array(sums, np.int64), len(q))


def naive_binary(scores, labels, threshold):
    """Every figure, row by row, but for calibration error; what is not defined is left out."""
    rows = list(zip(scores.tolist(), labels.tolist(), strict=True))
    tp = sum(s >= threshold and y == 1 for s, y in rows)
    fp = sum(s >= threshold and y == 0 for s, y in rows)
    fn = sum(s < threshold and y == 1 for s, y in rows)
    found = {"accuracy": (len(rows) - fp - fn) / len(rows)}
    if tp + fp:
        found["precision"] = tp / (tp + fp)
    if tp + fn:
        found["recall"] = tp / (tp + fn)
    if tp + fp + fn:
        found["f1"] = 2 * tp / (2 * tp + fp + fn)
    ones, zeros = scores[labels == 1], scores[labels == 0]
    if len(ones) and len(zeros):
        found["auc"] = float(
            ((ones[:, None] > zeros).sum() + (ones[:, None] == zeros).sum() / 2) / len(ones) / len(zeros)
        )
    found["brier"] = sum((s - y) ** 2 for s, y in rows) / len(rows)
    clip = [(min(max(s, 2.0**-24), 1 - 2.0**-24), y) for s, y in rows]
    found["log_loss"] = -sum(math.log(s if y else 1 - s) for s, y in clip) / len(rows)
    return found


def naive_calibration(scores, labels, threshold):
    """Mean distance of mean score and share of 1 over 16 groups."""
    group = bins_of(scores, threshold) // 16
    return sum(
        abs(scores[group == g].mean() - labels[group == g].mean()) * (group == g).mean() for g in set(group)
    )


def naive_multiclass(predicted, labels, classes):
    """Every figure, row by row."""
    known = (predicted < classes) | (labels < classes)
    found = {"accuracy": float((predicted == labels)[known].mean())} if known.any() else {}
    of = {"macro_precision": [], "macro_recall": [], "macro_f1": []}
    for own in range(classes):
        hits = int(((predicted == own) & (labels == own)).sum())
        p, r = int((predicted == own).sum()), int((labels == own).sum())
        for name, above, below in (
            ("macro_precision", hits, p),
            ("macro_recall", hits, r),
            ("macro_f1", 2 * hits, p + r),
        ):
            if below:
                of[name].append(above / below)
    return found | {name: sum(values) / len(values) for name, values in of.items() if values}


def scored(rng, rows, *, slope=3.0, shift=-1.0):
    """Scores of a calibrated model, and labels."""
    scores = 1 / (1 + np.exp(-(slope * rng.normal(size=rows) / 2 + shift)))
    return scores, (rng.random(rows) < scores).astype(int)
