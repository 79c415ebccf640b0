"""Findings as text for people, JSON for programs, and annotations for GitHub."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from monitor.config.finding import Finding, Level

_STYLES = {Level.ERROR: "\x1b[1;31m", Level.WARNING: "\x1b[1;33m"}
_BLUE, _BOLD, _RESET = "\x1b[34m", "\x1b[1m", "\x1b[0m"


def render(findings: Sequence[Finding], *, color: bool = False, footer: str = "") -> str:
    """All findings in the order of the files, then how many there are."""
    blocks = [render_one(finding, color=color) for finding in findings]
    return "\n".join([*blocks, _count(findings) + footer])


def render_one(finding: Finding, *, color: bool = False) -> str:
    style, blue, bold, reset = (_STYLES[finding.level], _BLUE, _BOLD, _RESET) if color else ("",) * 4
    lines = [f"{style}{finding.level}[{finding.code}]{reset}{bold}: {clean(finding.text)}{reset}"]
    if finding.mark:
        width = len(str(finding.mark.line))
        lines.append(f"{' ' * width}{blue}-->{reset} {finding.mark}")
        if finding.source:
            source, (start, end) = _window(clean(finding.source), finding.caret)
            gutter = f"{blue}{' ' * width} |{reset}"
            carets = f"{' ' * start}{style}{'^' * (end - start)}{reset}"
            note = f" {clean(finding.suggestion)}" if finding.suggestion else ""
            lines += [gutter, f"{blue}{finding.mark.line} |{reset} {source}", f"{gutter} {carets}{note}"]
        elif finding.suggestion:
            lines.append(f"{' ' * width} = {clean(finding.suggestion)}")
        pad = " " * width
    else:
        pad = ""
        if finding.suggestion:
            lines.append(f" = {clean(finding.suggestion)}")
    if finding.help:
        lines.append(f"{pad} = help: {clean(finding.help)}")
    return "\n".join(lines)


def _window(source: str, caret: tuple[int, int]) -> tuple[str, tuple[int, int]]:
    """At most 160 columns of a line, around the caret."""
    start, end = caret
    if len(source) <= 160:
        return source, (start, max(end, start + 1))
    low = max(0, min(start - 40, len(source) - 160))
    end = min(end, low + 160)
    return source[low : low + 160], (start - low, max(end - low, start - low + 1))


def clean(text: str) -> str:
    """The text on one line, without control characters that could move a terminal's cursor."""
    return "".join(c if c.isprintable() else " " if c in "\t\r\n" else "�" for c in text)


def _count(findings: Sequence[Finding]) -> str:
    errors = sum(finding.is_error for finding in findings)
    parts = [_plural(errors, "error")] if errors else []
    warnings = len(findings) - errors
    if warnings or not errors:
        parts.append(_plural(warnings, "warning"))
    return ", ".join(parts) + "; " + ("nothing was changed." if errors else "the configuration can be used.")


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def to_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """JSON-able findings, for editors and CI."""
    return [
        {
            "level": str(f.level),
            "code": f.code,
            "path": f.path,
            "text": f.text,
            "file": f.mark.file if f.mark else None,
            "line": f.mark.line if f.mark else None,
            "column": f.mark.column if f.mark else None,
            "end_column": f.mark.end if f.mark else None,
            "suggestion": f.suggestion,
            "help": f.help,
        }
        for f in findings
    ]


def annotate(findings: Sequence[Finding]) -> str:
    """Workflow commands that make GitHub show the findings beside the lines."""
    lines = []
    for f in findings:
        place = f"file={_property(f.mark.file)},line={f.mark.line},col={f.mark.column}," if f.mark else ""
        text = ". ".join(part for part in (f.text, f.suggestion, f.help) if part)
        lines.append(f"::{f.level} {place}title={_property(f.code)}::{_data(text)}")
    return "\n".join(lines)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def describe(findings: Sequence[Finding], environ: Mapping[str, str] | None = None) -> str:
    """The text of a ConfigError; in a GitHub workflow, annotations stand before it."""
    text = render(findings)
    if (os.environ if environ is None else environ).get("GITHUB_ACTIONS") == "true":
        return f"{annotate(findings)}\n{text}"
    return text
