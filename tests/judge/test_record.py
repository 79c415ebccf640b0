"""Verdicts as JSON."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from monitor.judge.policy import judge
from monitor.judge.prepare import prepare
from monitor.judge.record import from_json, number_from_json, number_to_json, to_json
from tests.judge.build import draw, numeric_profile, plan, reference, uniform, window

import numpy as np  # isort: skip


def test_a_verdict_survives_json_to_the_last_bit():
    """Through text and back it is equal, with infinite thresholds, offsets and scores."""
    own = (numeric_profile("a"), numeric_profile("constant", 1))
    panes = draw(np.random.default_rng(0), [uniform(p) for p in own], 500, 20)
    model = plan(own)
    prepared = prepare(reference(own, panes), model, model.windows[0])
    verdict = judge(window(own, panes[0]), prepared, model, previous=())
    assert any(math.isinf(test.threshold) for test in verdict.tests)
    text = json.dumps(to_json(verdict), allow_nan=False)
    assert from_json(json.loads(text)) == verdict


@given(value=st.floats(allow_nan=True))
def test_numbers_survive_json(value):
    """JSON has neither NaN nor infinities."""
    back = number_from_json(json.loads(json.dumps(number_to_json(value), allow_nan=False)))
    assert back == value or (math.isnan(back) and math.isnan(value))
