"""The distributions of a reference as one self-contained SVG."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import numpy as np
from numpy.typing import NDArray

from kernels.layout import MISSING
from monitor.plan import Kind
from monitor.reference.picture import share_by_interval, top_categories
from monitor.reference.profile import FeatureProfile, Reference
from monitor.reference.summary import feature_counts

ACROSS = 3
PANEL = (300, 150)
GAP = 16
HEAD = 56
COLUMNS = 48
CATEGORIES = 6
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1f2328}.t{font-weight:600}.s{fill:#59636e;font-size:11px}"
    ".b{fill:#3b6fb6}.f{fill:none;stroke:#d1d9e0}.g{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#9198a1}.b{fill:#6ea3e8}.f{stroke:#3d444d}"
    ".g{fill:#0d1117}}"
)


def svg(reference: Reference) -> str:
    """A panel per feature: a histogram of 48 equal intervals, or the most frequent categories."""
    width, height = PANEL
    down = -(-len(reference.features) // ACROSS)
    size = (GAP + ACROSS * (width + GAP), HEAD + down * (height + GAP))
    title = escape(f"{reference.model} · {reference.name}")
    measures = f'width="{size[0]}" height="{size[1]}" viewBox="0 0 {size[0]} {size[1]}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {measures} role="img" aria-label="{title}">',
        f'<style>{_STYLE}</style><rect class="g" width="100%" height="100%"/>',
        f'<text class="t" x="{GAP}" y="24">{title}</text>',
        f'<text class="s" x="{GAP}" y="42">{reference.rows:,} rows, {len(reference.features)} features</text>',
    ]
    for index, (profile, counts) in enumerate(feature_counts(reference)):
        left = GAP + index % ACROSS * (width + GAP)
        top = HEAD + index // ACROSS * (height + GAP)
        parts.append(f'<g transform="translate({left},{top})">')
        parts.extend(_panel(profile, counts, reference.rows))
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(profile: FeatureProfile, counts: NDArray[np.int64], rows: int) -> Iterator[str]:
    width, height = PANEL
    absent = counts[MISSING] / max(rows, 1)
    yield f'<rect class="f" width="{width}" height="{height}" rx="4"/>'
    yield f'<text class="t" x="8" y="18">{escape(_clip(profile.name, 28))}</text>'
    yield f'<text class="s" x="{width - 8}" y="18" text-anchor="end">missing {absent:.1%}</text>'
    if counts.sum() == counts[MISSING]:
        yield f'<text class="s" x="8" y="{height // 2}">no values</text>'
    elif profile.kind is Kind.NUMERIC:
        yield from _histogram(profile, counts)
    else:
        yield from _categories(profile, counts)


def _histogram(profile: FeatureProfile, counts: NDArray[np.int64]) -> Iterator[str]:
    width, height = PANEL
    (low, high), shares = share_by_interval(profile, counts, columns=COLUMNS)
    room, bottom = height - 54, height - 24
    step = (width - 16) / len(shares)
    for column, share in enumerate(shares.tolist()):
        tall = share / max(float(shares.max()), 1e-300) * room
        if tall > 0:
            yield (
                f'<rect class="b" x="{8 + column * step:.2f}" y="{bottom - tall:.2f}" width="{step * 0.9:.2f}"'
                f' height="{tall:.2f}"/>'
            )
    yield f'<text class="s" x="8" y="{height - 8}">{low:.4g}</text>'
    yield f'<text class="s" x="{width - 8}" y="{height - 8}" text-anchor="end">{high:.4g}</text>'


def _categories(profile: FeatureProfile, counts: NDArray[np.int64]) -> Iterator[str]:
    width, _ = PANEL
    present = max(int(counts.sum()) - int(counts[MISSING]), 1)
    for line, (name, rows) in enumerate(top_categories(profile, counts, most=CATEGORIES)):
        top = 28 + line * 19
        long = rows / present * (width - 160)
        yield f'<text class="s" x="8" y="{top + 12}">{escape(_clip(name, 14))}</text>'
        yield f'<rect class="b" x="100" y="{top + 2}" width="{long:.2f}" height="12"/>'
        yield f'<text class="s" x="{104 + long:.2f}" y="{top + 12}">{rows / present:.1%}</text>'


def _clip(text: str, most: int) -> str:
    """At most `most` characters, without those that XML forbids."""
    plain = "".join(sign if sign.isprintable() else "�" for sign in text)
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"
