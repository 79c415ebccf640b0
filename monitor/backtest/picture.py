"""Verdicts over time, pages and incidents, as one self-contained SVG."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from monitor.backtest.summary import Seen, summarize
from monitor.incident.model import Incident
from monitor.verdict import State

WIDTH, MARGIN, LANE, HEAD, FOOT = 960, 16, 64, 64, 28
TICKS = 6
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1f2328}.t{font-weight:600}.s{fill:#59636e;font-size:11px}"
    ".g{fill:#fff}.ok{fill:#2a7d4f}.warn{fill:#e0a100}.drift{fill:#c22f2f}.unknown{fill:#c3cad2}"
    ".p{fill:#1f2328}.i{fill:#c22f2f;opacity:.5}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#9198a1}.g{fill:#0d1117}.p{fill:#e6edf3}"
    ".ok{fill:#63c68d}.warn{fill:#e9b04d}.drift,.i{fill:#ff7b74}.unknown{fill:#4a525c}}"
)


@dataclass(frozen=True, slots=True)
class Lane:
    """What is drawn in one row: one family of windows of one candidate."""

    label: str
    items: tuple[Seen, ...]


def lanes_of(label: str, items: Sequence[Seen]) -> list[Lane]:
    """A lane for each model and family of windows."""
    return [
        Lane(
            " · ".join(part for part in (label, row.model, row.window) if part),
            tuple(
                seen for seen in items if (seen.verdict.model, seen.verdict.window) == (row.model, row.window)
            ),
        )
        for row in summarize(items)
    ]


def picture(title: str, lanes: Sequence[Lane]) -> str:
    """Windows by colour, a mark at each page, and a bar for as long as an incident was open."""
    verdicts = [seen.verdict for lane in lanes for seen in lane.items]
    begin = min((verdict.start for verdict in verdicts), default=0)
    end = max((verdict.end for verdict in verdicts), default=1)
    height = HEAD + len(lanes) * LANE + FOOT
    name = escape(_plain(title))
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
            f' role="img" aria-label="{name}">'
        ),
        f'<style>{_STYLE}</style><rect class="g" width="100%" height="100%"/>',
        f'<text class="t" x="{MARGIN}" y="24">{name}</text>',
        *_legend(),
    ]
    for number, lane in enumerate(lanes):
        parts.append(f'<g transform="translate(0,{HEAD + number * LANE})">')
        parts.extend(_lane(lane, begin, end))
        parts.append("</g>")
    parts.extend(_axis(begin, end, height))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend() -> Iterator[str]:
    for at, state in enumerate(State):
        x = MARGIN + 90 * at
        yield f'<rect class="{state.value}" x="{x}" y="36" width="12" height="12"/>'
        yield f'<text class="s" x="{x + 18}" y="46">{state.value}</text>'
    x = MARGIN + 90 * len(State)
    yield f'<path class="p" d="{_mark(x + 6, 48)}"/><text class="s" x="{x + 18}" y="46">page</text>'
    yield f'<rect class="i" x="{x + 90}" y="40" width="24" height="5"/>'
    yield f'<text class="s" x="{x + 120}" y="46">incident</text>'


def _lane(lane: Lane, begin: int, end: int) -> Iterator[str]:
    pages = sum(seen.pages for seen in lane.items)
    closed = [seen.verdict for seen in lane.items if not seen.verdict.early]
    count = f"{len({verdict.end for verdict in closed}):,} windows, {pages} page{'s' * (pages != 1)}"
    yield f'<text class="t" x="{MARGIN}" y="12">{escape(_plain(lane.label))}</text>'
    yield f'<text class="s" x="{WIDTH - MARGIN}" y="12" text-anchor="end">{count}</text>'
    step = min((verdict.end - verdict.start for verdict in closed), default=1)
    ends = sorted({verdict.end for verdict in closed})
    if len(ends) > 1:  # windows that overlap are drawn as far as each adds to the one before
        step = min(step, *(b - a for a, b in itertools.pairwise(ends)))
    last = {verdict.end: verdict.state for verdict in closed}
    for first, until, state in _runs(sorted(last.items()), step):
        left, right = _x(first, begin, end), _x(until, begin, end)
        yield (
            f'<rect class="{state.value}" x="{left:.2f}" y="30" width="{max(right - left, 0.75):.2f}" height="16"/>'
        )
    for seen in lane.items:
        if seen.pages:
            yield f'<path class="p" d="{_mark(_x(seen.verdict.end, begin, end), 28)}"/>'
    for incident in _incidents(lane.items):
        left, right = _x(incident.onset, begin, end), _x(max(incident.updated, incident.opened), begin, end)
        yield f'<rect class="i" x="{left:.2f}" y="48" width="{max(right - left, 1.5):.2f}" height="5"/>'


def _runs(states: Sequence[tuple[int, State]], step: int) -> Iterator[tuple[int, int, State]]:
    """Neighbouring windows of one state are one rectangle."""
    open_: tuple[int, int, State] | None = None
    for end, state in states:
        if open_ is not None and open_[2] is state and open_[1] >= end - step:
            open_ = (open_[0], end, state)
            continue
        if open_ is not None:
            yield open_
        open_ = (end - step, end, state)
    if open_ is not None:
        yield open_


def _incidents(items: Sequence[Seen]) -> list[Incident]:
    """As they stood last."""
    found = {t.incident.id: t.incident for seen in items for t in seen.transitions}
    return list(found.values())


def _axis(begin: int, end: int, height: int) -> Iterator[str]:
    day = 86_400_000
    form = "%Y-%m-%d" if end - begin >= TICKS * day else "%m-%d %H:%M"
    for tick in range(TICKS + 1):
        at = begin + (end - begin) * tick // TICKS
        anchor = "start" if tick == 0 else "end" if tick == TICKS else "middle"
        text = f"{datetime.fromtimestamp(at / 1000, UTC):{form}}"
        yield (
            f'<text class="s" x="{_x(at, begin, end):.2f}" y="{height - 10}" text-anchor="{anchor}">{text}</text>'
        )


def _x(at: int, begin: int, end: int) -> float:
    return MARGIN + (WIDTH - 2 * MARGIN) * (at - begin) / max(end - begin, 1)


def _mark(x: float, bottom: float) -> str:
    return f"M{x:.2f} {bottom}l-4.5 -9h9z"


def _plain(text: str) -> str:
    """Without signs that XML forbids."""
    return "".join(sign if sign.isprintable() else "�" for sign in text)
