from __future__ import annotations

import pytest

from monitor.config.finding import Finding, Level, Mark, dotted, nearest
from monitor.config.load import load
from monitor.config.report import annotate, clean, render, to_json
from monitor.errors import ConfigError
from tests.config.cases import HEAD, TAIL, findings_of

TEXT = HEAD + "    windows: {1h: {size: 1h, sise: 5m}}\n" + TAIL


def refusal(text: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(["-"], stdin=text, environ=environ or {})
    return str(caught.value)


def test_the_text_of_an_error() -> None:
    """What is wrong, where, the line with carets, what was meant, what would be right, how many."""
    assert (
        refusal(TEXT)
        == """\
error[unknown-key]: models.m.windows.1h.sise is not a known setting
 --> <stdin>:8:30
  |
8 |     windows: {1h: {size: 1h, sise: 5m}}
  |                              ^^^^ did you mean `size`?
  = help: settings of models.m.windows.1h: size, step, timezone
1 error; nothing was changed."""
    )


def test_warnings_are_counted_apart() -> None:
    """Errors and warnings stand together; warnings alone leave the configuration usable."""
    assert refusal(HEAD + "log: {level: loud}\n").endswith("1 error, 1 warning; nothing was changed.")
    warning = Finding(Level.WARNING, "unused", "a", "a is not used")
    assert render([warning]) == "warning[unused]: a is not used\n1 warning; the configuration can be used."


def test_github_annotations() -> None:
    """In a workflow each finding is also a workflow command, with its commas and colons escaped."""
    text = refusal(TEXT, {"GITHUB_ACTIONS": "true"})
    first = text.splitlines()[0]
    assert first.startswith(
        "::error file=<stdin>,line=8,col=30,title=unknown-key::models.m.windows.1h.sise is not"
    )
    assert "error[unknown-key]" in text
    odd = Finding(Level.WARNING, "a:b,c", "p", "50% of\nlines", Mark("a,b:c.yaml", 1, 2, 3))
    assert annotate([odd]) == "::warning file=a%2Cb%3Ac.yaml,line=1,col=2,title=a%3Ab%2Cc::50%25 of%0Alines"


def test_json_for_programs() -> None:
    """Everything that the text says, as fields."""
    (row,) = to_json(findings_of(TEXT))
    assert row["level"] == "error"
    assert (row["code"], row["file"], row["line"], row["column"], row["end_column"]) == (
        "unknown-key",
        "<stdin>",
        8,
        30,
        34,
    )
    assert row["suggestion"] == "did you mean `size`?"


def test_color_is_only_paint() -> None:
    """Without its escape sequences the coloured text is the plain one."""
    import re

    found = findings_of(TEXT)
    painted = render(found, color=True)
    assert "\x1b[" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == render(found)


def test_text_from_files_cannot_steer_a_terminal() -> None:
    """Control characters of a file are not sent to the terminal that shows it."""
    assert "\x1b" not in refusal(HEAD + TAIL + '"a\\e[2J": 1\nstate: {dir: "\\e[31m", sise: 1}\n')
    assert clean("a\x1b[2J\nb") == "a�[2J b"


def test_long_lines_are_cut_around_the_caret() -> None:
    """A line of thousands of characters does not fill the screen."""
    text = refusal(HEAD + TAIL + f"state: {{dir: {'x' * 5000}, sise: 1}}\n")
    assert max(map(len, text.splitlines())) < 250
    shown, under = text.splitlines()[3:5]
    assert shown[under.index("^") :].startswith("sise")


def test_paths_and_suggestions() -> None:
    """Names with dots are quoted; the nearest word is offered, if it is near."""
    assert dotted(("models", "a.b", "allowed", 0)) == 'models["a.b"].allowed[0]'
    assert dotted(()) == ""
    assert nearest("Clear-After", ["clear_after", "budget"]) == "did you mean `clear_after`?"
    assert nearest("zzz", ["clear_after"]) == ""
