"""Read, merge, substitute and validate configuration files."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from monitor.config.crosscheck import crosscheck
from monitor.config.document import Composer
from monitor.config.finding import Finding, Problem, Steps
from monitor.config.origin import Origin, Span, read_spans
from monitor.config.report import describe
from monitor.config.settings import Settings
from monitor.config.substitute import substitute
from monitor.config.tree import Branch, Node, merge, to_data
from monitor.config.validate import STAND_IN, validate
from monitor.errors import ConfigError

STDIN = "<stdin>"
MAX_FILE = 16 << 20
_ABSENT = {"unused": "models", "no-alerts": "alerts"}
"""What a warning misses, and where it may stand: it is not told while that part is broken."""


def load(
    files: Sequence[str], *, environ: Mapping[str, str] | None = None, stdin: str | None = None
) -> Settings:
    """The settings of `files`, later ones merged over earlier ones; `-` is stdin.

    Raises ConfigError with every error and warning there is; `Settings.warnings` holds the
    warnings of a valid configuration. `environ` and `stdin` replace those of the process.
    """
    environ = os.environ if environ is None else environ
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for file in files:
        _read(file, texts, problems, stdin)
    trees, masked = _compose(texts, problems)
    origin = Origin(lines={file: text.split("\n") for file, text in texts.items()}, masked=masked)
    if len(trees) < len(files) or not files:
        if not files:
            problems.append(Problem("no-file", (), "no configuration file is given"))
        raise refusal([origin.locate(problem) for problem in problems], environ)
    tree = trees[0]
    for over in trees[1:]:
        tree = merge(tree, over)
    tree, unresolved = substitute(tree, environ)
    problems += unresolved
    return _settle(tree, problems, origin, environ)


def refusal(findings: Sequence[Finding], environ: Mapping[str, str] | None = None) -> ConfigError:
    """The error that holds `findings`, in the order of the files."""
    ordered = order(findings)
    return ConfigError(describe(ordered, environ), findings=ordered)


def order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings of each file by line; errors that have no place first."""
    files = list(dict.fromkeys(f.mark.file for f in findings if f.mark))

    def rank(finding: Finding) -> tuple[int, int, int]:
        mark = finding.mark
        return (files.index(mark.file), mark.line, mark.column) if mark else (-1, 0, 0)

    return tuple(sorted(dict.fromkeys(findings), key=rank))


def _settle(tree: Node, problems: list[Problem], origin: Origin, environ: Mapping[str, str]) -> Settings:
    origin = Origin(tree, origin.lines, origin.masked)
    data = to_data(tree)
    failed = [problem.steps for problem in problems if problem.span]
    settings, broken, pruned = validate(data)
    problems += [
        p for p in broken if p.at_key or (not _is_within(p.steps, failed) and not _is_around(p.steps, failed))
    ]
    if settings is not None:
        settings.attach(origin, ())
        names = {key: _names(tree, key) for key in ("sources", "targets")}
        problems += [p for p in crosscheck(settings, names) if _stands(p, failed + pruned)]
    findings = order([origin.locate(problem) for problem in problems])
    if settings is None or any(finding.is_error for finding in findings):
        raise refusal(findings, environ)
    return settings.attach(origin, findings)


def _stands(problem: Problem, broken: list[Steps]) -> bool:
    """False for what only follows from parts that were taken out as broken."""
    if STAND_IN in problem.steps or _is_within(problem.steps, broken):
        return False
    absent = _ABSENT.get(problem.code)
    if absent:
        return not any(steps[:1] == (absent,) for steps in broken)
    if problem.code in {"missing-key", "missing-value", "no-target", "unsigned"}:
        near = problem.steps[:-1]
        return not any(steps[: len(near)] == near for steps in broken)
    return True


def _is_within(steps: Steps, outer: list[Steps]) -> bool:
    return any(steps[: len(out)] == out for out in outer if out)


def _is_around(steps: Steps, inner: list[Steps]) -> bool:
    return any(within[: len(steps)] == steps for within in inner)


def _names(tree: Node, key: str) -> frozenset[str]:
    _, _, node = Origin(tree).node((key,))
    return frozenset(node.entries) if isinstance(node, Branch) and node is not tree else frozenset()


def _compose(
    texts: Mapping[str, str], problems: list[Problem]
) -> tuple[list[Node], dict[str, dict[int, list[Span]]]]:
    trees: list[Node] = []
    masked: dict[str, dict[int, list[Span]]] = {}
    for file, text in texts.items():
        composer = Composer(file, text)
        tree = composer.compose()
        problems += composer.problems
        if tree is not None:
            trees.append(tree)
            masked[file] = read_spans(tree, composer.leaves)
    return trees, masked


def _read(file: str, texts: dict[str, str], problems: list[Problem], stdin: str | None) -> None:
    name = STDIN if file == "-" else file
    if name in texts:
        problems.append(Problem("repeated-file", (), f"{name} is given twice"))
        return
    try:
        if file == "-":
            data = sys.stdin.buffer.read(MAX_FILE + 1) if stdin is None else stdin.encode()
        else:
            with Path(file).open("rb") as stream:
                data = stream.read(MAX_FILE + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        problems.append(Problem("unreadable-file", (), f"{name} cannot be read: {error.strerror}"))
    except UnicodeDecodeError as error:
        problems.append(
            Problem("bad-encoding", (), f"{name} is not UTF-8: byte {error.start} cannot be decoded")
        )
    except ValueError:
        problems.append(Problem("unreadable-file", (), f"{name!r} is not a file name"))
    else:
        if len(data) > MAX_FILE:
            problems.append(Problem("yaml-size", (), f"{name} is larger than 16 MiB"))
        texts[name] = text
