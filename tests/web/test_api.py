from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import quote

import pytest

from monitor.view import View
from tests.web.view import HOSTILE, calm, drifting, hostile, view

GETS = [
    "status/config",
    "status/flags",
    "status/runtimeinfo",
    "status/buildinfo",
    "models",
    "models/churn",
    "models/churn/features",
    "models/churn/features/age",
    "models/churn/features/country",
    "models/churn/features/latency",
    "models/churn/verdicts",
    "models/ranking",
    "models/ranking/features",
    "incidents",
    "retrain",
    "partitions",
]


@pytest.mark.parametrize("path", GETS)
def test_every_answer_has_the_envelope_and_an_entity_tag(site, path):
    """GET gives the success envelope as JSON, and 304 to a client that has it."""
    answer = site.ask(f"/api/v1/{path}")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert set(json.loads(answer.body)) == {"status", "data"}
    again = site.ask(f"/api/v1/{path}", If_None_Match=answer.headers["ETag"])
    assert (again.status, again.body) == (304, b"")


def test_models_are_listed_worst_first(site):
    """drift, warn, unknown, ok; a model without a window is unknown and says so."""
    models = site.ask("/api/v1/models").data
    assert [(one["name"], one["state"]) for one in models] == [
        ("churn", "drift"),
        ("basket", "warn"),
        ("pricing", "unknown"),
        ("ranking", "unknown"),
        ("fraud", "ok"),
    ]
    assert models[3]["detail"] == "No window has closed yet."
    assert models[2]["reason"] == "not_enough_data"


def test_a_model_shows_its_budget(site):
    """Pages accepted, expected by chance, sent and left, per period in seconds."""
    assert site.ask("/api/v1/models/churn").data["budget"] == {
        "pages": 2,
        "period": 2_592_000.0,
        "expected": 0.37,
        "sent": 1,
        "early": 0.2,
        "expected_early": 0.07,
        "sent_early": 0,
        "left": 1,
    }


def test_a_feature_shows_both_histograms_and_its_history(site):
    """Counts of every slot for reference and window, one label each, and the scores over time."""
    data = site.ask("/api/v1/models/churn/features/country").data
    histogram = data["histograms"]["1h"]
    assert histogram["labels"][:3] == ["missing", "novel", "other"]
    assert len(histogram["labels"]) == len(histogram["reference"]) == len(histogram["window"])
    assert sum(histogram["window"]) == 48_210
    assert data["latest"][0]["tests"][0]["test"] == "novel"
    assert data["history"][-1]["tests"][0]["x"] == 1.7
    numeric = site.ask("/api/v1/models/churn/features/age").data["histograms"]["1h"]
    assert len(numeric["labels"]) == len(numeric["window"]) == len(numeric["edges"]) + 3


def test_features_are_in_order_of_their_distance(site):
    """The feature with the largest x is first; window and limit narrow the list."""
    rows = site.ask("/api/v1/models/churn/features?window=1h&limit=3").data
    assert [row["feature"] for row in rows] == ["age", "tenure_months", "country"]
    assert all(row["drifted"] for row in rows)
    day = site.ask("/api/v1/models/churn/features?window=1d").data
    assert not any(row["drifted"] for row in day)


def test_verdicts_are_newest_first(site):
    """The history of a model is read from the newest window back."""
    ends = [one["end"] for one in site.ask("/api/v1/models/churn/verdicts?limit=5").data]
    assert ends == sorted(ends, reverse=True)
    assert len(ends) == 5


def test_incidents_can_be_asked_for_by_state(site):
    """Open incidents come first; model and state filter; one can be read by its id."""
    states = [one["state"] for one in site.ask("/api/v1/incidents").data]
    assert states == ["firing", "resolved"]
    (one,) = site.ask("/api/v1/incidents?state=firing&model=churn").data
    assert site.ask(f"/api/v1/incidents/{one['id']}").data["cause"] == "missing(age)"


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("models/nobody", 404, "not_found"),
        ("models/churn/features/nothing", 404, "not_found"),
        ("models/nobody/verdicts", 404, "not_found"),
        ("incidents/none", 404, "not_found"),
        ("nothing/here", 404, "not_found"),
        ("models/churn/features?limit=-1", 400, "bad_data"),
        ("incidents?limit=many", 400, "bad_data"),
    ],
)
def test_errors_have_the_envelope_too(site, path, status, kind):
    """What cannot be answered is an error envelope with a type, never a page or a stack."""
    answer = site.ask(f"/api/v1/{path}")
    document = json.loads(answer.body)
    assert (answer.status, document["status"], document["errorType"]) == (status, "error", kind)
    assert document["error"]


