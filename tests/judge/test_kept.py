"""Verdicts as they are remembered."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from monitor.judge.kept import Kept
from monitor.judge.policy import judge
from monitor.judge.prepare import prepare
from monitor.judge.record import to_json
from monitor.names import Source
from monitor.verdict import State, Verdict
from tests.judge.build import draw, numeric_profile, plan, reference, uniform, window


def a_verdict(features: int = 2) -> Verdict:
    """Of a real judgement, with infinite thresholds."""
    own = (*(numeric_profile(f"f{n}") for n in range(features - 1)), numeric_profile("constant", 1))
    panes = draw(np.random.default_rng(0), [uniform(p) for p in own], 500, 20)
    model = plan(own)
    verdict = judge(
        window(own, panes[0]), prepare(reference(own, panes), model, model.windows[0]), model, previous=()
    )
    return replace(verdict, offsets={Source("t", 3): (1, 2**40)}, versions={"7": 500}, p=float("nan"))


def test_a_kept_verdict_is_the_verdict_to_the_last_bit():
    """What was packed is read back equal, with infinities, NaN and offsets, and so is its JSON."""
    verdict = a_verdict()
    kept = Kept.of(verdict)
    assert kept.body() == to_json(verdict)
    back = kept.verdict()
    assert np.isnan(back.p)
    assert replace(back, p=0.0) == replace(verdict, p=0.0)
    assert (kept.window, kept.start, kept.end, kept.revision, kept.state, kept.rows, kept.alpha) == (
        verdict.window, verdict.start, verdict.end, verdict.revision, verdict.state, verdict.rows, verdict.alpha,
    )  # fmt: skip


def test_a_bare_one_has_no_tests_and_scores():
    """All that is small stays, so that a budget can be counted over months."""
    verdict = a_verdict()
    bare = Kept.of(verdict).bare()
    assert bare.verdict().tests == ()
    assert replace(bare.verdict(), p=0.0) == replace(verdict, tests=(), scores={}, blind=(), p=0.0)
    assert bare.bare() == bare
    assert len(bare.packed) < 600


def test_a_kept_verdict_is_a_few_objects_however_wide_it_is():
    """Thousands of objects for each of hundreds of verdicts would be memory that grows for weeks."""
    kept = Kept.of(a_verdict(features=60))
    plain = (str, int, float, bytes, State)
    assert all(isinstance(getattr(kept, item.name), plain) for item in fields(kept))
    assert len(kept.packed) < 60 * 500
