"""Verdicts over time as a picture."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np

from monitor.backtest.injection import CountChange, parse
from monitor.backtest.months import simulate
from monitor.backtest.picture import Lane, lanes_of, picture
from monitor.backtest.summary import Seen, summarize
from monitor.verdict import State
from tests.backtest.build import pool
from tests.judge.build import DAY

SVG = "{http://www.w3.org/2000/svg}"


def drifting():
    """Two days, the second of them without half of its values."""
    own = pool(n=8_000)
    begin = own.blocks.after()
    change = CountChange(own.reference, parse("missing:n0=0.5")[0], seed=1)
    return [Seen.of(one) for one in simulate(own, [1, 2], begin=begin, alter=change, onset=begin + DAY)]


def test_windows_pages_and_incidents_are_drawn():
    """Each run of windows of one state is a rectangle of its colour, each page a mark, each incident a bar."""
    items = drifting()
    (row,) = summarize(items)
    assert row.states[State.DRIFT] >= 24
    assert row.windows == 48
    (lane,) = lanes_of("", items)
    root = ET.fromstring(picture("two days", [lane]))
    drawn = [rect.get("class") for rect in root.iter(f"{SVG}rect")]
    assert drawn.count("i") == 1 + row.pages
    assert len(list(root.iter(f"{SVG}path"))) == 1 + row.pages
    assert drawn.count("drift") >= 2  # one of them is the legend
    widths = [float(r.get("width")) for r in root.iter(f"{SVG}rect") if r.get("class") in list(State)]
    assert np.isclose(sum(widths) - 4 * 12, 960 - 32, atol=1)


def test_names_are_escaped():
    """What comes from configurations is text, whatever it holds."""
    root = ET.fromstring(picture("<&\x00", [Lane("a<b", ())]))
    assert next(text.text for text in root.iter(f"{SVG}text")) == "<&\ufffd"