def test_nan_becomes_null(start):
    """A score that could not be computed is null, so that any JSON reader takes the answer."""
    model = drifting()
    one = replace(model.latest["1h"], p=float("nan"), statistic=float("inf"))
    site = start(view(replace(model, latest={"1h": one})))
    window = site.ask("/api/v1/models/churn").data["windows"]["1h"]
    assert (window["p"], window["statistic"]) == (None, None)


def test_a_hostile_feature_name_is_only_text(start):
    """A feature is found by any name it may have, and JSON stays JSON."""
    site = start(view(hostile()))
    data = site.ask(f"/api/v1/models/upload/features/{quote(HOSTILE, safe='')}").data
    assert data["feature"] == HOSTILE


def test_secrets_are_not_in_the_configuration(site):
    """The effective configuration is shown as the daemon redacted it."""
    assert "<secret>" in site.ask("/api/v1/status/config").data["yaml"]


def test_an_incident_is_acknowledged_by_name(start):
    """The name comes from the body or the query; the daemon is told both id and name."""
    site = start(enable_lifecycle=True)
    assert site.ask("/api/v1/incidents/abc/ack", "POST", b'{"by": "maria"}').status == 200
    assert site.ask("/api/v1/incidents/abc/ack?by=jo", "POST", b"").status == 200
    assert site.actions.asked == [("acknowledge", "abc", "maria"), ("acknowledge", "abc", "jo")]


@pytest.mark.parametrize(
    "body", [b"{", b'{"by": 3}', b"\xff", b'{"by": "' + b"x" * 300 + b'"}', b" " * 20_000]
)
def test_a_bad_body_is_refused(start, body):
    """A body that is no JSON, no name or too large is bad data, and nothing is done."""
    site = start(enable_lifecycle=True)
    assert site.ask("/api/v1/incidents/abc/ack", "POST", body).status == 400
    assert site.actions.asked == []


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_a_retraining_request_is_decided_once(start, verb):
    """Approve and reject reach the daemon; what it refuses is a conflict, what it does not know 404."""
    site = start(enable_lifecycle=True)
    path = f"/api/v1/retrain/rt_1/{verb}"
    assert site.ask(path, "POST", b"").status == 200
    site.actions.answer = "it was rejected already"
    assert site.ask(path, "POST", b"").status == 409
    site.actions.unknown = True
    assert site.ask(path, "POST", b"").status == 404


@pytest.mark.parametrize("path", ["incidents/a/ack", "retrain/rt_1/approve", "retrain/rt_1/reject"])
def test_changes_are_off_unless_enabled(start, path):
    """Without the lifecycle flag the API only reads; GET of a change is 405."""
    site = start()
    assert site.ask(f"/api/v1/{path}", "POST", b"").status == 403
    assert site.ask(f"/api/v1/{path}").status == 405
    assert site.actions.asked == []


def test_a_mistake_of_ours_stays_in_one_request(start):
    """A view that cannot be built is a 500 with the envelope, is counted, and the server goes on."""
    from monitor.metrics import INTERNAL_ERRORS_TOTAL

    site = start()
    before = INTERNAL_ERRORS_TOTAL.labels("web")._value.get()
    good, site.view = site.view, None
    answer = site.ask("/api/v1/models")
    assert (answer.status, json.loads(answer.body)["errorType"]) == (500, "internal")
    assert INTERNAL_ERRORS_TOTAL.labels("web")._value.get() == before + 1
    site.view = good
    assert site.ask("/api/v1/models").status == 200


def test_an_empty_daemon_answers(start):
    """Before the first model, partition or checkpoint every path answers."""
    site = start(View(version="0", started=0, now=0, ready=False, ready_reason="starting"))
    for path in ("models", "incidents", "partitions", "retrain", "status/runtimeinfo", "status/config"):
        assert site.ask(f"/api/v1/{path}").status == 200
    assert site.ask("/").status == site.ask("/metrics").status == 200


def test_two_models_of_one_name_part_do_not_mix(start):
    """A model is found by its whole name."""
    site = start(view(calm("a"), calm("ab")))
    assert site.ask("/api/v1/models/ab").data["name"] == "ab"
