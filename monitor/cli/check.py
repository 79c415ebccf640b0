"""`driftline check`: is this configuration right, and does what it points to exist?"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from monitor.cli.check_line import Line, Sign, doubtful
from monitor.cli.options import Exit, config_option, emit, keep_log_quiet, output_option
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.config.finding import Finding
    from monitor.config.settings import Settings
    from monitor.config.values import Plans
    from monitor.reference.profile import Reference


@click.command("check")
@config_option
@click.option(
    "--no-network", is_flag=True, help="Do not connect to Kafka, Alertmanager, targets or feature stores."
)
@click.option("--strict", is_flag=True, help=f"Exit {Exit.WARNINGS:d} when there are warnings.")
@output_option
def command(config: tuple[str, ...], no_network: bool, strict: bool, output: str) -> None:  # noqa: FBT001 click
    """Validate a configuration and everything it points to. Changes nothing.

    √ is right, ~ is doubtful, x is wrong. Exit codes: 0 right, 1 something it points to is wrong,
    3 doubtful and --strict, 78 the configuration is invalid.
    """
    from monitor.config.load import load

    keep_log_quiet()
    try:
        settings = load(config)
        lines = list(examine(settings, network=not no_network))
    except ConfigError as error:
        refuse(error, output=output)
    code = exit_code(lines, strict=strict or False)
    emit(to_json(lines, settings.warnings, code), to_text(lines, settings.warnings), output=output)
    sys.exit(code)


def examine(settings: Settings, *, network: bool) -> Iterator[Line]:
    """Every line of the check. Raises ConfigError when settings and references do not agree."""
    from monitor.cli import check_local as local
    from monitor.cli.check_network import check_kafka, check_topics
    from monitor.config.plans import build_plans
    from monitor.config.topics import plan_topics

    yield Line(Sign.OK, "configuration", _inventory(settings))
    yield from (doubtful("configuration", _place(finding)) for finding in settings.warnings)
    yield local.check_backend(settings)
    references, lines = local.read_references(settings)
    yield from lines
    unread = [name for name, model in settings.models.items() if model.reference and name not in references]
    plans = build_plans(settings, references, without=unread)
    yield from local.check_secrets(plans)
    if plans.state.log == "local":
        yield local.check_state(plans.state.dir)
    yield from local.check_dead_letters(plans)
    partitions: dict[str, int] = {}
    if network:
        lines, partitions = check_kafka(plans)
        yield from lines
        if lines[0].sign is Sign.OK:
            yield from check_topics(plans, plan_topics(settings))
    if not unread:
        yield local.check_memory(plans, references, partitions)
        yield local.check_series(plans)
    yield from _check_models(plans, references)
    if network:
        yield from _check_others(plans, references)


def _check_models(plans: Plans, references: Mapping[str, Reference]) -> Iterator[Line]:
    """What each model's reference, if it has one, is enough for."""
    from monitor.cli import check_local as local
    from monitor.cli.check_harm import check_harm
    from monitor.cli.grouped import check_groups
    from monitor.cli.sampled import check_sample
    from monitor.cli.seasons import check_seasons
    from monitor.cli.segmented import check_segments

    for plan in plans.models:
        yield from check_harm(plan, references.get(plan.name))
        if plan.name in references:
            yield from local.check_beside(plan, references[plan.name])
            yield from local.check_compat(plan, references[plan.name])
            yield from check_seasons(plan, references[plan.name])
            yield from check_segments(plan, references[plan.name])
            yield from check_groups(plan, references[plan.name])
            yield from check_sample(plan, references[plan.name])
            yield from local.check_budget(plan, references[plan.name])


def _check_others(plans: Plans, references: Mapping[str, Reference]) -> Iterator[Line]:
    """What is asked of other servers than Kafka."""
    from monitor.cli.check_network import check_receivers, check_stores
    from monitor.cli.check_registry import check_registries

    yield from check_registries(plans, references)
    yield from check_receivers(plans)
    yield from check_stores(plans)


def _inventory(settings: Settings) -> str:
    counts = (("source", settings.sources), ("model", settings.models), ("target", settings.targets))
    return ", ".join(
        f"{len(found)} {noun}{'' if len(found) == 1 else 's'}" for noun, found in counts if found
    )


def _place(finding: Finding) -> str:
    return f"{finding.text} ({finding.mark})" if finding.mark else finding.text


def exit_code(lines: Sequence[Line], *, strict: bool) -> Exit:
    signs = {line.sign for line in lines}
    if Sign.WRONG in signs:
        return Exit.FAILURE
    return Exit.WARNINGS if strict and Sign.DOUBTFUL in signs else Exit.OK


def refuse(error: ConfigError, *, output: str) -> None:
    """Show an invalid configuration and exit: JSON on stdout, or text on stderr."""
    if output == "json":
        from monitor.config.report import to_json as findings_json

        emit({"ok": False, "findings": findings_json(_findings(error))}, "", output=output)
    else:
        click.echo(_colored(error), err=True)
    sys.exit(Exit.CONFIG)


def _findings(error: ConfigError) -> tuple[Finding, ...]:
    from monitor.config.finding import Finding

    return tuple(finding for finding in error.findings if isinstance(finding, Finding))


def _colored(error: ConfigError) -> str:
    """The findings in colour on a terminal, unless NO_COLOR is set; in a GitHub workflow as they are."""
    import os

    from monitor.config.report import render

    is_plain = os.environ.get("NO_COLOR") or os.environ.get("GITHUB_ACTIONS") or not sys.stderr.isatty()
    return str(error) if is_plain else render(_findings(error), color=True)


def to_json(lines: Sequence[Line], warnings: Sequence[Finding], code: Exit) -> dict[str, Any]:
    from monitor.config.report import to_json as findings_json

    names = {Sign.OK: "ok", Sign.DOUBTFUL: "warning", Sign.WRONG: "error"}
    return {
        "ok": code is Exit.OK,
        "lines": [{"status": names[line.sign], "subject": line.subject, "text": line.text} for line in lines],
        "findings": findings_json(warnings),
    }


def to_text(lines: Sequence[Line], warnings: Sequence[Finding]) -> str:
    """Warnings with their source lines, then one line for each thing that was looked at."""
    import os

    from monitor.config.report import annotate, render_one

    blocks = [render_one(finding) for finding in warnings]
    if warnings and os.environ.get("GITHUB_ACTIONS") == "true":
        blocks.append(annotate(warnings))
    blocks += [str(line) for line in lines]
    wrong = sum(line.sign is Sign.WRONG for line in lines)
    doubts = sum(line.sign is Sign.DOUBTFUL for line in lines)
    blocks.append(f"{wrong} wrong, {doubts} doubtful, {len(lines) - wrong - doubts} right")
    return "\n".join(blocks)
