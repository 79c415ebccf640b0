"""Rows of one model that came two ways, in the order of the batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.columns import NOTHING_NOVEL, Columns, Novel


def combine(one: Columns, other: Columns) -> Columns:
    """The rows of both, of the same model and batch; no record in both."""
    if not len(other):
        return one
    if not len(one):
        return other
    order = np.argsort(np.concatenate([one.index, other.index]), kind="stable")
    numbers = {group: number for number, group in enumerate(one.groups)}
    moved = np.array([numbers.setdefault(group, len(numbers)) for group in other.groups], np.int32)
    group = np.concatenate([one.group, moved[other.group]])[order]
    distinct, met, place = np.unique(group, return_index=True, return_inverse=True)
    turn = np.argsort(met)  # numbered as they are met, as each of both was
    groups = list(numbers)
    return Columns(
        model=one.model,
        index=np.concatenate([one.index, other.index])[order],
        offsets=np.concatenate([one.offsets, other.offsets])[order],
        timestamps=np.concatenate([one.timestamps, other.timestamps])[order],
        events=np.concatenate([one.events, other.events])[order],
        values=np.ascontiguousarray(np.concatenate([one.values, other.values], axis=1)[:, order]),
        codes=np.ascontiguousarray(np.concatenate([one.codes, other.codes], axis=1)[:, order]),
        vectors=_vectors(one, other, order),
        latency=np.concatenate([one.latency, other.latency])[order],
        errors=np.concatenate([one.errors, other.errors])[order],
        group=np.argsort(turn).astype(np.int32)[place],
        groups=tuple(groups[number] for number in distinct[turn].tolist()),
        novel=_novel(one, other, order),
    )


def _vectors(one: Columns, other: Columns, order: NDArray[np.int64]) -> NDArray[np.float64] | None:
    if one.vectors is None or other.vectors is None:
        return None
    return np.ascontiguousarray(np.concatenate([one.vectors, other.vectors])[order])


def _novel(one: Columns, other: Columns, order: NDArray[np.int64]) -> Novel:
    if not len(one.novel) and not len(other.novel):
        return NOTHING_NOVEL
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order))
    names = {name: number for number, name in enumerate(one.novel.names)}
    moved = np.array([names.setdefault(name, len(names)) for name in other.novel.names], np.int32)
    return Novel(
        row=place[np.concatenate([one.novel.row, other.novel.row + len(one)])],
        column=np.concatenate([one.novel.column, other.novel.column]),
        name=np.concatenate([one.novel.name, moved[other.novel.name]]),
        names=tuple(names),
    )
