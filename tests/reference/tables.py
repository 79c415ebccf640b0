"""Tables and references that the tests of this folder share."""

from __future__ import annotations

import numpy as np

from monitor.reference.build import build
from monitor.reference.table import Table

DAY = 86_400_000
START = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def mixed(rows: int = 3_000, *, seed: int = 0, days: int = 3) -> Table:
    """Numbers with an atom and missing values, text, integers, booleans, a constant and an empty column."""
    random = np.random.default_rng(seed)
    amount = np.where(random.random(rows) < 0.3, 0.0, random.exponential(100.0, rows))
    amount[random.random(rows) < 0.05] = np.nan
    country = random.choice(np.array(["DE", "FR", "US", None], object), rows, p=[0.6, 0.25, 0.1, 0.05])
    return Table(
        columns={
            "amount": amount,
            "score": random.normal(size=rows),
            "country": country,
            "rooms": random.integers(1, 6, rows),
            "vip": random.random(rows) < 0.2,
            "constant": np.full(rows, 3.5),
            "empty": np.full(rows, np.nan),
        },
        events=START + np.sort(random.integers(0, days * DAY, rows)),
        latency=random.exponential(20.0, rows),
        errors=(random.random(rows) < 0.01).astype(np.uint8),
    )


def cut(table: Table, sizes: list[int]) -> list[Table]:
    """The table in chunks of these sizes; the last takes the rest."""
    edges = [0, *np.cumsum(sizes).tolist(), len(table)]
    edges = [edge for edge in edges if edge <= len(table)]
    return [
        Table(
            columns={name: column[low:high] for name, column in table.columns.items()},
            events=None if table.events is None else table.events[low:high],
            latency=None if table.latency is None else table.latency[low:high],
            errors=None if table.errors is None else table.errors[low:high],
            cluster=None if table.cluster is None else table.cluster[low:high],
            integral=table.integral,
        )
        for low, high in zip(edges, [*edges[1:], len(table)], strict=True)
        if high > low
    ]


def small(**changes):
    """A reference of `mixed`; keyword arguments go to `build`."""
    return build(mixed(), **{"model": "churn", "name": "january", "pane": 3_600_000, **changes})
