"""What `driftline replay` prints of a log: verdicts one by one, or candidates side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from monitor.backtest.summary import Row, Seen, summarize, unproven
from monitor.config.quantity import format_duration
from monitor.incident.model import cause_of, causes_of
from monitor.judge.record import to_json
from monitor.replay import Tally
from monitor.verdict import State

Found = Mapping[str, Sequence[Seen]]
"""Candidate → what was judged."""
_MINUTE = 60_000


def data(tally: Tally, found: Found) -> dict[str, Any]:
    """As JSON. Verdicts and incidents at the top are those of the first candidate."""
    first = next(iter(found.values()))
    return {
        "records": tally.records,
        "rows": tally.rows,
        "late": tally.late,
        "future": tally.future,
        "rejects": tally.rejects,
        "pages": sum(item.pages for item in first),
        "candidates": [_candidate(name, items) for name, items in found.items()],
        "verdicts": [to_json(item.verdict) for item in first if not item.verdict.early],
        "early": [to_json(item.verdict) for item in first if item.verdict.early],
        "incidents": _incidents(first),
    }


def _candidate(name: str, items: Sequence[Seen]) -> dict[str, Any]:
    doubtful = unproven(items)
    return {
        "candidate": name,
        "pages": sum(item.pages for item in items),
        "windows": [
            {
                "model": row.model,
                "window": row.window,
                "proven": (row.model, row.window) not in doubtful,
                "windows": row.windows,
                **{state.value: count for state, count in row.states.items()},
                "pages": row.pages,
                "early": row.early,
                "mean_delay_ms": row.mean_delay,
                "worst_delay_ms": row.worst_delay,
            }
            for row in summarize(items)
        ],
        "paged": [body for body in _incidents(items) if body["pages"]],
    }


def _incidents(items: Sequence[Seen]) -> list[dict[str, Any]]:
    return [
        {
            "kind": str(transition.kind),
            "pages": transition.pages,
            "incident": transition.incident.to_json(),
        }
        for item in items
        for transition in item.transitions
        if str(transition.kind) != "update"
    ]


def text(tally: Tally, found: Found) -> str:
    """For people: every verdict of a single candidate; of several the table alone, and what paged."""
    lines: list[str] = []
    if len(found) == 1:
        lines += _verdicts(next(iter(found.values())))
        lines.append("")
    rejects = ", ".join(f"{reason} {count:,}" for reason, count in sorted(tally.rejects.items())) or "none"
    lines.append(
        f"{tally.records:,} records: {tally.rows:,} rows, {tally.late:,} late, {tally.future:,} future;"
        f" rejects: {rejects}"
    )
    lines += ["", *_table(found), *doubts(found)]
    for name, items in found.items():
        pages = sum(item.pages for item in items)
        lines.append(f"\n{pages} page{'s' * (pages != 1)}" + (f": {name}" if len(found) > 1 else ""))
        lines += [f"  {month}: {', '.join(causes)}" for month, causes in _months(items).items()]
    return "\n".join(lines)


def doubts(found: Found) -> list[str]:
    """Where pages may be more than the budget, which the figures do not show."""
    return [
        f"budget not proven: {' · '.join([*([name] if len(found) > 1 else []), *family])}: "
        f"the reference has {windows:,} windows, {needed:,} are needed"
        for name, items in found.items()
        for family, (windows, needed) in unproven(items).items()
    ]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of their own width; the first row is the head. What looks like a number stands right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    numeric = [
        all(row[column][:1].isdigit() or row[column] in {"", "–"} for row in rows[1:])
        for column in range(len(rows[0]))
    ]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in rows
    ]


def span(ms: float | None) -> str:
    """A length of time, of long ones without what nobody reads; a dash for none."""
    if ms is None:
        return "–"
    unit = _MINUTE if ms >= 60 * _MINUTE else 1000
    return format_duration(round(ms / unit) * unit)


def moment(ms: int, *, fine: bool = False) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M{':%S' if fine else ''}Z}"


def _table(found: Found) -> list[str]:
    several = len(found) > 1
    head = [
        *(["candidate"] if several else []), "model", "window", "windows", *(state.value for state in State),
        "pages", "early", "mean delay", "worst",
    ]  # fmt: skip
    rows = [
        [*([name] if several else []), *_cells(row)]
        for name, items in found.items()
        for row in summarize(items)
    ]
    return table([head, *rows]) if rows else ["no windows"]


def _cells(row: Row) -> list[str]:
    counts = [row.windows, *row.states.values(), row.pages, row.early]
    return [row.model, row.window, *(f"{n:,}" for n in counts), span(row.mean_delay), span(row.worst_delay)]


def _verdicts(items: Sequence[Seen]) -> Iterator[str]:
    fine = any(ms % _MINUTE for item in items for ms in (item.verdict.start, item.verdict.end))
    for item in items:
        verdict = item.verdict
        named = [(where, test) for where, test in causes_of(verdict)[:3] if test.x > 1]
        causes = ", ".join(f"{cause_of(test, where)} {test.score:.3g}" for where, test in named)
        state = "early alarm" if verdict.early else str(verdict.state)
        state += f"({verdict.reason})" if verdict.reason else ""
        yield (
            f"{verdict.model}  {verdict.window}"
            f"  {moment(verdict.start, fine=fine)} – {moment(verdict.end, fine=fine)}"
            f"  {verdict.rows:>9,}  {state:<28} p={verdict.p:.4f}  {causes}"
        ).rstrip()
        for transition in item.transitions:
            if str(transition.kind) in {"open", "resolve"}:
                yield f"    incident {transition.kind}: {transition.incident.cause}"


def _months(items: Sequence[Seen]) -> dict[str, list[str]]:
    months: dict[str, list[str]] = {}
    for item in items:
        for transition in item.transitions:
            if transition.pages:
                months.setdefault(moment(item.verdict.end)[:7], []).append(transition.incident.cause)
    return months
