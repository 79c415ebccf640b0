"""bench/README.md from bench/results.json.

    python -m bench.report      writes it anew, without measuring

First every goal with what was measured, then each group's figures with their spread.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.figure import is_met

GOALS = (
    ("decode", "scan + fold of 24-feature, 477-byte records, one core",
     "≥ 4 × msgspec struct decode alone, ≥ 8 × pyarrow JSON alone"),
    ("binning", "binning, 24 columns, 256 and 4,096 bins",
     "≥ 8 × searchsorted + bincount; cost within 1.5 × between 16 and 4,096 bins"),
    ("stream", "records from a real Kafka to counts, the daemon as configured by default",
     "≥ 0.8 × a bare loop; CPU-seconds per million records ≤ 1.6 × its; ≥ 5 × the fastest stream framework"),
    ("replay", "`driftline replay` of 24-feature records, from a real Kafka and from a file", "≥ 0.7 × the daemon"),
    ("drift", "1 M × 20 in memory, one thread",
     "reference + fold + scores ≥ 100 × Evidently; fold + scores ≥ 500 ×, ≥ 20 × NannyML's, ≥ 5 × its calculate alone"),
    ("memory", "bytes per numeric feature, pane and source partition",
     "≤ 4 KB dense, sparse below 1/8 fill; the large case within memory.max or refused"),
    ("scaling", "cost against features, segments, windows", "linear in features, nearly flat in windows"),
    ("recovery", "recovery of state from a real Kafka", "≥ 50 MB of state per second"),
    ("checkpoint", "checkpoints at the default interval, state in topics", "< 3 % of CPU"),
    ("replicas", "two replicas beside one on the same topic", "≥ 1.8 × where cores are free"),
    ("rolling", "three replicas replaced one by one, under load", "no partition stands still for 10 s, no page caused by it"),
    ("start", "start", "warm start to ready under 5 s; cold start measured"),
    ("soak", "RSS over a 30-minute soak at full speed", "slope zero within noise"),
    ("vectors", "embedding features", "figures"),
    ("groups", "features that are judged together", "false pages within the budget"),
    ("seasons", "hour-of-day cycle, nightly and daily windows, read by hour of day",
     "≥ 90 % fewer false windows than with one reference, power against PSI 0.05 within 0.05 of it"),
    ("join", "join of labels, ten million open predictions, one core", "≤ 24 bytes each in memory, ≥ 1 M joins/s"),
    ("estimate", "estimates without labels, by CBPE, on NannyML's own data", "ROC AUC and accuracy within 0.005 of its, ≥ 50 × its speed"),
    ("diagnosis", "a change of one feature, at the size that is found with power 0.9",
     "kind named right in ≥ 95 %, onset within one pane of 24 in ≥ 90 %"),
    ("where", "PSI 0.25 inside one value of one of 20 columns, mass 2–20 %", "named first in ≥ 95 %"),
    ("censored", "accuracy and precision while labels come, positives first",
     "early labels as they are ≥ 5 points off, ours ≤ 1"),
    ("errors", "error rate 5 % to 10 %, a look every 50 rows", "median delay ≤ 1.15 × river's ADWIN at no more false alarms"),
    ("detection", "one feature of 20 changes, by PSI 0.1, at 2 false alarms in 30 days: rows until it is noticed",
     "of each kind of change ≤ 1.25 × the best of Evidently, NannyML and alibi-detect, less than each on the mean of six kinds"),
    ("judging", "judging a window of 500 features x 20 segments, one core", "< 1 s"),
    ("gpu", "GPU, where there is one", "columns-to-counts and vectors beside the CPU's and beside the copy limit"),
)  # fmt: skip
"""Group, what, goal: the table of what the product set out to reach."""
TITLES = {
    "decode": "Bytes to counts", "binning": "Binning", "counting": "Counting, other products",
    "stream": "From a real Kafka", "replay": "Replay", "drift": "Whole drift runs", "memory": "Memory", "scaling": "Cost against size",
    "recovery": "Recovery from Kafka", "checkpoint": "Checkpoints", "replicas": "Replicas", "rolling": "Rolling restart", "start": "Start", "soak": "Soak", "vectors": "Vectors", "groups": "Groups",
    "judging": "Judging a window", "diagnosis": "Kinds of change, named", "where": "Conditions, named",
    "early": "Early alarms and onsets", "errors": "A doubled error rate", "join": "Join of labels",
    "estimate": "Estimates without labels", "censored": "While labels come",
    "detection": "How soon a change is noticed, other products",
    "seasons": "References read by season", "gpu": "GPU",
}  # fmt: skip
ANSWER = {True: "met", False: "**not met**", None: "–"}


def render(results: Mapping[str, Any], *, judged: bool = True) -> str:
    """The page; without the goals where so little was measured that nothing can be held against them."""
    groups: Mapping[str, Any] = results.get("groups", {})
    parts = [
        "# Figures",
        "",
        "Written by `make bench`; do not edit. Ours and each peer take turns in one run; peers run in processes and",
        "environments of their own, pinned in `bench/peers/`. Figures are medians with the smallest and largest round in",
        "brackets. A ratio is ours ÷ the peer's, the median of the rounds' ratios: of rates more is better, of costs less.",
        "`CPU` is the same by processor time of all threads, which a busy machine changes less.",
        "",
        *_machines(groups),
    ]
    if judged:
        parts += ["## Goals", "", *_goals(groups)]
    for name, title in TITLES.items():
        if name in groups:
            parts += ["", f"## {title}", "", *_group(groups[name])]
    return "\n".join(parts).rstrip() + "\n"


def _machines(groups: Mapping[str, Any]) -> list[str]:
    """One line per machine; usually there is one."""
    seen: dict[str, list[str]] = {}
    for name, group in groups.items():
        seen.setdefault(_machine(group["machine"]), []).append(name)
    if len(seen) == 1:
        return [f"Machine: {next(iter(seen))}.", ""]
    return [line for text, names in seen.items() for line in (f"Machine of {', '.join(names)}: {text}.", "")]


def _machine(machine: Mapping[str, Any]) -> str:
    rest = [f"{name} {version}" for name, version in machine.items() if name not in _HARDWARE]
    hardware = (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['kernel']}"
    )
    return f"{hardware}; {', '.join(rest)}"


_HARDWARE = ("processor", "cores", "memory_gib", "kernel")


def _goals(groups: Mapping[str, Any]) -> list[str]:
    """What was aimed at in words, and below it a line per figure that has a limit."""
    lines = ["| aim or figure | against | goal | measured | |", "|---|---|---|---|---|"]
    for name, what, goal in GOALS:
        found = [f for f in groups.get(name, {}).get("figures", ()) if f["goal"]]
        state = (
            "not measured"
            if name not in groups
            else ""
            if found
            else f"see [below](#{_anchor(TITLES[name])})"
        )
        lines.append(f"| **{what}** | | {goal} | {state} | |")
        lines += [
            f"| {_cell(f['name'])} | {_cell(f['against'])} | {_limit(f)} | {_measured(f)} | {ANSWER[is_met(f)]} |"
            for f in found
        ]
    return lines


def _anchor(title: str) -> str:
    return title.lower().replace(",", "").replace(" ", "-")


def _group(group: Mapping[str, Any]) -> list[str]:
    figures: Sequence[Mapping[str, Any]] = group["figures"]
    load = ", ".join(f"{value:.2f}" for value in group["load"])
    lines = [
        f"{group['measured']}, revision {group['revision']}, seed {group['seed']}, {group['seconds']:.0f} s; load at the start {load}.",
        "",
        "| figure | ours | peer | peer is | ratio | CPU | rounds | on |",
        "|---|---|---|---|---|---|---|---|",
    ]
    notes: list[str] = []
    for item in figures:
        mark = ""
        if item["notes"]:
            if item["notes"] not in notes:
                notes.append(item["notes"])
            mark = f" [{notes.index(item['notes']) + 1}]"
        ours = item["missing"] or _value(item["ours"], item["ours_range"], item["unit"])
        lines.append(
            f"| {_cell(item['name'])}{mark} | {_cell(ours)} | {_value(item['peer'], item['peer_range'])}"
            f" | {_cell(item['against'])} | {_ratio(item)} | {_number(item['cpu_ratio'])} | {item['rounds'] or ''}"
            f" | {_cell(item['device'])} |"
        )
    if notes:
        lines += ["", *(f"{n}. {_cell(note)}" for n, note in enumerate(notes, 1))]
    return lines


def _limit(item: Mapping[str, Any]) -> str:
    sign, limit = item["goal"].split()
    sign = {">=": "≥", "<=": "≤"}[sign]
    return (
        f"{sign} {limit} ×"
        if item["ratio"] is not None or item["against"]
        else f"{sign} {_number(float(limit))} {item['unit']}"
    )


def _measured(item: Mapping[str, Any]) -> str:
    if item["missing"]:
        return _cell(item["missing"])
    return (
        f"{_ratio(item)} ×"
        if item["ratio"] is not None
        else _value(item["ours"], item["ours_range"], item["unit"])
    )


def _ratio(item: Mapping[str, Any]) -> str:
    return _value(item["ratio"], item["ratio_range"])


def _value(value: float | None, span: Sequence[float] | None, unit: str = "") -> str:
    if value is None:
        return ""
    spread = f" ({_number(span[0])} – {_number(span[1])})" if span and span[0] != span[1] else ""
    return f"{_number(value)} {unit}".rstrip() + spread


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if value == 0 or 1e-3 <= abs(value) < 1000:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2e}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> int:
    here = Path(__file__).parent
    results = json.loads((here / "results.json").read_text())
    (here / "README.md").write_text(render(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
