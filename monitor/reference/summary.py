"""What a reference says, as JSON and as text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.layout import FIRST_BIN, MISSING, NON_FINITE, OTHER
from monitor.plan import Kind
from monitor.reference.paths import format_path
from monitor.reference.picture import bars, latency_quantile, quantile, share_by_interval, top_categories
from monitor.reference.profile import FeatureProfile, Reference
from monitor.reference.segments import names_of
from monitor.reference.span import show_span

WIDTH = 32
"""Characters of a distribution."""
LEVELS = (0.01, 0.25, 0.5, 0.75, 0.99)


def feature_counts(reference: Reference) -> Iterator[tuple[FeatureProfile, NDArray[np.int64]]]:
    """Every feature with its part of the counts."""
    start = 0
    for profile in reference.features:
        yield profile, reference.counts[start : start + profile.slots]
        start += profile.slots


def summary(reference: Reference) -> dict[str, Any]:
    """Everything but the counts per pane, as JSON-able values."""
    starts = reference.panes.starts
    times = (int(starts[0]), int(starts[-1]) + reference.pane) if reference.timed else (None, None)
    return {
        "model": reference.model,
        "name": reference.name,
        "digest": reference.digest,
        "created": when(reference.created),
        "origin": dict(reference.origin),
        "rows": reference.rows,
        "errors": reference.errors,
        "timed": reference.timed,
        "start": None if times[0] is None else when(times[0]),
        "end": None if times[1] is None else when(times[1]),
        "pane_ms": reference.pane,
        "panes": len(reference.panes),
        "latency_ms": {
            name: latency_quantile(reference.latency, level)
            for name, level in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
        },
        "notes": list(reference.notes),
        "segments": {
            segment: int(part.panes.rows.sum())
            for column in reference.segments
            for segment, part in zip(names_of(column), column.parts, strict=True)
        },
        "features": [
            _feature(profile, counts, reference.rows) for profile, counts in feature_counts(reference)
        ],
    }


def describe(reference: Reference) -> str:
    """The reference for people: one line per feature, with its distribution."""
    data = summary(reference)
    lines = [
        f"{reference.model} · {reference.name}",
        f"  {reference.rows:,} rows, {len(reference.features)} features, {len(reference.panes):,} panes",
        f"  from {data['start']} to {data['end']}, {show_span(reference.pane)} a pane"
        if reference.timed
        else "  no event times: one pane",
        f"  created {data['created']}, digest {reference.digest[:16] or '-'}",
    ]
    if data["latency_ms"]["p50"] is not None:
        shown = ", ".join(f"{name} {value:.4g} ms" for name, value in data["latency_ms"].items())
        lines.append(f"  latency {shown}")
    if reference.errors:
        lines.append(f"  errors {reference.errors / reference.rows:.3%}")
    wide = max((len(profile.name) for profile in reference.features), default=4)
    lines += ["", f"  {'feature':<{wide}}  {'kind':<11}  {'missing':>7}  {'design':>6}  distribution"]
    for profile, counts in feature_counts(reference):
        absent = f"{counts[MISSING] / max(reference.rows, 1):.2%}"
        design = f"{profile.design:.2f}" if profile.design_measured else "1*"
        lines.append(
            f"  {profile.name:<{wide}}  {profile.kind:<11}  {absent:>7}  {design:>6}  {_shape(profile, counts)}"
        )
    if any(not profile.design_measured for profile in reference.features):
        lines.append("  * design effect assumed, not measured")
    if data["segments"]:
        shares = (f"{name} {rows / reference.rows:.1%}" for name, rows in data["segments"].items())
        lines.append(f"  segments: {', '.join(shares)}")
    lines += [f"  note: {note}" for note in reference.notes]
    return "\n".join(lines)


def when(ms: int) -> str:
    """A time for people and programs: 2026-11-22T20:00:07Z."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _shape(profile: FeatureProfile, counts: NDArray[np.int64]) -> str:
    if profile.kind is Kind.NUMERIC:
        if math.isnan(profile.minimum):
            return f"{'(no values)':<{WIDTH}}"
        (low, high), shares = share_by_interval(profile, counts, columns=WIDTH)
        ends = f"{low:.4g} … {high:.4g}, median {profile.center:.4g}"
        return f"{bars(shares):<{WIDTH}}  {ends}"
    if profile.vector is not None:
        of = (
            f"group of {', '.join(profile.members)}"
            if profile.members
            else f"vectors of {profile.vector.length}"
        )
        return f"{'':<{WIDTH}}  {of}, bandwidth {profile.vector.bandwidth:.3g}"
    pairs = top_categories(profile, counts, most=WIDTH)
    present = max(int(counts[FIRST_BIN:].sum()) + int(counts[OTHER]), 1)
    shown = ", ".join(f"{_short(name)} {rows / present:.1%}" for name, rows in pairs[:4])
    more = len(profile.categories) - 4
    return f"{bars([rows for _, rows in pairs]):<{WIDTH}}  {shown}{f', {more} more' if more > 0 else ''}"


def _feature(profile: FeatureProfile, counts: NDArray[np.int64], rows: int) -> dict[str, Any]:
    data: dict[str, Any] = {
        "name": profile.name,
        "path": format_path(profile.path),
        "kind": str(profile.kind),
        "missing": int(counts[MISSING]) / max(rows, 1),
        "design_effect": profile.design,
        "design_measured": profile.design_measured,
    }
    if profile.kind is Kind.NUMERIC:
        data |= {
            "bins": len(profile.edges) - 1,
            "non_finite": int(counts[NON_FINITE]) / max(rows, 1),
            **{
                name: None if math.isnan(value) else value
                for name, value in (
                    ("min", profile.minimum),
                    ("max", profile.maximum),
                    ("mean", profile.mean),
                    ("std", profile.std),
                    ("iqr", profile.iqr),
                )
            },
            "quantiles": {f"{level:g}": quantile(profile, counts, level) for level in LEVELS},
        }
        return data
    if profile.vector is not None:
        own: dict[str, Any] = {"length": profile.vector.length, "bandwidth": profile.vector.bandwidth}
        own |= {"members": list(profile.members)} if profile.members else {}
        return data | {"non_finite": int(counts[NON_FINITE]) / max(rows, 1), **own}
    return data | {
        "categories": [
            {"category": name, "rows": rows_of} for name, rows_of in top_categories(profile, counts, most=20)
        ],
        "distinct": len(profile.categories),
        "other": int(counts[OTHER]),
    }


def _short(name: str) -> str:
    shown = "".join(sign if sign.isprintable() else "�" for sign in name)
    return shown if len(shown) <= 20 else f"{shown[:19]}…"
