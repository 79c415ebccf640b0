"""Maintenance, and pages for harm alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from monitor.config.maintenance import format_maintenance, parse_maintenance
from monitor.incident.model import DRIFT
from monitor.incident.severity import is_quiet
from monitor.incident.text import description
from monitor.incident.track import stand, track
from monitor.plan import RawRule
from tests.incident.cases import plan, verdict

HARM = RawRule("harm", "accuracy", "", "<", 0.9, 1, "ticket")


def at(text, zone="Europe/Berlin"):
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def run(verdicts, own):
    """(kind, severity) of every change of the drift incident, by window."""
    incidents, told = {}, []
    for one in verdicts:
        transitions = track(incidents, one, own)
        incidents = stand(incidents, transitions)
        told.append([(str(t.kind), str(t.incident.severity)) for t in transitions])
    return told, incidents


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (
            "sat,sun 02:00 for 3h in Europe/Berlin",
            ["2026-11-28T02:30", "2026-11-28T05:00", "2026-11-29T03:00"],
            ["2026-11-28T02:00", "2026-11-28T05:01", "2026-11-27T03:00"],
        ),
        ("fri 23:00 for 2h in Europe/Berlin", ["2026-11-28T00:59"], ["2026-11-29T00:30", "2026-11-28T01:01"]),
        ("sat-mon 00:00 for 1d in Europe/Berlin", ["2026-11-30T23:00"], ["2026-12-01T12:00"]),
        ("10:00 for 1h in Europe/Berlin", ["2026-07-01T10:30", "2026-12-01T10:30"], ["2026-07-01T09:30"]),
        (
            "sun 01:30 for 2h in Europe/Berlin",
            ["2026-03-29T04:30"],
            ["2026-03-29T04:31"],
        ),  # an hour is left out
        (
            "2026-12-24T00:00 to 2026-12-27T00:00 in Europe/Berlin",
            ["2026-12-24T00:01", "2026-12-27T00:00"],
            ["2026-12-24T00:00", "2026-12-27T00:01"],
        ),
    ],
)
def test_maintenance_by_the_clock_of_its_zone(text, inside, outside):
    """Windows that end after it began and no later than it ends; summer and winter."""
    one = parse_maintenance(text)
    assert all(is_quiet([one], at(moment)) for moment in inside)
    assert not any(is_quiet([one], at(moment)) for moment in outside)
    assert parse_maintenance(format_maintenance(one)) == one


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("always", "written like"),
        ("sat 25:00 for 1h", "time of day"),
        ("sat 02:00 for 8d", "up to a week"),
        ("day 02:00 for 1h", "days are written"),
        ("02:00 for 1h in Berlin", "time zone"),
        ("2026-12-24 to 2026-12-23", "before it ends"),
        ("2026-13-24 to 2026-14-23", "written like"),
    ],
)
def test_maintenance_that_nobody_can_read(text, says):
    """What is wrong, and what would be right."""
    with pytest.raises(ValueError, match=says):
        parse_maintenance(text)


def quiet(*windows):
    """Maintenance in which the windows of these numbers end."""
    spans = [verdict(number).end for number in windows]
    return tuple(
        replace(parse_maintenance("2000-01-01 to 2000-01-02"), begin=end - 1, until=end) for end in spans
    )


def test_what_opens_in_maintenance_is_told_after_it():
    """Tracked without a severity, and raised by the first window after it that still drifts."""
    own = replace(plan(), maintenance=quiet(1, 2))
    told, incidents = run([verdict(n, "drift") for n in range(1, 5)], own)
    assert told == [
        [("open", "none")],
        [("update", "none")],
        [("rise", "critical")],
        [("update", "critical")],
    ]
    assert incidents[DRIFT].opened == verdict(1).end


def test_what_is_over_by_then_is_told_to_nobody():
    """Windows without drift after maintenance raise nothing."""
    own = replace(plan(clear_after=2), maintenance=quiet(1))
    told, _ = run([verdict(1, "drift"), verdict(2, "ok"), verdict(3, "unknown"), verdict(4, "ok")], own)
    assert told[0] == [("open", "none")]
    assert {severity for kinds in told for _, severity in kinds} == {"none"}
    assert told[-1] == [("resolve", "none")]


def test_what_stood_before_maintenance_stands_on():
    """It is not taken back, and its end is told."""
    own = replace(plan(clear_after=1), maintenance=quiet(2, 3))
    told, _ = run([verdict(1, "drift"), verdict(2, "drift"), verdict(3, "ok")], own)
    assert told == [[("open", "critical")], [("update", "critical")], [("resolve", "critical")]]


def estimate(value, half=0.01, **segments):
    def figures(own):
        return {"accuracy": [own, own - half, own + half]}

    return {"figures": figures(value), "segments": {name: figures(own) for name, own in segments.items()}}


def test_a_drift_without_harm_is_a_ticket():
    """By the estimate of its window, whose bounds must be beyond the limit; it rises when it is, and falls no more."""
    own = replace(plan(), harm=(HARM,), page_on_harm=True)
    windows = [
        replace(verdict(n, "drift"), estimate=found)
        for n, found in enumerate([{}, estimate(0.95), estimate(0.895), estimate(0.85), estimate(0.95)], 1)
    ]
    told, incidents = run(windows, own)
    assert told == [
        [("open", "warning")],
        [("update", "warning")],
        [("update", "warning")],
        [("rise", "critical")],
        [("update", "critical")],
    ]
    incidents = stand(
        incidents, track(incidents, replace(windows[3], start=windows[4].end, end=windows[4].end + 1), own)
    )
    assert "Harm: accuracy < 0.9: estimated at 0.85 (0.84 to 0.86)." in description(incidents[DRIFT])


def test_harm_in_segments_or_by_labels_pages():
    """An estimate that sees what moves between segments, and a limit that measured windows break."""
    own = replace(plan(), harm=(HARM,), page_on_harm=True)
    told, _ = run([replace(verdict(1, "drift"), estimate=estimate(0.95, country=0.8))], own)
    assert told == [[("open", "critical")]]
    limits = replace(own, raw_rules=own.harm, harm=())
    (measured,) = (
        t for t in track({}, verdict(1, "ok", rules=("harm",)), limits) if t.incident.rule == "harm"
    )
    (opened,) = track({"harm": measured.incident}, verdict(2, "drift"), own)
    assert str(opened.incident.severity) == "critical"
    assert opened.incident.evidence["harm"] == ["accuracy < 0.9 by labels"]


def test_a_drift_that_ends_is_not_raised():
    """Harm in a window that does not drift is that of a limit on performance, not of the drift."""
    own = replace(plan(clear_after=2), harm=(HARM,), page_on_harm=True)
    told, _ = run([verdict(1, "drift"), replace(verdict(2, "ok"), estimate=estimate(0.5))], own)
    assert told == [[("open", "warning")], [("update", "warning")]]
