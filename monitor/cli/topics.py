"""`driftline topics`: the topics of the state, and what an administrator has to run for them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from monitor.cli.check_line import Line, Sign, doubtful, ok, wrong
from monitor.cli.options import Exit, config_option, emit, keep_log_quiet, output_option
from monitor.errors import StateError, UsageError

if TYPE_CHECKING:
    from monitor.config.settings import Settings
    from monitor.state.kafka.admin import Standing
    from monitor.state.kafka.commands import Command
    from monitor.state.kafka.topics import TopicSpec

MISSING = "missing"


@click.command("topics")
@config_option
@click.option("--create", is_flag=True, help="Create those that are missing.")
@click.option(
    "--principal",
    default="",
    metavar="TYPE:NAME",
    help="Also print what allows this principal all that driftline does, as User:driftline.",
)
@output_option
def command(*, config: tuple[str, ...], create: bool, principal: str, output: str) -> None:
    """Show the topics of the state in Kafka, and the commands that create or mend them.

    Exit codes: 0 all are as they have to be, 1 some are not, 78 the configuration is invalid.
    """
    from monitor.config.load import load
    from monitor.config.topics import plan_topics

    keep_log_quiet()
    settings = load(config)
    wanted = plan_topics(settings)
    if not wanted:
        raise UsageError("the state has no topics - state.log - kafka")
    if principal and ":" not in principal:
        raise UsageError(f"{principal!r} is no principal - --principal - User:name")
    properties = _properties(settings)
    try:
        standing, created = _look(properties, wanted, create=create)
    except StateError as error:
        if not principal:
            raise
        click.echo(f"error: {error}", err=True)  # who has no rights yet still wants to know which
        standing, created = None, ()
    lines = describe(wanted, standing, created=created)
    commands = list(_mending(properties, wanted, standing))
    commands += _rights(settings, properties, principal) if principal else []
    right = all(line.sign is not Sign.WRONG for line in lines)
    data = {
        "ok": right,
        "topics": [
            {
                "name": line.subject,
                "ok": line.sign is not Sign.WRONG,
                "text": line.text,
                "created": line.subject in created,
            }
            for line in lines
        ],
        "commands": [{"command": command.text, "note": command.note} for command in commands],
    }
    emit(data, _text(lines, commands), output=output)
    sys.exit(Exit.OK if right else Exit.FAILURE)


def describe(
    wanted: Sequence[TopicSpec], standing: Standing | None, *, created: Sequence[str] = ()
) -> list[Line]:
    """A line on each topic; None: Kafka did not say."""
    from monitor.state.kafka.topics import scarce
    from monitor.state.kafka.topics import wrong as faults_of

    if standing is None:
        return [wrong(spec.name, "not known") for spec in wanted]
    faults = {fault.topic: fault.text for fault in faults_of(wanted, standing.found)}
    few = scarce(wanted, standing.found)
    lines = []
    for spec in wanted:
        if spec.name in standing.hidden:
            lines.append(wrong(spec.name, "may not be seen by these credentials"))
        elif spec.name not in standing.found:
            lines.append(wrong(spec.name, MISSING))
        elif spec.name in faults:
            lines.append(wrong(spec.name, faults[spec.name]))
        else:
            state = standing.found[spec.name]
            text = f"{state.partitions} partition{'' if state.partitions == 1 else 's'}"
            text = f"created, {text}" if spec.name in created else text
            if spec in few:
                of = f"{state.replication} broker{'' if state.replication == 1 else 's'}"
                lines.append(
                    doubtful(spec.name, f"{text}, on {of}; state.kafka.replication is {spec.replication}")
                )
            else:
                lines.append(ok(spec.name, text))
    return lines


def _properties(settings: Settings) -> dict[str, str]:
    from monitor.config.plans import plan_kafka

    try:
        return plan_kafka(settings).client()
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}"
        raise UsageError(f"a secret cannot be read ({reason}) - kafka.secret_properties - a file") from error


def _look(
    properties: dict[str, str], wanted: Sequence[TopicSpec], *, create: bool
) -> tuple[Standing, tuple[str, ...]]:
    """What there is, and what was created before."""
    from monitor.clock import SystemClock
    from monitor.state.kafka.admin import TopicAdmin
    from monitor.state.kafka.topics import missing

    admin = TopicAdmin(properties, clock=SystemClock())
    standing = admin.look(wanted)
    absent = [spec for spec in missing(wanted, standing.found) if spec.name not in standing.hidden]
    if not create or not absent:
        return standing, ()
    refused = admin.create(absent)
    if refused:
        click.echo(f"error: not created - {refused}", err=True)
    after = admin.look(wanted)
    return after, tuple(spec.name for spec in absent if spec.name in after.found)


def _mending(
    properties: dict[str, str], wanted: Sequence[TopicSpec], standing: Standing | None
) -> Iterator[Command]:
    from monitor.state.kafka.commands import Command, create_command, mend_command, reach, reassign_command
    from monitor.state.kafka.topics import missing, scarce
    from monitor.state.kafka.topics import wrong as faults_of

    where, found = reach(properties), standing.found if standing else {}
    brokers = standing.brokers if standing else ()
    texts = [create_command(spec, where) for spec in missing(wanted, found)]
    texts += [mend_command(fault, where) for fault in faults_of(wanted, found)]
    yield from (Command(text) for text in texts if text)
    for spec in scarce(wanted, found):
        text = reassign_command(spec, found[spec.name], brokers, where)
        yield from [Command(text, "only if it is to be on more brokers; others will do")] if text else []


def _rights(settings: Settings, properties: dict[str, str], principal: str) -> list[Command]:
    from monitor.config.plans import plan_sources
    from monitor.state.kafka.commands import acl_commands, reach

    sources = plan_sources(settings)
    return list(
        acl_commands(
            principal,
            reach(properties),
            prefix=settings.state.kafka.prefix,
            group=settings.kafka.group,
            inputs=[source.topic for source in sources],
            dead_letters=[s.dead_letter.path for s in sources if s.dead_letter.to == "topic"],
        )
    )


def _text(lines: Sequence[Line], commands: Sequence[Command]) -> str:
    """What there is, then what can be copied into a shell."""
    blocks: list[Any] = [str(line) for line in lines]
    if commands:
        blocks.append("")
    for found in commands:
        blocks += [f"# {found.note}", found.text] if found.note else [found.text]
    return "\n".join(blocks)
