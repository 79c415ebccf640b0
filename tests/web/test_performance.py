"""How well models do, on the page, in the API and on /metrics."""

from __future__ import annotations

import json

import pytest

from monitor.web.performing import performing as drawn
from tests.web.measured import performing
from tests.web.view import view


@pytest.fixture
def site(start):
    return start(view(performing()))


def data(site, path):
    return json.loads(site.ask(f"/api/v1/models/fraud/{path}").body)["data"]


def test_the_page_shows_figures_over_time_with_what_was_expected(site):
    """Measured ones with their bounds, the estimate and its error beside them, and windows that wait for labels."""
    text = site.ask("/").text
    assert "How well it does in 1h" in text
    assert text.count('class="course"') == 3
    assert "Estimates of fraud beside what was measured" in text
    assert "scores and country" in text
    assert "delays of labels depend on the label alone" in text
    assert "half within" in text
    assert "country=&lt;b&gt;" in text
    assert "By version" in text
    assert "&lt;8&gt;" in text


def test_drawings_stay_in_their_box(site):
    """Every point of every line and band, from the first to the last window."""
    (one,) = drawn(performing())
    for course in one["courses"]:
        points = [
            float(x)
            for part in (course.band, course.line, course.expected)
            for x in part.replace(",", " ").split()
        ]
        assert points
        assert all(0 <= point <= 100 for point in points)
        assert all(0 <= upper <= lower <= 100 for _, upper, lower, _ in course.ticks)
        assert len(course.ticks) == (10 if course.figure != "f1" else 0)


def test_the_api_has_provisional_figures_delays_and_errors(site):
    """Newest first; weighted figures say what they assume, early ones nothing."""
    found = data(site, "provisional")
    assert len(found) == 12
    assert [one["basis"] for one in found[:3]] == ["early", "early", "weighted"]
    assert found[0]["assumes"] is None
    assert "delays" in found[2]["assumes"]
    assert found[2]["figures"]["accuracy"] == {"value": 0.83, "low": 0.8, "high": 0.86}
    assert found[2]["early"]["accuracy"]["value"] == 0.76
    late = data(site, "delays")
    assert late["classes"].keys() == {"0", "1"}
    assert late["all"] == sorted(late["all"])
    errors = {(one["by"], one["figure"]): one for one in data(site, "estimates")}
    assert errors["", "accuracy"]["windows"] == 24
    assert 0.01 < errors["", "accuracy"]["error"] < 0.03
    newest = data(site, "performance?limit=1")[0]
    assert list(newest["by_version"]) == ["7", "<8>"]
    assert newest["by_version"]["<8>"]["auc"]["value"] == 0.5
    assert newest["by_version"]["<8>"]["labels"] == 570
    assert newest["versions_left_out"] == 0
    assert newest["estimate"][""]["accuracy"] == {"value": 0.9, "low": 0.89, "high": 0.91}
    assert data(site, "provisional?window=other") == []


def test_metrics_have_them_too(site):
    """The newest window that weights can be given to; estimates with their error."""
    text = site.ask("/metrics").text
    assert 'driftline_performance_provisional{model="fraud",window="1h",figure="accuracy"} 0.83' in text
    assert 'driftline_label_delay_seconds{model="fraud",share="0.5"}' in text
    assert (
        'driftline_performance_estimate{model="fraud",window="1h",by="country",figure="accuracy"} 0.88'
        in text
    )
    (line,) = [one for one in text.splitlines() if one.startswith("driftline_performance_estimate_error")
               and 'by=""' in one and "accuracy" in one]  # fmt: skip
    assert 0.01 < float(line.rpartition(" ")[2]) < 0.03


def test_a_model_without_labels_shows_none_of_it(start):
    """No heading, no empty table."""
    assert "How well it does" not in start(view()).ask("/").text
