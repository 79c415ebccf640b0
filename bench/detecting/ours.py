"""What driftline says of rows: its own reference, configuration, decoder, fold and judge, by `monitor.replay`."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.detecting import rows
from bench.detecting.kept import digest, kept
from monitor.assembly import Assembly, assemble
from monitor.columns import Batch
from monitor.names import Source
from monitor.plan import Kind
from monitor.reference.build import build
from monitor.reference.file import write
from monitor.reference.profile import Reference
from monitor.reference.table import FeatureDeclaration, Table
from monitor.replay import Candidate, Feed, Replay
from monitor.verdict import State, Verdict

MODEL, TOPIC = "m", "predictions"
LOOK = 6 * 3_600_000
BEGIN = 1_760_054_400_000
"""A midnight: where live rows begin."""
BUDGET = "2 per 30d"


class Way(NamedTuple):
    """A way to configure it."""

    windows: str
    detectors: str = "[]"


_EVERY_6 = "{12h: {size: 12h, step: 6h}, 1d: {size: 24h, step: 6h}}"
WAYS: Mapping[str, Way] = {
    "12 and 24 hours every 6, neyman": Way(_EVERY_6, "[neyman]"),
    "12 and 24 hours every 6": Way(_EVERY_6),
    "days, looked into every 6 hours": Way("{1d: {size: 24h}}"),
}
"""By name; the first is held against others."""
CONFIG = """\
version: 1
kafka: {{brokers: ["127.0.0.1:9092"], group: bench}}
sources:
  predictions:
    topic: predictions
    fields: {{id: id, time: {{path: ts, unit: ms}}}}
models:
  m:
    source: predictions
    reference: {{file: "{reference}"}}
    budget: {budget}
    pane: 5m
    windows: {windows}
    detectors: {detectors}
state: {{dir: "{folder}/state"}}
"""


class Judge:
    """The reference of a seed, and every way to judge by it. What is asked for is kept: see `kept`."""

    def __init__(self, seed: int, folder: Path, *, ways: Mapping[str, Way] = WAYS) -> None:
        self._seed = seed
        self._folder = folder
        self._ways = ways

    def month(self, looks: int) -> NDArray[np.bool_]:
        """Whether there is an alarm at each look of a stream without a change: bool[ways, looks]."""

        def made() -> NDArray[np.bool_]:
            found = np.zeros((len(self._ways), rows.LEAD + looks), np.bool_)
            for way, verdict in self._drifted(rows.calm(self._seed, rows.LEAD + looks)):
                found[way, _look(verdict)] = True
            return found[:, rows.LEAD :]

        return self._kept(f"calm-{looks}", made)

    def delays(self) -> NDArray[np.int64]:
        """Rows until each change is noticed, those that are watched where it is not: int64[kinds, ways]."""
        return self._kept("changes", lambda: np.array([self._delay(change) for change in rows.CHANGES]))

    def _delay(self, change: rows.Change) -> list[int]:
        """Of every way: the first alarm behind the change that names its feature."""
        begin, live = rows.onset(self._seed), rows.changed(self._seed, change)
        found: dict[int, int] = {}
        for way, verdict in self._drifted(live):
            seen = (_look(verdict) + 1) * rows.EVERY
            named = {test.feature for test in verdict.named}
            if seen > begin and rows.NAMES[change.feature] in named:
                found.setdefault(way, seen)
            if len(found) == len(self._ways):
                break
        return [found.get(way, live.shape[1]) - begin for way in range(len(self._ways))]

    def _kept(self, name: str, made: Callable[[], NDArray]) -> NDArray:
        sources = "monitor/**/*.py", "kernels/*.py", "bench/detecting/ours.py", rows.SOURCE
        ways = hashlib.sha256(repr(self._ways).encode()).hexdigest()[:8]
        return kept(digest(*sources), f"driftline/{ways}/{self._seed}-{name}", made)

    @functools.cached_property
    def _assemblies(self) -> list[Assembly]:
        path, found = self._folder / "reference.ref", []
        write(_reference(rows.reference(self._seed)), path)
        for way, own in enumerate(self._ways.values()):
            file = self._folder / f"{way}.yaml"
            file.write_text(
                CONFIG.format(reference=path, budget=BUDGET, folder=self._folder, **own._asdict())
            )
            found.append(assemble([str(file)]))
        return found

    def _drifted(self, live: rows.Array) -> Iterator[tuple[int, Verdict]]:
        """(way, verdict) look by look: nothing is judged that is not asked for."""
        assembly = self._assemblies[0]
        plan = assembly.plans.sources[0]
        feed = Feed(plan, assembly.decoder(plan), assembly.models_of(plan))
        candidates = [Candidate(str(way), own.contexts) for way, own in enumerate(self._assemblies)]
        replay = Replay(feed, candidates, sources=[Source(TOPIC, 0)])
        batch = _texts(live)
        for look in range(live.shape[1] // rows.EVERY + 1):
            taken = replay.take(_batch(batch, look)) if look * rows.EVERY < len(batch) else replay.finish()
            for candidate, judged in taken:
                is_seen = judged.verdict.end <= BEGIN + live.shape[1] // rows.EVERY * LOOK
                if is_seen and judged.verdict.state is State.DRIFT:
                    yield int(candidate.name), judged.verdict


def _look(verdict: Verdict) -> int:
    return (verdict.end - BEGIN) // LOOK - 1


def _reference(values: rows.Array) -> Reference:
    columns = {}
    for name, column in zip(rows.NAMES, values, strict=True):
        columns[name] = column if name.startswith("n") else np.array(_categories(column), object)
    features = [
        FeatureDeclaration(name, (name,), Kind.NUMERIC if name.startswith("n") else Kind.CATEGORICAL)
        for name in rows.NAMES
    ]
    count = values.shape[1]
    table = Table(columns, events=_times(count) - count // rows.EVERY * LOOK)
    return build(table, model=MODEL, name="r", features=features, pane=LOOK)


def _batch(texts: list[bytes], look: int) -> Batch:
    own = slice(look * rows.EVERY, (look + 1) * rows.EVERY)
    offsets = np.arange(len(texts))[own]
    nothing = [None] * len(offsets)
    return Batch(Source(TOPIC, 0), texts[own], nothing, nothing, offsets, _times(len(texts))[own])


def _texts(values: rows.Array) -> list[bytes]:
    lists = []
    for name, column in zip(rows.NAMES, values, strict=True):
        lists.append(_numbers(column) if name.startswith("n") else _categories(column))
    names = ("id", "ts", *rows.NAMES)
    write = msgspec.json.Encoder().encode
    times = _times(values.shape[1]).tolist()
    return [
        write(dict(zip(names, (str(n), times[n], *row), strict=True)))
        for n, row in enumerate(zip(*lists, strict=True))
    ]


def _numbers(column: NDArray[np.float64]) -> list[float | None]:
    return [None if value != value else value for value in column.tolist()]


def _categories(column: NDArray[np.float64]) -> list[str | None]:
    return [None if value != value else f"k{value:.0f}" for value in column.tolist()]


def _times(count: int) -> NDArray[np.int64]:
    """A job that scores a batch of rows within a minute, four times a day."""
    look, row = np.divmod(np.arange(count), rows.EVERY)
    return BEGIN + look * LOOK + row * 600
