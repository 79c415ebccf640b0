"""What was found without a change, and of changes that were put in, as text and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from monitor.backtest import delay
from monitor.backtest.summary import Seen, unproven
from monitor.cli.replay_backtest import Drawn, Put
from monitor.cli.replay_text import doubts, moment, span, table
from monitor.verdict import State


def put_data(puts: Sequence[Put]) -> list[dict[str, Any]]:
    rows = []
    for put in puts:
        found = put.found()
        rows.append(
            {
                "candidate": put.candidate, "model": put.change.model, "change": str(put.change.injection),
                "since": put.change.since, "rows_since": put.change.rows, "found": found is not None,
                "windows": found and found.windows, "rows": found and found.rows, "delay_ms": found and found.time,
            }
        )  # fmt: skip
    return rows


def put_text(puts: Sequence[Put]) -> list[str]:
    head = ["candidate", "model", "change", "since", "found after", "windows", "rows"]
    rows = []
    for put in puts:
        found = put.found()
        told = [span(found.time), f"{found.windows:,}", f"{found.rows:,}"] if found else ["–", "–", "–"]
        since = moment(put.change.since, fine=put.change.since % 60_000 > 0) if put.change.since >= 0 else "–"
        rows.append([put.candidate, put.change.model, str(put.change.injection), since, *told])
    late = dict.fromkeys(str(put.change.injection) for put in puts if put.change.rows == 0)
    return [*table([head, *rows]), *(f"{change}: nothing was changed, no row is so late" for change in late)]


def data(found: Sequence[Drawn], *, seed: int) -> dict[str, Any]:
    return {"seed": seed, "drawn": [_data(drawn) for drawn in found]}


def _data(drawn: Drawn) -> dict[str, Any]:
    body: dict[str, Any] = {"candidate": drawn.candidate, "model": drawn.model, "blocks": drawn.blocks}
    own = drawn.null
    if own is not None:
        low, high = own.range
        body["null"] = {
            "runs": len(own.pages), "months": own.months, "budget": own.budget, "mean": own.mean,
            "error": own.error if len(own.pages) > 1 else None, "low": low, "high": high, "pages": list(own.pages), "early": list(own.early),
            "proven": not any(map(unproven, own.runs)), **{state.value: count for state, count in own.states.items()},
        }  # fmt: skip
    if drawn.delays:
        least = delay.smallest
        body["inject"] = [_delay_data(one) for one in drawn.delays]
        body["smallest"] = [
            str(one.injection) for one in map(least, _by_kind(drawn.delays)) if one is not None
        ]
    return body


def _delay_data(one: delay.Delay) -> dict[str, Any]:
    return {
        "change": str(one.injection), "kind": one.injection.kind, "feature": one.injection.feature,
        "size": one.injection.size, "runs": len(one.runs), "found": one.share, "within_ms": one.within,
        "median": {name: one.quantile(name, 0.5) for name in ("windows", "rows", "time")},
        "p90": {name: one.quantile(name, 0.9) for name in ("windows", "rows", "time")},
    }  # fmt: skip


def text(found: Sequence[Drawn], *, seed: int) -> str:
    """For people."""
    several = len({drawn.candidate for drawn in found}) > 1
    lines = [
        f"drawn again: {drawn.blocks} ({drawn.model})" for drawn in found[: len({d.model for d in found})]
    ]
    lines.append(f"seed {seed}")
    if any(drawn.null is not None for drawn in found):
        lines += ["", "without a change, a month", *_null_table(found, several=several)]
        lines += [*_remarks(found), *_doubts(found)]
    for drawn in found:
        if drawn.delays:
            lines += ["", *_delay_table(drawn, several=several)]
    return "\n".join(lines)


def _null_table(found: Sequence[Drawn], *, several: bool) -> list[str]:
    head = [
        *(["candidate"] if several else []),
        "model",
        "runs",
        "budget",
        "pages",
        "error",
        "5-95 %",
        "early",
    ]
    rows = [[*head, *(state.value for state in State)]]
    for drawn in found:
        own = drawn.null
        if own is None:
            continue
        low, high = own.range
        runs = max(len(own.pages), 1) * own.months
        error = f"{own.error:.2f}" if len(own.pages) > 1 else "–"
        rows.append([
            *([drawn.candidate] if several else []), drawn.model, f"{len(own.pages)}", f"{own.budget:g}",
            f"{own.mean:.2f}", error, f"{low:.3g} to {high:.3g}", f"{np.mean(own.early):.2f}",
            *(f"{count / runs:.1f}" for count in own.states.values()),
        ])  # fmt: skip
    return table(rows)


def _remarks(found: Sequence[Drawn]) -> list[str]:
    lines = []
    for drawn in found:
        own = drawn.null
        if own is not None and 2 * own.states[State.UNKNOWN] > sum(own.states.values()):
            lines.append(
                f"{drawn.model}: most windows are unknown; they close no incident, so one page may stand for many windows"
            )
    return list(dict.fromkeys(lines))


def _doubts(found: Sequence[Drawn]) -> list[str]:
    """Each window is judged by the reference without the blocks of its part, which has a few windows less."""
    judged: dict[str, list[Seen]] = {}
    for drawn in found:
        judged.setdefault(drawn.candidate, [])
        if drawn.null is not None:
            judged[drawn.candidate] += [seen for items in drawn.null.runs for seen in items]
    return doubts(judged)


def _delay_table(drawn: Drawn, *, several: bool) -> list[str]:
    within = span(drawn.delays[0].within)
    head = ["change", f"found within {within}", "after", "90 % after", "windows", "rows"]
    rows = [head]
    for one in drawn.delays:
        median = {name: one.quantile(name, 0.5) for name in ("windows", "rows")}
        rows.append([
            str(one.injection), f"{one.share:.0%}", span(one.quantile("time", 0.5)), span(one.quantile("time", 0.9)),
            *("–" if value is None else f"{value:,.0f}" for value in median.values()),
        ])  # fmt: skip
    title = " · ".join([*([drawn.candidate] if several else []), drawn.model])
    lines = [f"with a change, {len(drawn.delays[0].runs)} runs: {title}", *table(rows)]
    for group in _by_kind(drawn.delays):
        least, name = delay.smallest(group), f"{group[0].injection.kind}:{group[0].injection.feature}"
        if len(group) > 1:
            told = f"{least.injection.size:g}" if least is not None else "none of these"
            lines.append(f"{name}: the smallest size found in {delay.WANTED:.0%} within {within}: {told}")
    return lines


def _by_kind(delays: Sequence[delay.Delay]) -> list[list[delay.Delay]]:
    keys = list(dict.fromkeys((one.injection.kind, one.injection.feature) for one in delays))
    return [[one for one in delays if (one.injection.kind, one.injection.feature) == key] for key in keys]
