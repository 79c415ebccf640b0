from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from monitor.verdict import Beside, SegmentVerdict, State, Unknown
from monitor.view import Elsewhere
from tests.web.view import HOSTILE, HOUR, NOW, a_test, calm, drifting, hostile, view

VOID = {"meta", "link", "br", "img", "input"}


class Reader(HTMLParser):
    """Checks nesting and collects what a browser would act on."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_is_well_formed_and_says_everything(site):
    """Models, causes, offsets, budget and partitions are in the HTML itself, without any script."""
    page = read(site.ask("/").text)
    assert len(page.ids) == len(set(page.ids))
    text = re.sub(r"\s+", " ", page.text)
    for words in (
        "57.0 % of 48 210 rows miss age",
        "expected by chance",
        "missing(age)",
        "-t predictions -p 0 -o 81234 -c 24106",
        "values x 12 in 31 % of the rows, mean 36 → 159 (x 4.41); missing values: 4 % missing",
        "country, renamed categories: UK → GB",
        "Where: device = ios: 92 % of it",
        "In country=DE; not in country=FR, country=other and 3 more",
        "driftline replay -c CONFIG --source predictions --from 2026-11-22T19:00:00.000Z",
        "in 1d, still open, since",
        "age changed.",
        "0.07 of them early",
        "paused: rejects are 61 %",
        "Budget not proven: the reference has 12 windows of this size, 359 are needed.",
        "train-2026-10",
        "no reference",
        "tenure_months",
        "driftline retrain approve rt_",
    ):
        assert words in text, words


def test_a_run_that_was_started_is_a_link(site):
    """Its state leads to its page at the target."""
    link = '<a href="https://airflow.example/dags/retrain/runs/1" rel="noreferrer">running</a>'
    assert link in site.ask("/").text


def test_states_have_symbols_beside_colours(site):
    """● drift, ▲ warn, ○ ok: what colour says is also written."""
    text = site.ask("/").text
    assert all(symbol in text for symbol in "●▲○")
    for state in ("drift", "warn", "ok", "unknown"):
        assert re.search(rf'<p class="pill {state}">{state}', text)


def test_models_stand_worst_first(site):
    """The drifting model is the first card."""
    cards = re.findall(r'<article class="card (\w+)" id="model-(\w+)"', site.ask("/").text)
    assert cards[0] == ("drift", "churn")
    assert cards[-1] == ("ok", "fraud")


def test_a_strict_policy_fits_the_page(site):
    """No inline script, style or event attribute, and nothing from elsewhere: the policy would block it."""
    answer = site.ask("/")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    page = read(answer.text)
    for tag, attributes in page.tags:
        assert tag != "style"
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes), attributes
        assert tag != "script" or attributes.get("src", "").startswith("/static/")
        for name in ("src", "href"):
            link = attributes.get(name) or "/"
            assert link.startswith(("/", "#")) or attributes.get("rel") == "noreferrer", link


def test_hostile_names_are_only_text(start):
    """A feature named like markup adds no element to the page."""
    site = start(view(hostile(), calm()))
    text = site.ask("/").text
    assert "<script>alert" not in text
    assert "{{7*7}}" in text
    page = read(text)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert HOSTILE.split("\n")[0] in page.text


def test_the_page_has_an_entity_tag(site):
    """A browser that polls gets 304 while nothing changed."""
    tag = site.ask("/").headers["ETag"]
    assert site.ask("/", If_None_Match=tag).status == 304


@pytest.mark.parametrize(
    ("link", "place"),
    [
        ("/ui/models/churn", "/#model-churn"),
        ("/ui/models/churn/features/age", "/#model-churn"),
        ("/ui/incidents/7a0c3d1e", "/#incident-7a0c3d1e"),
        ("/ui/models/a%20b", "/#model-a%20b"),
    ],
)
def test_links_in_alerts_lead_to_their_place(site, link, place):
    """A link of an alert ends at the card of its model or incident."""
    answer = site.ask(link)
    assert (answer.status, answer.headers["Location"]) == (307, place)


def test_troubles_stand_at_the_top(start):
    """Not ready, a refused configuration and paused partitions are said before anything else."""
    shown = replace(view(), ready=False, ready_reason="no partition is assigned yet", config_ok=False)
    text = read(start(shown).ask("/").text).text
    assert "Not ready: no partition is assigned yet" in text
    assert "last reload of the configuration was refused" in text
    assert "1 input partition is paused" in text


def test_models_of_other_replicas_are_named(start):
    """A replica shows what it speaks for, and says of the others how they stand and who shows them, also when that is
    everything."""
    told = Elsewhere("churn", "driftline-7d9f:8710", "drift", NOW - HOUR, 2, NOW)
    site = start(replace(view(), models=(), elsewhere=(told, Elsewhere("upsell"))))
    text = read(site.ask("/").text).text
    assert "Judged by other replicas" in text
    assert "driftline-7d9f:8710" in text
    assert "no replica has told" in text
    assert "No model is configured" not in text
    data = json.loads(site.ask("/api/v1/status/runtimeinfo").body)["data"]
    assert data["modelsElsewhere"] == ["churn", "upsell"]
    churn, upsell = json.loads(site.ask("/api/v1/elsewhere").body)["data"]
    assert (churn["replica"], churn["state"], churn["openIncidents"]) == ("driftline-7d9f:8710", "drift", 2)
    assert set(upsell.values()) == {"upsell", None}
    answer = site.ask("/api/v1/models/churn")
    assert answer.status == 404
    assert "judged, and shown, by another replica, driftline-7d9f:8710" in answer.text


def test_models_that_nobody_judges_are_told_with_the_reason(start):
    """On the page, in the API and as a metric; the replica is ready all the same, for the others."""
    site = start(replace(view(), refused={"churn": "entries are lost - ledger/3 - restore them"}))
    text = read(site.ask("/").text).text
    assert "Nobody judges churn: entries are lost - ledger/3 - restore them" in text
    told = json.loads(site.ask("/api/v1/status/runtimeinfo").body)["data"]
    assert told["modelsRefused"] == {"churn": "entries are lost - ledger/3 - restore them"}
    assert "driftline_models_refused 1.0" in site.ask("/metrics").text
    assert site.ask("/-/ready").status == 200


def test_topics_that_are_lacking_are_told_with_the_command(start):
    """In the API with what to run, and as a metric."""
    site = start(replace(view(), lacking={"p.dlq": "kafka-topics.sh --create"}))
    told = json.loads(site.ask("/api/v1/status/runtimeinfo").body)["data"]
    assert told["topicsLacking"] == {"p.dlq": "kafka-topics.sh --create"}
    assert "driftline_topics_lacking 1.0" in site.ask("/metrics").text


def test_static_files_are_served(site):
    """Style sheet, script and icon come from the package with their types."""
    types = {"driftline.css": "text/css", "refresh.js": "javascript", "icon.svg": "image/svg+xml"}
    for name, kind in types.items():
        answer = site.ask(f"/static/{name}")
        assert answer.status == 200
        assert kind in answer.headers["Content-Type"]
    assert site.ask("/static/../app.py").status == 404


def test_an_overspent_budget_is_shown_as_such(start):
    """More pages than the budget: the meter is full and says drift."""
    site = start(view(replace(drifting(), pages_sent=5)))
    text = site.ask("/").text
    assert re.search(r'class="fill drift" width="100(\.0)?"', text)
    assert "<b>-3</b> left" in text


def test_a_window_without_figures_is_still_drawn(start):
    """A drift verdict whose counts are gone is shown with its table alone."""
    model = replace(drifting(), windows={})
    page = start(view(model)).ask("/").text
    assert "<figure>" not in page
    assert str(State.DRIFT) in page


def test_what_a_window_is_shown_beside_is_text_and_has_no_say(start):
    """The farthest features of each, or why there is nothing; the API has scores by feature."""
    model = drifting()
    others = (
        Beside(
            "previous_window", 0, 3_600_000, 1_200, "", {"age": {"psi": 0.07}, "b": {"psi": 0.4}, "c": {}}
        ),
        Beside("last-year<b>", -1, -1, 0, "not known"),
    )
    latest = {name: replace(one, beside=others) for name, one in model.latest.items()}
    site = start(view(replace(model, latest=latest)))
    text = site.ask("/").text
    assert "b psi 0.4, age psi 0.07" in text
    assert "last-year&lt;b&gt;" in text
    body = json.loads(site.ask("/api/v1/models/churn").body)["data"]["windows"]["1h"]["beside"]
    assert [one["name"] for one in body] == ["previous_window", "last-year<b>"]
    assert body[0]["farthest"][0] == {"feature": "b", "psi": 0.4}
    assert (body[1]["end"], body[1]["detail"], body[1]["farthest"]) == (None, "not known", [])
    rows = json.loads(site.ask("/api/v1/models/churn/features").body)["data"]
    assert next(one for one in rows if one["feature"] == "age")["beside"] == {
        "previous_window": {"psi": 0.07}
    }


def test_scores_of_other_products_are_shown_as_such(start):
    """Of the features that moved furthest; what only comes near is marked, and the API has all by feature."""
    model = drifting()
    age = {"near": True, "scores": {"psi": 0.25, "ks": 0.5}}
    compat = {
        "evidently": {"age": age},
        "popmon": {"country": {"near": False, "scores": {"psi": 431.5}}},
        "scouter": {},
    }
    latest = {name: replace(one, compat=compat) for name, one in model.latest.items()}
    site = start(view(replace(model, latest=latest)))
    text = site.ask("/").text
    assert "psi ≈ 0.25, ks ≈ 0.5" in text
    rows = json.loads(site.ask("/api/v1/models/churn/features").body)["data"]
    assert next(one for one in rows if one["feature"] == "age")["compat"] == {"evidently": age}


def test_estimates_are_shown_with_what_they_assume(start):
    """By scores alone and by segments, with bounds; the API has the confusion matrix, too."""
    model = drifting()
    estimate = {
        "assumes": "P(y | x) stable",
        "threshold": 0.5,
        "rows": 100,
        "figures": {"accuracy": [0.91, 0.9, 0.92], "true_positive": [0.3, 0.2, 0.4]},
        "segments": {"city": {"accuracy": [0.81, 0.8, 0.82]}},
    }
    site = start(
        view(replace(model, latest={n: replace(v, estimate=estimate) for n, v in model.latest.items()}))
    )
    text = site.ask("/").text
    assert "assuming P(y | x) stable" in text
    assert "accuracy 0.91 (0.9 to 0.92)" in text
    assert "scores and city" in text
    assert "true_positive" not in text
    windows = json.loads(site.ask("/api/v1/models/churn").body)["data"]["windows"]
    assert {json.dumps(one["estimate"]) for one in windows.values()} == {json.dumps(estimate)}


def test_segments_are_shown_with_their_worst_test(start):
    """The furthest first, named as text only; the API has all of them."""
    model = drifting()
    far = a_test("age", "psi", 3.0, state=State.DRIFT)
    segments = (
        SegmentVerdict("country=<b>", State.DRIFT, None, "", 1_234, 3.0, (far,)),
        SegmentVerdict("country=missing", State.UNKNOWN, Unknown.NO_DATA, "no rows", 0, 0.0),
    )
    latest = {name: replace(one, segments=segments) for name, one in model.latest.items()}
    site = start(view(replace(model, latest=latest)))
    text = site.ask("/").text
    assert "country=&lt;b&gt;" in text
    page = read(text)
    assert "psi(age)" in page.text
    assert page.text.index("country=<b>") < page.text.index("country=missing")
    (shown, empty) = json.loads(site.ask("/api/v1/models/churn").body)["data"]["windows"]["1h"]["segments"]
    assert (shown["segment"], shown["state"], shown["rows"]) == ("country=<b>", "drift", 1_234)
    assert shown["worst"][0]["feature"] == "age"
    assert (empty["reason"], empty["detail"]) == ("no_data", "no rows")
