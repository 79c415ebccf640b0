"""`driftline dlq`: what was rejected and why, and sending it back once that is mended."""

from __future__ import annotations

import base64
import functools
import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from monitor.cli.options import emit, keep_log_quiet, optional_config_option, output_option, printable
from monitor.names import REASONS

if TYPE_CHECKING:
    from monitor.config.settings import Settings
    from monitor.intake.dead_read import DeadLetter, FileLetters, Origin, TopicLetters
    from monitor.intake.requeue import Unsent

F = TypeVar("F", bound=Callable[..., Any])
SHOWN = 10
"""Lines shown before a question, and of what is refused."""


@click.group("dlq")
def command() -> None:
    """List dead letters, and send them back to their topic."""


def selection_options(command: F) -> F:
    """Which letters; `chosen: Chosen` takes their place."""

    @functools.wraps(command)
    def choosing(
        *, config: tuple[str, ...], file: str, source: str, reasons: tuple[str, ...], since: str,
        until: str, limit: int, **rest: Any,
    ) -> None:  # fmt: skip
        from monitor.cli.topic import record_time
        from monitor.clock import SystemClock
        from monitor.config.load import load

        keep_log_quiet()
        now = SystemClock().now_ms()
        span = (record_time(since, now=now), record_time(until, now=now))
        settings = load(config) if config else None
        command(chosen=Chosen(settings, file, source, frozenset(reasons), *span, limit), **rest)

    chosen: Any = choosing
    for option in (
        click.option(
            "--limit", default=100, show_default=True, type=click.IntRange(1), help="At most so many."
        ),
        click.option("--until", default="", help="Record time, as --since; up to now by default."),
        click.option("--since", default="", help="Record time: RFC 3339, 30d (ago), or ms."),
        click.option(
            "--reason", "reasons", multiple=True, type=click.Choice([str(reason) for reason in REASONS]),
            help="Rejected for this reason; may be repeated.",
        ),
        click.option(
            "--source", default="", help="Rejected from this source: its name, its topic, or topic/partition."
        ),
        click.option(
            "--file", default="", metavar="FILE",
            help="A dead-letter file, also one that was moved away, instead of where the configuration says.",
        ),
        optional_config_option,
    ):  # fmt: skip
        chosen = option(chosen)
    return chosen  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the options say."""

    settings: Settings | None
    file: str
    source: str
    reasons: frozenset[str]
    since: int | None
    until: int | None
    limit: int

    def properties(self) -> dict[str, str]:
        """How Kafka is reached."""
        from monitor.cli.topic import client_of
        from monitor.config.plans import plan_kafka

        return client_of(plan_kafka(self._configured()))

    def held(self) -> list[TopicLetters | FileLetters]:
        """Where the letters lie."""
        from pathlib import Path

        from monitor.config.plans import plan_sources
        from monitor.errors import UsageError
        from monitor.intake.dead_read import FileLetters, TopicLetters

        if self.file:
            if not Path(self.file).is_file():
                raise UsageError(f"no such file - {self.file} - a file of dead letters is right")
            return [FileLetters(Path(self.file))]
        plans = [source.dead_letter for source in plan_sources(self._configured())]
        topics = dict.fromkeys(plan.path for plan in plans if plan.to == "topic")
        files = dict.fromkeys(plan.path for plan in plans if plan.to == "file")
        if not topics and not files:
            raise UsageError(
                "rejects are only counted - sources.*.dead_letter - to: topic or file keeps them"
            )
        properties = self.properties() if topics else {}
        return [
            *(TopicLetters(topic, properties, since_ms=self.since) for topic in topics),
            *(FileLetters(Path(file)) for file in files),
        ]

    def filter(self) -> Callable[[DeadLetter], bool]:
        """Whether a letter is asked for. Several deployments may share a dead-letter topic."""
        from monitor.errors import UsageError

        sources = {} if self.settings is None else self.settings.sources
        topics = {name: source.topic for name, source in sources.items()}
        named = topics.get(self.source, self.source)
        topic, _, number = named.rpartition("/")
        if topics and named and (topic if number.isdecimal() else named) not in topics.values():
            raise UsageError(
                f"there is no source {self.source} - --source - one of {', '.join(topics)} is right"
            )

        def is_wanted(letter: DeadLetter) -> bool:
            origin = letter.origin
            return (
                (self.since is None or letter.timestamp >= self.since)
                and (self.until is None or -1 < letter.timestamp < self.until)
                and (not self.reasons or letter.reason in self.reasons)
                and (not topics or origin.topic in topics.values())
                and (not named or named in (origin.topic, f"{origin.topic}/{origin.partition}"))
            )

        return is_wanted

    def _configured(self) -> Settings:
        from monitor.errors import UsageError

        if self.settings is None:
            raise UsageError("nothing says where Kafka and the letters are - dlq - --config FILE is right")
        return self.settings


@command.command("list")
@selection_options
@output_option
def list_(*, chosen: Chosen, output: str) -> None:
    """The newest dead letters, oldest first: where they lie, where they came from, and what is wrong.

    --output json has key, value and headers as they were: as text where they are UTF-8, else in
    base64 (value_base64). The text shows no data of records.
    """
    found: list[tuple[DeadLetter, bool]] = []
    for held in chosen.held():
        requeued = held.requeued()
        pairs = ((letter, letter.origin in requeued) for letter in _read(held, chosen))
        found = heapq.nlargest(chosen.limit, [*found, *_newest(pairs, chosen.limit)], key=_time)
    found.sort(key=_time)
    text = "\n".join(_line(letter, is_requeued=done) for letter, done in found) or "no dead letters"
    emit([_body(letter, is_requeued=done) for letter, done in found], text, output=output)


@command.command("requeue")
@selection_options
@click.option("--dry-run", is_flag=True, help="Say what would be sent; send nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also what was sent back and rejected three times.")
@click.option("--again", is_flag=True, help="Also what is noted as sent back. It is then counted twice.")
def requeue(*, chosen: Chosen, dry_run: bool, yes: bool, force: bool, again: bool) -> None:
    """Send dead letters back to the partition they were rejected from, the first of them first.

    Key, value, headers and timestamp are as they were, with a header `__driftline.requeued` that
    counts. What was sent is noted beside the letters, in their topic or in requeued.jsonl, so that
    the same command goes on behind --limit and sends nothing twice. Mend what rejected them before;
    a record whose time is over for its model by now is rejected again, as late.
    """
    from monitor.intake.requeue import requeue as send

    failed: list[Unsent] = []
    count = 0
    left = chosen.limit
    for held in chosen.held():
        letters = _sendable(held, chosen, left, force=force, again=again)
        left -= len(letters)
        if not letters:
            continue
        _show(letters, f"{held.name}: {len(letters)} records {'would go' if dry_run else 'go'} back")
        if dry_run:
            continue
        if not yes:
            click.confirm("send them?", abort=True, err=True)
        unsent = list(send(letters, held, chosen.properties()))
        failed += unsent
        count += len(letters) - len(unsent)
    if not dry_run:
        click.echo(f"sent back {count} records")
    _refuse_unsent(failed)


def _sendable(
    held: TopicLetters | FileLetters, chosen: Chosen, limit: int, *, force: bool, again: bool
) -> list[DeadLetter]:
    """Those to be sent, in the order of the partitions they came from; says which are refused."""
    from monitor.intake.requeue import MOST, refuse

    seen: set[Origin] = set() if again else held.requeued()
    letters: list[DeadLetter] = []
    refused: list[str] = []
    for letter in _read(held, chosen):
        if len(letters) == limit:
            break
        if letter.origin in seen:
            continue
        seen.add(letter.origin)  # a crash of the daemon leaves some letters twice
        why = refuse(letter, most=None if force else MOST)
        if why:
            refused.append(f"refused {letter.origin}: {why}")
        else:
            letters.append(letter)
    for line in refused[:SHOWN]:
        click.echo(line, err=True)
    if len(refused) > SHOWN:
        click.echo(f"refused {len(refused) - SHOWN} more", err=True)
    return sorted(letters, key=lambda letter: letter.origin)


def _refuse_unsent(failed: Sequence[Unsent]) -> None:
    from monitor.errors import IntakeError

    if failed:
        letter, why = failed[0]
        raise IntakeError(
            f"{len(failed)} records were not acknowledged ({why}) - {letter.origin} - "
            "look whether they arrived, then send them again"
        )


def _read(held: TopicLetters | FileLetters, chosen: Chosen) -> Iterator[DeadLetter]:
    yield from filter(chosen.filter(), held.read())
    if held.unreadable:
        click.echo(
            f"{held.name}: passed over {held.unreadable} that are no dead letters of driftline", err=True
        )


def _newest(pairs: Iterator[tuple[DeadLetter, bool]], limit: int) -> list[tuple[DeadLetter, bool]]:
    return heapq.nlargest(limit, pairs, key=_time)


def _time(pair: tuple[DeadLetter, bool]) -> tuple[int, Origin]:
    return pair[0].timestamp, pair[0].origin


def _show(letters: Sequence[DeadLetter], head: str) -> None:
    click.echo(head)
    for letter in letters[:SHOWN]:
        click.echo(f"  {_line(letter, is_requeued=False)}")
    if len(letters) > SHOWN:
        click.echo(f"  and {len(letters) - SHOWN} more")


def _line(letter: DeadLetter, *, is_requeued: bool) -> str:
    from monitor.incident.text import rfc3339

    when = rfc3339(letter.timestamp)[:19] if letter.timestamp >= 0 else "-"
    marks = [
        *(["sent back"] if is_requeued else []),
        *([f"{letter.times}× before"] if letter.times else []),
        *(["without its value"] if letter.withheld >= 0 else []),
    ]
    tail = f"  [{', '.join(marks)}]" if marks else ""
    return (
        f"{letter.place}  {letter.origin}  {when}  {letter.reason:<13} {letter.size:>9,} B  "
        f"{printable(letter.detail)}{tail}"
    ).rstrip()


def _body(letter: DeadLetter, *, is_requeued: bool) -> dict[str, Any]:
    return {
        "place": letter.place,
        "topic": letter.origin.topic,
        "partition": letter.origin.partition,
        "offset": letter.origin.offset,
        "timestamp": letter.timestamp,
        "stage": letter.stage,
        "reason": letter.reason,
        "detail": letter.detail,
        "model": letter.model,
        "size": letter.size,
        "without_value": letter.withheld >= 0,
        "times": letter.times,
        "requeued": is_requeued,
        **_readable("key", letter.key),
        **_readable("value", letter.value),
        "headers": [{"name": name, **_readable("value", data)} for name, data in letter.headers],
    }


def _readable(name: str, data: bytes | None) -> dict[str, str | None]:
    try:
        return {name: None if data is None else data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(data or b"").decode("ascii")}
