"""What a reference, or a segment of it, looks like to windows of one size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kernels.scores import PEARSON, SLOTS
from monitor.judge.extract import Extract
from monitor.judge.frame import Frame, build_frame
from monitor.judge.seasons import Seasons, calendar, read_seasons, usable
from monitor.judge.tolerances import ENOUGH
from monitor.judge.windows import reference_windows
from monitor.plan import ModelPlan, WindowSpec
from monitor.reference.profile import Reference


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The frame with the design effects of this window size, the reference's own windows, and the seasons
    that windows are compared with instead of the whole frame; None where there are none. `notes` say why
    a reference is not read by season though it should be."""

    frame: Frame
    windows: Extract | None
    seasons: Seasons | None
    notes: tuple[str, ...]

    @property
    def past(self) -> NDArray[np.float64]:
        """What detectors scored in these windows: float64[windows, features, detectors]."""
        if self.windows is None:
            return np.empty((0, len(self.frame.features), len(self.frame.detectors)))
        return self.windows.detectors

    @property
    def usual(self) -> Frame:
        """The frame, as large as what half of the reference's windows are compared with."""
        frame = self.frame
        if self.windows is None or self.seasons is None:
            return frame
        error = len(frame.picked) + len(frame.breaches)
        share = float(np.median(self.windows.base[:, 1, error])) / max(frame.rows, 1)
        return replace(frame, coarse=frame.coarse * share)


def view_of(reference: Reference, plan: ModelPlan, spec: WindowSpec) -> View:
    seasons, notes = _seasons(reference, plan, spec)
    frame, windows = _windows(reference, plan, spec, seasons)
    return View(frame, windows, seasons, notes)


def _seasons(
    reference: Reference, plan: ModelPlan, spec: WindowSpec
) -> tuple[Seasons | None, tuple[str, ...]]:
    """The seasons that windows are compared with, or why there are none."""
    if plan.season == "none":
        return None, ()
    if why := usable(reference):
        return None, (why,)
    own = calendar(reference, plan.season, spec.timezone)
    if own.groups == 1:
        return None, ("not read by season: the reference has too few rows or days of each",)
    return read_seasons(reference, own), ()


def _windows(
    reference: Reference, plan: ModelPlan, spec: WindowSpec, seasons: Seasons | None
) -> tuple[Frame, Extract | None]:
    """The frame with the design effects of this window size, and the reference's own windows.

    A design effect is measured between blocks inside windows, where the course of the day counts
    as dependence (27 for departure times in daily windows, which hardly differ from day to day).
    Dependent rows also make whole windows differ, so their dispersion bounds it.
    """
    frame = build_frame(reference, plan)
    measured = frame.design
    frame = replace(frame, design=np.ones(len(measured)))
    windows = reference_windows(reference, spec, frame, min_rows=plan.min_records, seasons=seasons)
    bound = np.full(len(measured), np.inf)
    if windows is not None and len(windows) >= ENOUGH:
        bound = np.maximum(dispersion(windows), 1.0)
    design = np.minimum(measured, bound)
    if (design > 1.0).any():
        frame = replace(frame, design=design)
        windows = reference_windows(reference, spec, frame, min_rows=plan.min_records, seasons=seasons)
    return frame, windows


def dispersion(windows: Extract) -> NDArray[np.float64]:
    """Per feature, the median of Pearson's statistic over its own median under independent rows."""
    df = np.maximum(windows.divergence[:, :, SLOTS] - 1, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = df * (1.0 - 2.0 / (9.0 * df)) ** 3  # Wilson and Hilferty 1931
        ratio = np.where(df > 0, windows.divergence[:, :, PEARSON] / middle, 0.0)
    return np.asarray(np.median(ratio, axis=0), np.float64)
