"""How far a model agrees with the online store, on the page and of single features in the API."""

from __future__ import annotations

import json
import re

from tests.web.stored import silent, stored, waiting
from tests.web.test_page import read
from tests.web.view import HOSTILE, view


def text_of(site) -> str:
    return re.sub(r"\s+", " ", read(site.ask("/").text).text)


def test_the_page_has_the_ratio_of_mismatches_of_each_feature(start):
    """With its bounds and counts, what the store calls it, whole records first, then what differs most; a broken limit opens
    the table and is named."""
    site = start(view(stored()))
    text = text_of(site)
    assert "Beside the online store" in text
    assert "4 000 compared, 12 stale." in text.replace("\u202f", " ")
    rows = text[text.index("Beside the online store") :].replace("\u202f", " ")
    assert (
        rows.index("any")
        < rows.index("amount_eur driver_stats:amount_eur 4.5 %")
        < rows.index("country driver_stats")
    )
    assert "4.5 % 3.6 % to 5.5 % 180 4 000 212" in rows
    assert "Limits that are broken: skew." in rows
    page = site.ask("/").text
    assert re.search(r'<details class="tests" id="store-rides" open>', page)
    assert HOSTILE.split("\n")[0] in text
    assert "<script>alert" not in page
    assert "too few compared" in rows


def test_of_many_features_the_page_has_those_that_differ_most_and_the_api_all(start):
    """And says how many more there are, with a link that leads to them."""
    site = start(view(stored(many=20)))
    page = site.ask("/").text
    (link,) = re.findall(r'href="(/api/v1/models/rides/consistency[^"]*)">(\d+) more', page)
    assert link[1] == "16"
    found = json.loads(site.ask(link[0].replace("&amp;", "&")).body)["data"]
    assert len(found["windows"][0]["features"]) == 24


def test_a_store_that_does_not_answer_is_told_of(start):
    """With its error, and without a table of what was never compared."""
    text = text_of(start(view(waiting())))
    assert "The store does not answer: no answer within 10 s" in text
    assert "It has not answered yet. No window was compared yet." in text
    assert "not as stored" not in text


def test_too_little_that_was_compared_has_no_ratio(start):
    """Counts are shown, a ratio is not, and nothing is said to be broken."""
    site = start(view(silent()))
    text = text_of(site)
    assert "too few compared" in text
    assert "Limits that are broken" not in text
    assert '<details class="tests" id="store-rides">' in site.ask("/").text


def test_models_without_a_store_show_none_of_it(start):
    """No heading, no empty table."""
    assert "online store" not in start().ask("/").text


def test_a_feature_has_its_comparison_in_the_api(start):
    """Beside its tests and histograms, by window name; empty for one that the store is not asked for."""
    site = start(view(stored()))
    data = json.loads(site.ask("/api/v1/models/rides/features/amount_eur").body)["data"]
    assert data["consistency"] == {
        "1h": {
            "end": "2026-11-22T20:40:00.000Z", "ratio": 0.045, "low": 0.036, "high": 0.055, "compared": 4000,
            "mismatched": 180, "moved": 212,
        }
    }  # fmt: skip
    assert (
        json.loads(site.ask("/api/v1/models/rides/features/tenure_months").body)["data"]["consistency"] == {}
    )
