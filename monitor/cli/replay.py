"""`driftline replay`: judge a file or a span of a topic again, without side effects."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

import click

from monitor.cli.options import Exit, config_option, emit, keep_log_quiet, output_option

if TYPE_CHECKING:
    from monitor.backtest.summary import Seen
    from monitor.cli.replay_plans import Variant
    from monitor.columns import Batch
    from monitor.names import Source
    from monitor.replay import Replay

TOLD_EVERY = 1_000_000
"""Records between two lines of progress where nobody knows how many there will be."""


@click.command("replay")
@config_option
@click.option(
    "--against",
    multiple=True,
    metavar="FILE[,FILE…]",
    help="Another configuration to judge the same records by, side by side; of several files later ones are merged "
    "over earlier ones. Repeatable.",
)
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    metavar='"PAGES per PERIOD"',
    help="False pages to accept instead of the configured ones; repeat to compare.",
)
@click.option(
    "--file",
    "path",
    metavar="JSONL",
    help="Records of a JSON lines file instead of the topic; - reads stdin.",
)
@click.option("--source", "name", help="Which of `sources`; may be left out when there is one.")
@click.option("--from", "since", help="Record time: earliest (the default), RFC 3339, 30d ago, or ms.")
@click.option("--to", "until", help="Record time: now (the default), RFC 3339, or ms.")
@click.option("--fail-on", type=click.Choice(["drift"]), help="Exit with 4 when a window drifted.")
@output_option
def command(
    *, config: tuple[str, ...], against: tuple[str, ...], budgets: tuple[str, ...], path: str | None,
    name: str | None, since: str | None, until: str | None, fail_on: str | None, output: str,
) -> None:  # fmt: skip
    """Fold and judge again what a topic or a file holds, with the configuration as it is now.

    The same fold and the same judge as the daemon's, from an empty state, so the verdicts are the
    daemon's to the last digit. Nothing is stored, nothing is sent, no group is joined.

    With several configurations or budgets the log is read once, and a table says for each how many
    windows would have drifted, how many pages would have been sent, and how long after the onset.
    """
    from monitor.cli.warm import warm_shown

    keep_log_quiet()
    warm_shown()
    from monitor.cli import replay_text  # imports kernels: only now, so that compiling is seen
    from monitor.cli.replay_plans import variants

    found = variants(config, against, budgets, source=name)
    with ExitStack() as stack:
        sources, batches, total = _log(found[0], stack, path=path, since=since, until=until)
        replays = _replays(found, sources)
        seen = _judged(found, replays, batches, total)
    tally = replays[0].tally
    emit(replay_text.data(tally, seen), replay_text.text(tally, seen), output=output)
    if fail_on and any(item.verdict.state == "drift" for items in seen.values() for item in items):
        raise SystemExit(Exit.DRIFT)


def _log(
    variant: Variant, stack: ExitStack, *, path: str | None, since: str | None, until: str | None
) -> tuple[Sequence[Source], Iterator[Batch], BinaryIO | None]:
    """Partitions, their batches, and the file that they come from, if any."""
    from monitor.names import Source

    topic = variant.source.topic
    if path is not None:
        from monitor.intake.lines import read_lines

        file = stack.enter_context(_opened(path))
        return [Source(topic, 0)], read_lines(file, Source(topic, 0)), file
    from monitor.intake.range import read_range, sources_of

    properties = variant.assembly.plans.kafka.client()
    sources = sources_of(properties, topic)
    batches = read_range(properties, topic, since_ms=_time(since), until_ms=_time(until), direct=True)
    return sources, batches, None


def _opened(path: str) -> BinaryIO:
    from monitor.errors import UsageError

    try:
        return click.open_file(path, "rb")  # type: ignore[return-value]
    except OSError as error:
        raise UsageError(
            f"the file cannot be read ({error.strerror}) - {path} - a file of JSON lines is right"
        ) from error


def _time(text: str | None) -> int | None:
    """Milliseconds of a record time; None for `earliest` and `now`."""
    from monitor.cli.topic import record_time
    from monitor.clock import SystemClock

    return record_time("" if text in {None, "earliest", "now"} else str(text), now=SystemClock().now_ms())


def _replays(found: Sequence[Variant], sources: Sequence[Source]) -> list[Replay]:
    """One for all that share counts."""
    from monitor.cli.replay_plans import groups
    from monitor.replay import Candidate, Feed, Replay

    replays = []
    for group in groups(found):
        assembly, plan = group[0].assembly, group[0].source
        feed = Feed(plan, assembly.decoder(plan), assembly.models_of(plan))
        candidates = [Candidate(variant.name, variant.contexts) for variant in group]
        replays.append(Replay(feed, candidates, sources=sources))
    return replays


def _judged(
    found: Sequence[Variant], replays: Sequence[Replay], batches: Iterator[Batch], file: BinaryIO | None
) -> dict[str, list[Seen]]:
    """What was judged for each candidate. Progress is told on stderr: of a file as its share, of a topic in records."""
    from monitor.backtest.summary import Seen
    from monitor.cli.progress import progress
    from monitor.replay import run

    seen: dict[str, list[Seen]] = {variant.name: [] for variant in found}
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
            seen[candidate.name].append(Seen.of(judged))
    return seen


def _size(file: BinaryIO | None) -> int:
    import os

    try:
        return os.fstat(file.fileno()).st_size if file is not None and file.seekable() else 0
    except (OSError, ValueError):
        return 0
