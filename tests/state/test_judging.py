"""What every state log promises to those who judge, beside what `test_conformance` says; one suite over all of them."""

from __future__ import annotations

from monitor.state.log import Counted, Entry
from tests.state.cases import OTHER, SOURCE, contents, make_key, make_marker, make_progress, make_sketch


def test_what_says_what_it_counts_has_no_say_in_what_was_reached(log):
    """Only of what was written before that was told it is not known since when a model was counted."""
    counted = {"fraud": Counted("c")}
    marker = make_marker(watermark=50, counted=counted)
    log.checkpoint(SOURCE, [], marker)
    log.report(make_progress(SOURCE, watermark=50, counted=counted))
    log.checkpoint(OTHER, [], make_marker(OTHER, watermark=40, counted=None))
    log.report(make_progress(OTHER, watermark=40, counted=None))
    assert log.reached(SOURCE.topic) == 40


def test_a_model_is_read_anew_and_the_others_are_not(log):
    """Whoever becomes interested in it later gets all of it, and of what is known already only what is new."""
    models = ("fraud", "churn", "m", "n")  # some of which share a partition
    held = {name: make_sketch(make_key(model=name), seed=1) for name in models}
    log.checkpoint(SOURCE, list(held.values()), make_marker())
    after, seen, _ = log.changes(models[1:], 0)
    assert contents(seen) == contents(held[name] for name in models[1:])
    newer = make_sketch(make_key(model="m"), seed=2, applied=20)
    log.checkpoint(SOURCE, [newer], make_marker(applied=20))
    after, seen, _ = log.changes(models, after, ["fraud"])
    assert contents(seen) == contents([held["fraud"], newer])
    assert log.changes(models, after)[1] == ()
    assert contents(log.changes(models, after, models)[1]) == contents([*(held | {"m": newer}).values()])


def test_bodies_of_one_kind_come_one_by_one(log):
    """In the order of their ids, and of that kind and model alone."""
    log.append("fraud", [Entry("verdict", name, {"n": name}) for name in ("b", "c", "a")])
    log.append("fraud", [Entry("cursor", "1h", {"end": 1}), Entry("verdict", "c", None)])
    log.append("churn", [Entry("verdict", "d", {"n": "d"})])
    assert list(log.bodies("fraud", "verdict")) == [("a", {"n": "a"}), ("b", {"n": "b"})]
    assert list(log.bodies("fraud", "incident")) == []


def test_the_ledger_says_which_models_it_has(log):
    """Configured or not: whoever begins with another configuration finds what the one before has left."""
    assert log.models() == set()
    log.append("fraud", [Entry("cursor", "1h", {"end": 1})])
    log.append("churn", [Entry("cursor", "1h", {"end": 1}), Entry("verdict", "1h|1", {"n": 1})])
    assert log.models() == {"fraud", "churn"}
    log.append("fraud", [Entry("cursor", "1h", None)])
    assert log.models() == {"churn"}
