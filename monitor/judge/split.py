"""Rows in slots that some pane divides: those from it on, and those before it with the reference's. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.tilted import tilt, tilt_each

Array = NDArray[np.float64]


class Split(NamedTuple):
    """By every pane at once.

    known   float64[slots]         rows of the reference, effective, none 0; and of panes after the change
    after   float64[panes, slots]  rows from each pane on, effective
    rows    float64[panes]         of them
    total   of all rows
    shares  float64[slots]         of all rows
    """

    known: Array
    after: Array
    rows: Array
    total: float
    shares: Array

    @property
    def before(self) -> Array:
        """float64[panes, slots]: of the panes alone."""
        return np.asarray(self.after[0] - self.after)

    def tilted(self, ways: Array) -> Array:
        """log of the likelihood ratio to no change where q becomes q exp(a + way): float64[directions * sizes, panes] of
        float64[directions, sizes, slots], sizes ascending. Neither q nor a is known: see `kernels.tilted`."""
        flat = np.ascontiguousarray(ways).reshape(-1, ways.shape[2])
        out = np.ascontiguousarray(flat @ self.after.T)
        tilt(out, self.rows, self.total, self.shares, flat, ways.shape[1])
        return out

    def tilted_each(self, ways: Array) -> Array:
        """The same where each pane has a way of its own: float64[panes] of float64[panes, slots]."""
        out = np.asarray((ways * self.after).sum(axis=1))
        tilt_each(out, self.rows, self.total, self.shares, np.ascontiguousarray(ways))
        return out

    def of_panes(self, some: NDArray[np.bool_]) -> Split:
        """Of some panes, for `tilted_each`."""
        return self._replace(after=self.after[some], rows=self.rows[some])

    def until(self, pane: int | None) -> Split:
        """Of the panes before one: the rows from it on are as those before a change. None: of all."""
        if pane is None:
            return self
        known, after = self.known + self.after[pane], self.after[:pane] - self.after[pane]
        return self._replace(known=known, after=after, rows=after.sum(axis=1))

    def one(self, slot: int) -> Split:
        """Of two slots: this one, and all others."""

        def two(part: Array) -> Array:
            return np.stack([part[..., slot], part.sum(axis=-1) - part[..., slot]], axis=-1)

        return self._replace(known=two(self.known), after=two(self.after), shares=two(self.shares))


def split(panes: NDArray[np.int64], known: Array, design: float) -> Split:
    """Of panes int64[panes, slots] in the order of time; `design` is what as many rows count as one."""
    after = np.cumsum(panes[::-1], axis=0)[::-1] / design
    whole = known + after[0]
    return Split(known, after, after.sum(axis=1), float(whole.sum()), whole / whole.sum())


def average(logarithms: Array) -> Array:
    """log of the average over the first axis."""
    return np.asarray(np.logaddexp.reduce(logarithms, axis=0) - np.log(len(logarithms)))
