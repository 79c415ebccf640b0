"""What `driftline replay` does: read a log and judge it, or draw from the reference."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import click

from monitor.backtest.altered import RowChange
from monitor.backtest.picture import Lane, lanes_of, picture
from monitor.backtest.summary import Seen
from monitor.cli import replay_backtest, replay_found, replay_text
from monitor.cli.progress import progress
from monitor.cli.replay_plans import Variant, groups, variants
from monitor.cli.replay_reigns import reigns_of
from monitor.cli.topic import record_time
from monitor.clock import SystemClock
from monitor.columns import Batch
from monitor.errors import UsageError
from monitor.names import Source
from monitor.replay import Candidate, Feed, Replay, run
from monitor.verdict import State

TOLD_EVERY = 1_000_000
"""Records between two lines of progress where nobody knows how many there will be."""


@dataclass(frozen=True, slots=True)
class Options:
    """What both ways take from the command line."""

    config: tuple[str, ...]
    against: tuple[str, ...]
    budgets: tuple[str, ...]
    source: str | None
    null: bool
    injected: tuple[str, ...]
    runs: int
    months: float
    seed: int
    reigns: bool = False

    def variants(self) -> list[Variant]:
        return variants(self.config, self.against, self.budgets, source=self.source)


@dataclass(frozen=True, slots=True)
class Result:
    """What is printed and drawn."""

    data: dict[str, Any]
    text: str
    title: str
    lanes: tuple[Lane, ...]
    has_drift: bool = False

    @property
    def svg(self) -> str:
        return picture(self.title, self.lanes)


def drawn(options: Options) -> Result:
    """Windows of the references' own days, with and without changes."""
    candidates = options.variants()
    injections = replay_backtest.injections_of(options.injected, candidates)
    found = replay_backtest.draw(
        candidates, injections, with_null=options.null, runs=options.runs, months=options.months,
        seed=options.seed,
    )  # fmt: skip
    several = len({one.candidate for one in found}) > 1
    lanes = [
        lane
        for one in found
        if one.null is not None
        for number, items in enumerate(one.null.runs)
        for lane in lanes_of(f"{one.candidate} · run {number + 1}" if several else f"run {number + 1}", items)
    ]
    title = f"without a change, seed {options.seed}"
    data = replay_found.data(found, seed=options.seed)
    return Result(data, replay_found.text(found, seed=options.seed), title, tuple(lanes))


def replayed(options: Options, *, path: str | None, since: str | None, until: str | None) -> Result:
    """A log, judged by every candidate, and once more with every change."""
    found = options.variants()
    injections = replay_backtest.injections_of(options.injected, found)
    now = SystemClock().now_ms()
    changes = [replay_backtest.row_changes(group[0], injections, now=now) for group in groups(found)]
    with ExitStack() as stack:
        sources, batches, file = _log(found[0], stack, path=path, since=since, until=until)
        replays = [
            _replay(group, own, sources, options) for group, own in zip(groups(found), changes, strict=True)
        ]
        seen = _judged(replays, batches, file)
    plain = {variant.name: seen.get((variant.name, None), []) for variant in found}
    puts = [
        replay_backtest.Put(variant.name, change, tuple(seen.get((variant.name, change), ())))
        for group, own in zip(groups(found), changes, strict=True)
        for variant in group
        for change in own
    ]
    tally = replays[0].tally
    data, text = replay_text.data(tally, plain), replay_text.text(tally, plain)
    if puts:
        data["inject"] = replay_found.put_data(puts)
        text = "\n".join([text, "", *replay_found.put_text(puts)])
    several = len(plain) > 1
    lanes = [lane for name, items in plain.items() for lane in lanes_of(name if several else "", items)]
    for put in puts:
        lanes += lanes_of(
            " · ".join([*([put.candidate] if several else []), str(put.change.injection)]), put.items
        )
    title = f"{found[0].source.topic if path is None else path}, {tally.records:,} records"
    drifted = any(item.verdict.state is State.DRIFT for items in plain.values() for item in items)
    return Result(data, text, title, tuple(lanes), drifted)


