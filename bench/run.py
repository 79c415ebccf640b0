"""`make bench`: what one core does, as ratios measured side by side in one run.

    python -m bench.run [--smoke]

Writes bench/results.json and bench/README.md. Each figure is the median of repeated runs, peers alternating with ours so
that a machine whose speed drifts does not favour either. Peers here are what a user would write with the same libraries;
comparisons with other products follow in their own environments.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from kernels.fold import fold
from kernels.jit import warm
from kernels.layout import allocate, no_rules
from monitor.columns import Batch
from monitor.intake.decode import Decoder
from monitor.names import REASONS, Source
from monitor.partition import Model, Partition
from monitor.plan import Budget, FeaturePlan, Kind, ModelPlan, SourcePlan, WindowSpec
from monitor.reference.build import build
from monitor.reference.table import FeatureDeclaration, Table

HERE = Path(__file__).parent
FEATURES = 24
START = 1_767_225_600_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="small and quick; nothing is written")
    arguments = parser.parse_args()
    warm()
    rounds, rows = (3, 5_000) if arguments.smoke else (7, 50_000)
    figures = [*binning(rows=rows, rounds=rounds), *records(rows=rows, rounds=rounds)]
    machine = {"processor": _processor(), "python": platform.python_version(), "numpy": np.__version__}
    text = render(figures, machine)
    print(text)
    if not arguments.smoke:
        (HERE / "results.json").write_text(
            json.dumps({"machine": machine, "figures": figures}, indent=2) + "\n"
        )
        (HERE / "README.md").write_text(text)


def binning(*, rows: int, rounds: int) -> list[dict]:
    """The fold against `searchsorted` + `bincount`, 24 numeric columns."""
    figures = []
    for bins in (16, 256, 4096):
        generator = np.random.default_rng(bins)
        values = np.ascontiguousarray(generator.normal(size=(FEATURES, rows)))
        reference = build(
            Table({f"f{i}": generator.normal(size=20_000) for i in range(FEATURES)}), model="m", name="r",
            settings=_bins(bins),
        )  # fmt: skip
        layout = reference.layout()
        cells = allocate(layout, cells=1, rules=0, reasons=len(REASONS))
        blank = {
            "cell": np.zeros(rows, np.int32), "codes": np.zeros((0, rows), np.int32), "latency": np.full(rows, np.nan),
            "errors": np.zeros(rows, np.uint8), "offsets": np.arange(rows),
        }  # fmt: skip
        edges = [layout.edges[layout.edge_start[i] : layout.edge_start[i + 1]] for i in range(FEATURES)]

        def ours(cells=cells, layout=layout, values=values, blank=blank) -> None:
            fold(cells, layout, no_rules(layout), values=values, **blank)

        def peer(values=values, edges=edges) -> None:
            for column, steps in zip(values, edges, strict=True):
                np.bincount(np.searchsorted(steps, column, side="right"), minlength=len(steps) + 1)

        figures.append(_pair(f"fold, {FEATURES} columns, {bins} bins", ours, peer, rows * FEATURES, rounds, unit="values/s",
                             against="numpy searchsorted + bincount (counts only)"))  # fmt: skip
    return figures


def records(*, rows: int, rounds: int) -> list[dict]:
    """Bytes to counts, against decoding the same records with msgspec alone."""
    generator = np.random.default_rng(1)
    names = [f"feature_{i:02d}" for i in range(FEATURES)]
    table = {name: np.round(generator.normal(size=20_000), 4) for name in names}
    reference = build(
        Table(table), model="m", name="r", features=[FeatureDeclaration(n, ("features", n)) for n in names]
    )
    encoder = msgspec.json.Encoder()
    values = [
        encoder.encode({
            "id": f"{i:012d}", "ts": START + i, "model": "m", "version": "7",
            "features": {name: float(table[name][i % 20_000]) for name in names},
        })
        for i in range(rows)
    ]  # fmt: skip
    plan = ModelPlan(
        name="m", source="s", rules=(), pane=60_000, budget=Budget(2, 30 * 86_400_000), config="c",
        features=tuple(FeaturePlan(n, ("features", n), Kind.NUMERIC) for n in names),
        windows=(WindowSpec("1h", 3_600_000, 3_600_000),),
    )  # fmt: skip
    source = SourcePlan(
        name="s", topic="t", id=("id",), time=("ts",), model=("model",), version=("version",), models=("m",)
    )
    decoder = Decoder(source, {"m": plan}, {"m": reference})
    layout = reference.layout()
    struct = msgspec.defstruct("R", [
        ("id", str), ("ts", int), ("model", str), ("version", str),
        ("features", msgspec.defstruct("F", [(n, float | None, None) for n in names])),
    ])  # fmt: skip
    decode = msgspec.json.Decoder(struct).decode
    place = Source("t", 0)

    def ours() -> None:
        partition = Partition(place, source, {"m": Model(plan, layout)}, position=0)
        for start in range(0, rows, 5_000):
            part = values[start : start + 5_000]
            batch = Batch(place, part, [None] * len(part), [None] * len(part),
                          np.arange(start, start + len(part)), np.full(len(part), START, np.int64))  # fmt: skip
            scanned = decoder.scan(batch)
            partition.fold(batch, scanned.columns, scanned.rejects)

    def peer() -> None:
        for value in values:
            decode(value)

    size = round(statistics.fmean(len(value) for value in values))
    name = f"scan + place + fold, {FEATURES} features, {size} bytes"
    return [_pair(name, ours, peer, rows, rounds, unit="records/s", against="msgspec struct decode alone")]


def _pair(
    name: str,
    ours: Callable[[], None],
    peer: Callable[[], None],
    count: int,
    rounds: int,
    *,
    unit: str,
    against: str,
) -> dict:
    ours()
    peer()
    mine, theirs = [], []
    for _ in range(rounds):
        for times, call in ((mine, ours), (theirs, peer)):
            begin = time.perf_counter()
            call()
            times.append(time.perf_counter() - begin)
    ratios = sorted(b / a for a, b in zip(mine, theirs, strict=True))
    return {
        "figure": name,
        "unit": unit,
        "ours": count / statistics.median(mine),
        "peer": count / statistics.median(theirs),
        "against": against,
        "ratio": statistics.median(ratios),
        "ratio_range": [ratios[0], ratios[-1]],
        "rounds": rounds,
    }


def _bins(bins: int):
    from monitor.reference.build import BuildSettings

    return BuildSettings(quantiles=bins)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def render(figures: list[dict], machine: dict) -> str:
    lines = [
        "# Figures",
        "",
        "Written by `make bench`; medians, one core, ours and the peer alternating in one process.",
        "",
        f"Machine: {machine['processor']}, Python {machine['python']}, numpy {machine['numpy']}.",
        "",
        "| figure | ours | peer | peer is | ratio (range) |",
        "|---|---|---|---|---|",
    ]
    for item in figures:
        low, high = item["ratio_range"]
        lines.append(
            f"| {item['figure']} | {item['ours']:,.0f} {item['unit']} | {item['peer']:,.0f} | {item['against']}"
            f" | {item['ratio']:.2f} ({low:.2f}–{high:.2f}) |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
