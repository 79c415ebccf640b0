"""Extracts in the terms of their tests: effective rows, statistics with known nulls."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.layout import NUMERIC
from kernels.scores import PSI, G, M, N
from monitor.judge.extract import CAP, Extract
from monitor.judge.frame import Frame
from monitor.judge.joint import LEAST, nearly_chi, variance
from monitor.judge.neyman import ORDER, inflation, order_of

Array = NDArray[np.float64]


def divergence_samples(windows: Extract, frame: Frame) -> tuple[Array, Array]:
    """y (chi-square under no change) and k = 1/n + 1/m of psi and g: float64[windows, features].

    y is PSI/k of a numeric feature and G of a categorical one. k is inf where either side is empty.
    """
    out = windows.divergence
    with np.errstate(divide="ignore"):
        k = 1.0 / out[:, :, N] + 1.0 / out[:, :, M]
    y = np.where(frame.layout.kind == NUMERIC, out[:, :, PSI] / k, out[:, :, G])
    return np.where(np.isfinite(k), y, 0.0), np.where(np.isfinite(k), k, 0.0)


def distance_samples(windows: Extract, frame: Frame) -> tuple[Array, Array, Array, Array]:
    """D, √(nm/(n + m)), n and m of ks, effective rows: float64[windows, numeric]; zeros where empty."""
    d, n, m = np.moveaxis(windows.distance, 2, 0)
    design = frame.design[frame.numeric]
    n, m = np.minimum(n, CAP * m) / design, m / design
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.nan_to_num(np.sqrt(n * m / (n + m)))
    return d, scale, n, m


def ratio_samples(windows: Extract, frame: Frame) -> tuple[Array, Array, Array, Array]:
    """x of n and y of m, effective rows, of every ratio: float64[windows, ratios]."""
    y, m = windows.base[:, 0], windows.base[:, 1]
    design = np.where(frame.owner >= 0, frame.design[frame.owner], 1.0) if len(frame.design) else 1.0
    n = np.minimum(windows.trials, CAP * m) / design
    with np.errstate(invalid="ignore", divide="ignore"):
        x = np.nan_to_num(windows.hits * (n / windows.trials))
    return x, n, y / design, m / design


def joint_samples(windows: Extract, frame: Frame) -> tuple[Array, Array, Array, Array]:
    """y (nearly chi-square under no change), n and m (effective rows) of joint, and the degrees of freedom of y:
    float64[windows, joints]. n, m and y are 0 where either side has too few rows.

    Rows of a group depend on each other as much as those of the member that do most.
    """
    square, n, m = np.moveaxis(windows.joint, 2, 0)
    known = (n >= LEAST) & (m >= LEAST)
    design = np.array([max(frame.design[i] for i in one.members) for one in frame.joints], np.float64)
    n, m = np.where(known, np.minimum(n, CAP * m) / design, 0.0), np.where(known, m / design, 0.0)
    y, df = nearly_chi(square, variance(n, m), frame.joints)
    return np.where(known, y, 0.0), n, m, np.broadcast_to(df, y.shape)


def neyman_samples(windows: Extract, frame: Frame) -> tuple[Array, Array, Array, Array, Array]:
    """y, its degrees of freedom as a chi-square under no change, by what y is too large for one, n and m (effective rows) of
    neyman: float64[windows, numeric or 0]."""
    z, n, m = windows.neyman[:, :, :ORDER], windows.neyman[:, :, ORDER], windows.neyman[:, :, ORDER + 1]
    design = frame.design[frame.numeric][: len(frame.bases)]
    n, m = np.minimum(n, CAP * m) / design, m / design
    order = order_of(n, frame)
    votes = np.arange(ORDER) < order[:, :, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.nan_to_num((z**2 * votes).sum(axis=2) / variance(n, m), posinf=0.0)
    return y, np.where((n > 0) & (m > 0), order, 0.0), inflation(y, order, n, m, frame), n, m
