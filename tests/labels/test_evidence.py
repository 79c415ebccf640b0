"""What a request for retraining says that a limit on performance brought about: which limit, since when, and which records."""

from __future__ import annotations

from dataclasses import replace

from monitor.deliver.event import event_of
from monitor.deliver.plan import AlertsPlan
from monitor.incident.model import Incident
from monitor.incident.text import rfc3339
from monitor.labels.runs import dated
from tests.incident.cases import HOUR as JUDGED
from tests.incident.cases import START
from tests.incident.cases import verdict as judged_as
from tests.labels.hourly import BAD, BEGIN, HOUR, HOURLY, RULE, followed, said, sketches

SLIDING = replace(RULE, windows=2, of=5)


def test_a_request_names_the_records_that_the_limit_was_broken_by(monkeypatch):
    """After 24 bad hours: the onset is the first of them, `kafka` are the records of the last and `since` those of all, over
    restarts too; the limit stands beside its value."""
    stored = sketches(monkeypatch)
    for restarts in (False, True):
        found = followed(HOURLY, stored, restarts=restarts)
        (body,) = found.entries["incident"].values()
        incident = Incident.from_json(body)
        assert incident.onset == BEGIN + BAD * HOUR
        data = event_of("rt_1", incident, AlertsPlan(), created=0)["data"]
        last = (incident.last - BEGIN) // HOUR - 1
        assert data["onset"] == rfc3339(BEGIN + BAD * HOUR)
        assert data["kafka"] == {
            "topic": "p",
            "from": {"0": 100 * last, "1": 100 * last + 1},
            "to": {"0": 100 * last + 99, "1": 100 * last + 100},
        }
        assert data["since"] == data["kafka"] | {"from": {"0": 100 * BAD, "1": 100 * BAD + 1}}
        assert data["rule"] == {"when": "accuracy < 0.92 for 1d", "score": 0.85, "limit": 0.92}


def test_a_limit_on_some_of_the_windows_began_with_the_first_that_broke_it():
    """2 of 5 windows: the two that broke it, and the good one between them."""
    good, bad = {"": {"accuracy": 0.99}}, {"": {"accuracy": 0.5}}
    spans = [
        replace(said("1h", BEGIN + (hour + 1) * HOUR), scores=scores)
        for hour, scores in enumerate((bad, good, good, bad, good, bad))
    ]
    last = replace(spans[-1], rules=("harm",))
    found = dated(last, [SLIDING], spans[:-1])
    assert found.onset == BEGIN + 3 * HOUR
    assert {source.partition: span for source, span in found.since.items()} == {0: (300, 599), 1: (301, 600)}
    assert dated(replace(last, rules=()), [SLIDING], spans[:-1]) == replace(last, rules=())


def test_an_onset_that_is_known_stays_if_it_is_earlier():
    """Detectors date a rise by themselves; a limit that holds beside it only since now does not make it later."""
    before = [judged_as(hour, "ok") for hour in range(3)]
    own = replace(judged_as(3, "ok"), rules=("harm",), onset=START - JUDGED, scores={"": {"accuracy": 0.5}})
    assert dated(own, [replace(RULE, windows=1)], before).onset == START - JUDGED