def with_labels(result: Result, options: Options, *, since: str | None, until: str | None) -> Result:
    """The same with how well models did in each window."""
    from monitor.assembly import assemble
    from monitor.cli import replay_measured
    from monitor.cli.replay_plans import chosen

    assembly = assemble(list(options.config))
    source = chosen(assembly.without_labels(), options.source)
    own = next(one for one in assembly.plans.sources if one.name == source.name)
    if not any(assembly.models[name].plan.join for name in source.models):
        raise UsageError(
            f"no model has labels - --labels, source {own.name} - models.<name>.labels in the configuration"
        )
    found = replay_measured.measured(assembly, own, since=_time(since), until=_time(until))
    lines = replay_measured.text(found)
    return replace(
        result, data={**result.data, "performance": replay_measured.data(found)}, text="\n".join([result.text, "", *lines]),
    )  # fmt: skip


def _log(
    variant: Variant, stack: ExitStack, *, path: str | None, since: str | None, until: str | None
) -> tuple[Sequence[Source], Iterator[Batch], BinaryIO | None]:
    """Partitions, their batches, and the file that they come from, if any."""
    topic = variant.source.topic
    first, last = _time(since), _time(until)
    if first is not None and last is not None and first >= last:
        raise UsageError(f"nothing lies between them - --from {since}, --to {until} - a --from before --to")
    if path is not None:
        from monitor.intake.lines import read_lines

        file = stack.enter_context(_opened(path))
        return [Source(topic, 0)], read_lines(file, Source(topic, 0)), file
    from monitor.intake.range import read_range, sources_of

    properties = variant.assembly.plans.kafka.client()
    sources = sources_of(properties, topic)
    batches = read_range(properties, topic, since_ms=first, until_ms=last, direct=True)
    return sources, batches, None


def _opened(path: str) -> BinaryIO:
    try:
        return click.open_file(path, "rb")  # type: ignore[return-value]
    except OSError as error:
        raise UsageError(
            f"the file cannot be read ({error.strerror}) - {path} - a file of JSON lines is right"
        ) from error


def _time(text: str | None) -> int | None:
    """Milliseconds of a record time; None for `earliest` and `now`."""
    return record_time("" if text in {None, "earliest", "now"} else str(text), now=SystemClock().now_ms())


def _replay(
    group: Sequence[Variant], changes: Sequence[RowChange], sources: Sequence[Source], options: Options
) -> Replay:
    """One for all that share counts."""
    assembly, plan = group[0].assembly, group[0].source
    feed = Feed(plan, assembly.decoder(plan), assembly.models_of(plan))
    reigns = reigns_of(options.config, plan.models) if options.reigns else {}
    candidates = [
        Candidate(variant.name, variant.contexts, change, reigns)
        for change in (None, *changes)
        for variant in group
    ]
    return Replay(feed, candidates, sources=sources)


def _judged(
    replays: Sequence[Replay], batches: Iterator[Batch], file: BinaryIO | None
) -> dict[tuple[str, object], list[Seen]]:
    """What was judged for each candidate and change. Progress is told on stderr: of a file as its share, of a topic
    in records."""
    seen: dict[tuple[str, object], list[Seen]] = {}
    size, told = _size(file), 0
    with progress("replaying") as tell:

        def after(_batch: Batch) -> None:
            nonlocal told
            if file is not None and size:
                tell(min(file.tell() / size, 1.0))
            elif (reached := replays[0].tally.records // TOLD_EVERY) > told and not sys.stderr.isatty():
                told = reached
                click.echo(f"replayed {replays[0].tally.records:,} records", err=True)

        for candidate, judged in run(replays, batches, after):
            item = Seen.of(judged)
            if candidate.change is not None:  # only what drifted, and when, is looked at
                bare = replace(item.verdict, tests=(), scores={}, segments=(), beside=(), compat={})
                item = replace(item, verdict=bare)
            seen.setdefault((candidate.name, candidate.change), []).append(item)
    return seen


def _size(file: BinaryIO | None) -> int:
    """Bytes of a file; 0 of a pipe."""
    try:
        return os.fstat(file.fileno()).st_size if file is not None and file.seekable() else 0
    except (OSError, ValueError):
        return 0
