"""`driftline replay` of a file: candidates side by side, and verdicts that depend on nothing but the records."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from monitor.cli.options import Exit
from monitor.cli.replay import command
from monitor.errors import ConfigError, UsageError
from monitor.intake import lines
from tests.daemon.build import MODEL, merged, scene, stream

NOWHERE = SimpleNamespace(bootstrap="127.0.0.1:9")


@pytest.fixture
def made(tmp_path):
    """A configuration, its reference, and a log of 14 windows of which three drift."""
    found = scene(tmp_path / "scene", NOWHERE, create=False)
    records = stream(range(14), drifting=range(5, 8))
    records.sort(key=lambda one: one.timestamp)
    (found.folder / "log.jsonl").write_bytes(b"\n".join(one.value or b"" for one in records))
    return found


def run(made, *options, code=0):
    result = CliRunner().invoke(
        command, ["-c", str(made.config), "--file", str(made.folder / "log.jsonl"), *options],
        catch_exceptions=False,
    )  # fmt: skip
    assert result.exit_code == code, result.output
    return result.stdout


def as_json(made, *options):
    return json.loads(run(made, *options, "--output", "json"))


def other(made, name, **change):
    """Another configuration of the same model."""
    path = made.folder / name
    path.write_text(json.dumps(merged(made.settings, {"models": {MODEL: change}})))
    return str(path)


def test_a_log_is_judged_and_summed_up(made):
    """Every verdict, then windows by state, pages and how long after the onset they came."""
    found = as_json(made)
    states = [body["state"] for body in found["verdicts"]]
    assert [at for at, state in enumerate(states) if state == "drift"] == [5, 6, 7]
    (only,) = found["candidates"]
    (row,) = only["windows"]
    assert (row["windows"], row["drift"], row["pages"], row["early"], found["pages"]) == (14, 3, 1, 1, 1)
    assert row["mean_delay_ms"] == row["worst_delay_ms"] < 300_000
    assert [body["end"] for body in found["early"]][:1] == [found["incidents"][0]["incident"]["opened"]]
    whole = as_json(made, "--against", other(made, "late.yaml", early=0))["candidates"][1]["windows"][0]
    assert (whole["windows"], whole["drift"], whole["pages"], whole["early"]) == (14, 3, 1, 0)
    assert whole["mean_delay_ms"] == whole["worst_delay_ms"] == 300_000
    text = run(made, "--fail-on", "drift", code=Exit.DRIFT)
    assert text.count("drift ") >= 3
    assert text.count("early alarm") == len(found["early"]) >= 1
    assert "incident open: early(amount)" in text
    assert "5m" in text
    assert "1 page\n" in text


def test_verdicts_do_not_depend_on_batches(made, monkeypatch):
    """Windows are looked at now and then, in batches of any size, with the same result to the last digit."""
    whole = as_json(made)
    monkeypatch.setattr(lines, "CHUNK", 37)
    assert as_json(made) == whole


def test_budgets_are_compared(made):
    """Each budget is a candidate: its level is what a window may spend, and counts are the same."""
    found = as_json(made, "--budget", "2 per 30d", "--budget", "200 per 30d")
    names = [body["candidate"] for body in found["candidates"]]
    assert names == ["2 per 30d", "200 per 30d"]
    assert found["verdicts"] == as_json(made)["verdicts"]
    text = run(made, "--budget", "2 per 30d", "--budget", "200 per 30d")
    assert "candidate" in text
    assert "200 per 30d" in text
    with pytest.raises(UsageError, match="--budget"):
        run(made, "--budget", "often")
    with pytest.raises(UsageError, match="the same twice"):
        run(made, "--budget", "2 per 30d", "--budget", "2 per 30d")


def test_rejects_before_the_first_row_are_of_no_window(made):
    """Lines have no record time, and nothing before them says what time it is: no window of 1970 is judged."""
    log = made.folder / "log.jsonl"
    whole = as_json(made)
    own = [
        json.dumps(json.loads(line) | {"ts": "never"}).encode() for line in log.read_bytes().splitlines()[:9]
    ]
    log.write_bytes(b"\n".join([*own, log.read_bytes()]))
    found = as_json(made)
    assert found["rejects"] == {"bad_time": 9}
    assert [body["start"] for body in found["verdicts"]] == [body["start"] for body in whole["verdicts"]]


def test_a_budget_that_is_not_proven_is_told(made):
    """Of each candidate that it holds of, by its name, and of months that are drawn: their pages prove nothing."""
    found = as_json(made, "--budget", "2 per 30d", "--budget", "900 per 30d")
    assert [body["windows"][0]["proven"] for body in found["candidates"]] == [False, True]
    text = run(made, "--budget", "2 per 30d", "--budget", "900 per 30d")
    (line,) = (line for line in text.splitlines() if line.startswith("budget not proven"))
    assert line.startswith("budget not proven: 2 per 30d · scores · 5m: the reference has 60 windows, ")
    months = ["--null", "--runs", "1", "--months", "0.01"]
    assert "budget not proven: scores · 5m: the reference has " in drawn(made, *months).stdout
    body = json.loads(drawn(made, *months, "--budget", "900 per 30d", "--output", "json").stdout)
    assert body["drawn"][0]["null"]["proven"]


def test_configurations_are_compared(made):
    """Candidates that count the same share one fold, others have their own; each is as it would be alone."""
    blind = other(made, "blind.json", tolerance={"missing": 0.9, "psi": 9.0, "ks": 0.9})
    wide = other(made, "wide.json", windows={"5m": None, "10m": {"size": "10m"}}, pane="5m")
    found = as_json(made, "--against", blind, "--against", wide)
    pages = {body["candidate"]: body["pages"] for body in found["candidates"]}
    assert pages == {str(made.config): 1, blind: 0, wide: 1}
    assert [body["windows"][0]["window"] for body in found["candidates"]] == ["5m", "5m", "10m"]
    alone = json.loads(
        CliRunner().invoke(
            command, ["-c", wide, "--file", str(made.folder / "log.jsonl"), "--output", "json"],
        ).stdout
    )  # fmt: skip
    assert alone["candidates"][0]["windows"] == found["candidates"][2]["windows"]
    patched = made.folder / "patch.json"
    patched.write_text(json.dumps({"models": {MODEL: {"budget": "9 per 30d"}}}))
    both = as_json(made, "--against", f"{made.config},{patched}")
    assert len(both["candidates"]) == 2


def test_what_cannot_be_compared_is_refused(made, tmp_path):
    """One log is read, so candidates have one topic; a configuration must stand on its own."""
    path = made.folder / "other.json"
    path.write_text(json.dumps(merged(made.settings, {"sources": {"predictions": {"topic": "others"}}})))
    with pytest.raises(UsageError, match="several topics"):
        run(made, "--against", str(path))
    with pytest.raises(ConfigError):
        run(made, "--against", str(tmp_path / "none.yaml"))
    with pytest.raises(UsageError, match="cannot be read"):
        CliRunner().invoke(
            command, ["-c", str(made.config), "--file", str(tmp_path / "none.jsonl")], catch_exceptions=False
        )


def test_changes_are_put_into_a_log(made):
    """Each change is folded beside the log as it is: when it drifts, and how many rows that took."""
    found = as_json(made, "--inject", "missing:returning=0.7@20m", "--inject", "shift:amount=0.001@20m")
    assert found["verdicts"] == as_json(made)["verdicts"]
    large, small = found["inject"]
    assert (large["found"], large["windows"]) == (True, 1)
    assert 0 < large["delay_ms"] <= 300_000
    assert 0 < large["rows"] <= 360
    assert small["change"] == "shift:amount=0.001@20m"
    assert small["windows"] == 2  # what drifts on its own in window 5 is found instead
    text = run(made, "--inject", "rename:country", "--budget", "2 per 30d", "--budget", "20 per 30d")
    assert text.count("rename:country=0.5") == 2
    assert "found after" in text
    with pytest.raises(UsageError, match=r"'soon' is no time - --inject missing:amount=0\.5@soon - "):
        run(made, "--inject", "missing:amount=0.5@soon")
    with pytest.raises(UsageError, match="no feature 'age' - --inject missing:age - one of amount, "):
        run(made, "--inject", "missing:age")


def test_a_change_that_begins_behind_the_log_is_told(made):
    """It was not looked for in vain: nothing was changed."""
    text = run(
        made, "--inject", "missing:amount=0.5@2100-01-01T00:00:00Z", "--inject", "missing:amount=0.5@1m"
    )
    assert text.count("nothing was changed") == 1
    assert "missing:amount=0.5@2100-01-01T00:00:00Z: nothing was changed, no row is so late" in text
    (body,) = as_json(made, "--inject", "missing:amount=0.5@2100-01-01T00:00:00Z")["inject"]
    assert (body["rows_since"], body["found"]) == (0, False)


def test_a_span_is_one_of_a_topic(made):
    """Lines of a file have no record time: a --from that did nothing would be believed. Both ends must fit."""
    with pytest.raises(UsageError, match="have no record time - --from, --to with --file"):
        run(made, "--from", "2026-11-05T00:00:00Z")
    with pytest.raises(UsageError, match="nothing lies between them - --from 1d ago, --to 2d ago"):
        drawn(made, "--from", "1d ago", "--to", "2d ago")


def drawn(made, *options):
    return CliRunner().invoke(command, ["-c", str(made.config), *options], catch_exceptions=False)


def test_a_reference_says_what_a_budget_comes_to(made):
    """Without a log: false pages of months that are drawn, how large a change must be, and the seed of it all."""
    options = [
        "--null",
        "--inject",
        "missing:amount=0.5",
        "--runs",
        "2",
        "--months",
        "0.01",
        "--budget",
        "9 per 30d",
    ]
    body = json.loads(drawn(made, *options, "--output", "json").stdout)
    (one,) = body["drawn"]
    assert body["seed"] == 1
    assert one["null"]["budget"] == 9.0
    assert one["null"]["runs"] == len(one["null"]["pages"]) == 2
    assert one["inject"][0]["found"] == 1.0
    assert one["smallest"] == ["missing:amount=0.5"]
    text = drawn(made, *options, "--seed", "7").stdout
    assert "seed 7" in text
    assert "60 blocks of 5m of ordinary" in text
    assert "missing:amount=0.5" in text


def test_what_cannot_be_drawn_is_refused(made):
    """A time needs a log, and drawing reads none."""
    with pytest.raises(UsageError, match="a log"):
        drawn(made, "--inject", "missing:amount=0.5@1d")
    with pytest.raises(UsageError, match="--null"):
        drawn(made, "--null", "--from", "earliest")
    with pytest.raises(UsageError, match="nothing to draw"):
        drawn(made, "--inject", "missing:amount=0.5", "--runs", "1", "--svg", str(made.folder / "none.svg"))


def test_a_picture_is_written(made):
    """Of a log with its changes, and of months that are drawn."""
    path = made.folder / "log.svg"
    run(made, "--svg", str(path), "--inject", "missing:amount=0.5")
    text = path.read_text()
    assert text.startswith("<svg")
    assert "missing:amount=0.5 · scores · 5m" in text
    drawn(made, "--null", "--runs", "2", "--months", "0.01", "--svg", str(path))
    assert "run 2" in path.read_text()


@pytest.mark.parametrize("where", ["none/log.svg", "."])
def test_a_picture_that_cannot_be_written_is_told_before_anything_is_read(made, where):
    """Hours of a topic are not judged for nothing."""
    (made.folder / "log.jsonl").unlink()
    with pytest.raises(UsageError, match=r"the picture cannot be written .* - --svg"):
        run(made, "--svg", str(made.folder / where))
