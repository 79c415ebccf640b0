"""`driftline replay`: judge a file or a span of a topic again, without side effects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from monitor.cli.options import Exit, config_option, emit, keep_log_quiet, output_option

if TYPE_CHECKING:
    from monitor.assembly import Assembly
    from monitor.columns import Batch
    from monitor.judgement import Judged
    from monitor.plan import SourcePlan
    from monitor.replay import Replay


@click.command("replay")
@config_option
@click.option(
    "--file",
    "path",
    metavar="JSONL",
    help="Records of a JSON lines file instead of the topic; - reads stdin.",
)
@click.option("--source", "name", help="Which of `sources`; may be left out when there is one.")
@click.option(
    "--from",
    "since",
    default="earliest",
    show_default=True,
    help="Record time: earliest, RFC 3339, 30d ago, or ms.",
)
@click.option("--to", "until", default="now", show_default=True, help="Record time: now, RFC 3339, or ms.")
@click.option("--fail-on", type=click.Choice(["drift"]), help="Exit with 4 when a window drifted.")
@output_option
def command(
    *, config: tuple[str, ...], path: str | None, name: str | None, since: str, until: str,
    fail_on: str | None, output: str,
) -> None:  # fmt: skip
    """Fold and judge again what a topic or a file holds, with the configuration as it is now.

    The same fold and the same judge as the daemon's, from an empty state, so the verdicts are the
    daemon's to the last digit. Nothing is stored, nothing is sent, no group is joined.
    """
    from monitor.cli.warm import warm_shown

    keep_log_quiet()
    warm_shown()
    from monitor.assembly import assemble  # imports kernels: only now, so that compiling is seen

    assembly = assemble(config)
    plan = _chosen(assembly, name)
    replay, batches, total = _opened(assembly, plan, path=path, since=since, until=until)
    judged = list(_watched(replay, batches, total))
    emit(_data(replay, judged), _text(replay, judged), output=output)
    if fail_on and any(item.verdict.state == "drift" for item in judged):
        raise SystemExit(Exit.DRIFT)


def _chosen(assembly: Assembly, name: str | None) -> SourcePlan:
    from monitor.errors import UsageError

    sources = {source.name: source for source in assembly.plans.sources}
    if name is None and len(sources) == 1:
        return next(iter(sources.values()))
    if name not in sources:
        raise UsageError(
            f"which source to replay is not clear - --source - one of {', '.join(sorted(sources))}"
        )
    return sources[name]


def _opened(
    assembly: Assembly, plan: SourcePlan, *, path: str | None, since: str, until: str
) -> tuple[Replay, Iterator[Batch], int]:
    """The replay, its batches, and how many records there will be (0 when unknown)."""
    from monitor.names import Source
    from monitor.replay import Feed, Replay, read_lines

    feed = Feed(plan, assembly.decoder(plan), assembly.models_of(plan))
    contexts = {name: assembly.contexts[name] for name in plan.models}
    if path is not None:
        source = Source(plan.topic, 0)
        lines = _lines(path)
        return Replay(feed, contexts, sources=[source]), read_lines(lines, source), len(lines)
    from monitor.intake.range import read_range, sources_of

    properties = assembly.plans.kafka.client()
    sources = sources_of(properties, plan.topic)
    batches = read_range(properties, plan.topic, since_ms=_time(since), until_ms=_time(until))
    return Replay(feed, contexts, sources=sources), batches, 0


def _lines(path: str) -> list[bytes]:
    from monitor.errors import UsageError

    try:
        with click.open_file(path, "rb") as file:
            return file.readlines()
    except OSError as error:
        raise UsageError(
            f"the file cannot be read ({error.strerror}) - {path} - a file of JSON lines is right"
        ) from error


def _time(text: str) -> int | None:
    """Milliseconds of a record time; None for `earliest` and `now`."""
    from monitor.cli.topic import record_time
    from monitor.clock import SystemClock

    return record_time("" if text in {"earliest", "now"} else text, now=SystemClock().now_ms())


def _watched(replay: Replay, batches: Iterator[Batch], total: int) -> Iterator[Judged]:
    """Run with progress on stderr: a bar on a terminal, else a line for every tenth.

    Where nobody knows how many records there are, a line for every 100,000.
    """
    import sys

    if sys.stderr.isatty():
        from rich.progress import Progress

        with Progress(transient=True) as progress:
            task = progress.add_task("replaying", total=total or None)
            yield from replay.run(batches, lambda batch: progress.advance(task, len(batch)))
        return
    step = max(total // 10, 1) if total else 100_000
    told = 0

    def tell(_batch: Batch) -> None:
        nonlocal told
        if replay.tally.records // step > told:
            told = replay.tally.records // step
            of = f" of {total:,}" if total else ""
            click.echo(f"replayed {replay.tally.records:,}{of} records", err=True)

    yield from replay.run(batches, tell)


def _data(replay: Replay, judged: list[Judged]) -> dict[str, object]:
    from monitor.judge.record import to_json

    tally = replay.tally
    return {
        "records": tally.records,
        "rows": tally.rows,
        "late": tally.late,
        "future": tally.future,
        "rejects": tally.rejects,
        "pages": sum(transition.pages for item in judged for transition in item.transitions),
        "verdicts": [to_json(item.verdict) for item in judged],
        "incidents": [
            {"kind": str(transition.kind), "incident": transition.incident.to_json()}
            for item in judged
            for transition in item.transitions
            if str(transition.kind) != "update"
        ],
    }


def _text(replay: Replay, judged: list[Judged]) -> str:
    from datetime import UTC, datetime

    from monitor.incident.model import cause_of, causes_of

    fine = any(ms % 60_000 for item in judged for ms in (item.verdict.start, item.verdict.end))
    seconds = ":%S" if fine else ""

    def moment(ms: int) -> str:
        return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M{seconds}Z}"

    lines = []
    months: dict[str, list[str]] = {}
    for item in judged:
        verdict = item.verdict
        named = [(where, test) for where, test in causes_of(verdict)[:3] if test.x > 1]
        causes = ", ".join(f"{cause_of(test, where)} {test.score:.3g}" for where, test in named)
        state = str(verdict.state) + (f"({verdict.reason})" if verdict.reason else "")
        lines.append(
            f"{verdict.model}  {verdict.window}  {moment(verdict.start)} – {moment(verdict.end)}"
            f"  {verdict.rows:>9,}  {state:<28} p={verdict.p:.4f}  {causes}".rstrip()
        )
        for transition in item.transitions:
            if str(transition.kind) in {"open", "resolve"}:
                lines.append(f"    incident {transition.kind}: {transition.incident.cause}")
            if transition.pages:
                months.setdefault(moment(verdict.end)[:7], []).append(transition.incident.cause)
    tally = replay.tally
    rejects = ", ".join(f"{reason} {count:,}" for reason, count in sorted(tally.rejects.items())) or "none"
    lines.append(
        f"\n{tally.records:,} records: {tally.rows:,} rows, {tally.late:,} late, {tally.future:,} future;"
        f" rejects: {rejects}"
    )
    pages = sum(len(causes) for causes in months.values())
    lines.append(
        f"{pages} pages" + "".join(f"\n  {month}: {', '.join(causes)}" for month, causes in months.items())
    )
    return "\n".join(lines)
