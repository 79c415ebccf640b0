"""`driftline replay`: judge a file or a span of a topic again, without side effects."""

from __future__ import annotations

import os
from pathlib import Path

import click

from monitor.cli.options import Exit, config_option, emit, keep_log_quiet, output_option
from monitor.errors import UsageError


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
@click.option(
    "--reigns",
    is_flag=True,
    help="Judge versions as the state log says that a model registry had them judged; else all by the configured "
    "reference.",
)
@click.option("--source", "name", help="Which of `sources`; may be left out when there is one.")
@click.option("--from", "since", help="Record time: earliest (the default), RFC 3339, 30d ago, or ms.")
@click.option("--to", "until", help="Record time: now (the default), RFC 3339, or ms.")
@click.option(
    "--null",
    "without_change",
    is_flag=True,
    help="Read no log: draw windows from the reference's own days and count the false pages a month.",
)
@click.option(
    "--inject",
    "injected",
    multiple=True,
    metavar="KIND:FEATURE[=SIZE][@WHEN]",
    help="Put a change in and tell when it is found: shift (in standard deviations), scale (a factor), missing, novel, "
    "rename (shares); of several sizes where none is given. In the log where --file, --from or --to names one, from "
    "WHEN on (a time, or 1d after the first row); else in days drawn from the reference. Repeatable.",
)
@click.option(
    "--runs", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Of --null, --inject."
)
@click.option(
    "--months", type=click.FloatRange(0.01, 120), default=1.0, show_default=True, help="Of a run of --null."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of what is drawn.")
@click.option(
    "--labels",
    "with_labels",
    is_flag=True,
    help="Also read the topics of labels to their end, and say how well models did in each window.",
)
@click.option("--svg", metavar="FILE", help="A picture of windows, pages and incidents over time.")
@click.option("--fail-on", type=click.Choice(["drift"]), help="Exit with 4 when a window drifted.")
@output_option
def command(
    *, config: tuple[str, ...], against: tuple[str, ...], budgets: tuple[str, ...], path: str | None,
    name: str | None, since: str | None, until: str | None, without_change: bool, injected: tuple[str, ...],
    runs: int, months: float, seed: int, with_labels: bool, svg: str | None, fail_on: str | None, output: str, reigns: bool,
) -> None:  # fmt: skip
    """Fold and judge again what a topic or a file holds, with the configuration as it is now.

    The same fold and the same judge as the daemon's, from an empty state, so the verdicts are the
    daemon's to the last digit. Nothing is stored, nothing is sent, no group is joined.

    With several configurations or budgets the log is read once, and a table says for each how many
    windows would have drifted, how many pages would have been sent, and how long after the onset.

    --null and --inject say before anything is live what a budget comes to: the false pages of a month
    without a change, and how large a change must be to be found within a day.
    """
    from monitor.cli.warm import warm_shown

    keep_log_quiet()
    warm_shown()
    from monitor.cli import replay_run  # imports kernels: only now, so that compiling is seen

    is_span = since is not None or until is not None
    if path is not None and is_span:
        raise UsageError(
            f"records of a file have no record time - --from, --to with --file {path} - one or the other is right"
        )
    if with_labels and (path is not None or without_change or against):
        other = "--file" if path is not None else "--null" if without_change else "--against"
        raise UsageError(
            f"labels are on a topic beside that of one configuration - --labels with {other} - one of them"
        )
    if svg is not None:
        _check_writable(svg)
    has_log = path is not None or is_span
    options = replay_run.Options(
        config=config, against=against, budgets=budgets, source=name, null=without_change, injected=injected,
        runs=runs, months=months, seed=seed, reigns=reigns,
    )  # fmt: skip
    if without_change or (injected and not has_log):
        if has_log:
            raise UsageError("--null with a log - --file, --from, --to - one of them: nothing is read")
        if svg is not None and not without_change:
            raise UsageError("nothing to draw - --svg - a log or --null, which have windows over time")
        result = replay_run.drawn(options)
    else:
        result = replay_run.replayed(options, path=path, since=since, until=until)
        if with_labels:
            result = replay_run.with_labels(result, options, since=since, until=until)
    emit(result.data, result.text, output=output)
    if svg is not None:
        _write(svg, result.svg)
    if fail_on and result.has_drift:
        raise SystemExit(Exit.DRIFT)


def _check_writable(path: str) -> None:
    """Now, and not after an hour of judging. A folder that is filled or taken away meanwhile is told by `_write`."""
    file = Path(path)
    wrong = "there is no such folder" if not file.parent.is_dir() else ""
    wrong = wrong or ("it is a folder" if file.is_dir() else "")
    is_open = os.access(file if file.exists() else file.parent, os.W_OK)
    if wrong or not is_open:
        raise UsageError(
            f"the picture cannot be written ({wrong or 'not permitted'}) - --svg {path} - a file in a folder that is there"
        )


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"the picture cannot be written ({error.strerror}) - {path} - a file in a folder that is there"
        ) from error
