"""Segments from a configuration and records to a verdict: read, counted, built, judged, told."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from monitor.assembly import Assembly, assemble
from monitor.cli.reference import command
from monitor.errors import ConfigError
from monitor.incident.text import annotate, description, summary
from monitor.intake.lines import read_lines
from monitor.judgement import Judged
from monitor.names import Source
from monitor.plan import SegmentPlan
from monitor.replay import Candidate, Feed, Replay, run
from monitor.segments import names
from monitor.verdict import State, Unknown

HOUR = 3_600_000
START = 1_767_225_600_000
CONFIG = """
kafka: {brokers: "127.0.0.1:9"}
sources: {p: {topic: predictions, fields: {time: {path: ts, unit: ms}}}}
models:
  m:
    budget: 60 per 30d
    windows: {1h: {size: 1h}}
    features:
      age: {path: age, kind: numeric}
      city: {path: city, kind: categorical}
      new: {path: new, kind: boolean}
    segments:
      city: {top: 2}
      new: {}
      tier: {path: ctx.tier, values: [gold]}
"""


def records(seed: int, hours: int, *, shifted: str = "", first: int = 0) -> list[bytes]:
    """2,000 an hour; ages of the tier `shifted` are higher in the last hour."""
    rng, count = np.random.default_rng(seed), hours * 2_000
    tiers = rng.choice(np.array(("gold", "basic", None)), count, p=(0.3, 0.6, 0.1)).tolist()
    cities = rng.choice(("Rome", "Oslo", "Bonn", "Wien"), count, p=(0.5, 0.3, 0.15, 0.05)).tolist()
    ages, new = rng.normal(40, 10, count).round(2).tolist(), (rng.random(count) < 0.5).tolist()
    lines = []
    for at, (tier, city, age) in enumerate(zip(tiers, cities, ages, strict=True)):
        moved = 8 if shifted and tier == shifted and at >= count - 2_000 else 0
        record = {"ts": START + (first * HOUR) + at * HOUR // 2_000, "age": age + moved, "city": city}
        lines.append(json.dumps({**record, "new": new[at], "ctx": {"tier": tier}}).encode())
    return lines


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A configuration with the reference that its own command built from 40 hours of records."""
    at = tmp_path_factory.mktemp("segments")
    (at / "train.jsonl").write_bytes(b"\n".join(records(1, 40)))
    (at / "bare.yaml").write_text(CONFIG)
    (at / "m.yaml").write_text(CONFIG.replace("budget:", "reference: m.ref\n    budget:"))
    build(at / "bare.yaml", at / "train.jsonl", at / "m.ref")
    return at


def build(config: Path, rows: Path, out: Path) -> None:
    done = CliRunner().invoke(
        command, ["build", "-c", str(config), "--model", "m", "--from", str(rows), "-o", str(out)]
    )
    assert done.exit_code == 0, done.output


def opened(assembly: Assembly, lines: list[bytes]) -> tuple[Replay, list[Judged]]:
    (plan,) = assembly.plans.sources
    feed = Feed(plan, assembly.decoder(plan), assembly.models_of(plan))
    source = Source("predictions", 0)
    replay = Replay(feed, [Candidate("m", assembly.contexts)], sources=[source])
    batches = read_lines(io.BytesIO(b"\n".join(lines)), source)
    return replay, [judged for _, judged in run([replay], batches)]


def replayed(assembly: Assembly, lines: list[bytes]) -> list[Judged]:
    return opened(assembly, lines)[1]


def test_the_reference_says_which_values_are_segments(folder) -> None:
    """`top` are those with most rows in it, a boolean has two, and each column has `other` and `missing`."""
    (plan,) = assemble([str(folder / "m.yaml")]).plans.models
    assert [(one.name, one.values) for one in plan.segments] == [
        ("city", ("Rome", "Oslo")), ("new", ("false", "true")), ("tier", ("gold",)),
    ]  # fmt: skip
    assert plan.segments[2].path == ("ctx", "tier")
    assert [feature.name for feature in plan.features] == ["age", "city", "new"]
    bare = replace(plan, segments=())
    assert names(bare) == ()
    assert assemble([str(folder / "bare.yaml")]).plans.models[0].config != plan.config


def test_a_change_in_one_segment_is_one_page_that_names_it(folder) -> None:
    """The verdict, its text, the incident and its alert say where; hours without a change are ok."""
    judged = replayed(assemble([str(folder / "m.yaml")]), records(2, 4, shifted="gold", first=100))
    assert [item.verdict.state for item in judged] == [State.OK, State.OK, State.OK, State.DRIFT]
    verdict = judged[-1].verdict
    states = {one.segment: one.state for one in verdict.segments}
    assert states["tier=gold"] is State.DRIFT
    assert states["tier=other"] is State.OK
    assert verdict.segments == tuple(sorted(verdict.segments, key=lambda one: [*states].index(one.segment)))
    for column in ("city", "new", "tier"):
        assert sum(one.rows for one in verdict.segments if one.segment.startswith(column)) == verdict.rows
    pages = [move.incident for item in judged for move in item.transitions if move.pages]
    (incident,) = pages
    assert "tier=gold" in {one["segment"] for one in incident.evidence["segments"]}
    assert "tier=gold" in description(incident)
    assert "tier=gold" in annotate(incident, external_url="http://x")["segments"]
    assert incident.segment == ""


def test_where_only_a_segment_drifts_the_cause_names_it(folder) -> None:
    """The whole's largest test, which is an ordinary one, is not taken for the cause."""
    assembly = assemble([str(folder / "m.yaml")])
    judged = replayed(assembly, records(3, 3, shifted="gold", first=100))
    alone = replace(judged[-1].verdict, tests=tuple(replace(t, x=0.5) for t in judged[-1].verdict.tests))
    from monitor.incident.track import track

    (opened,) = track({}, alone, assembly.plans.models[0])
    assert opened.incident.cause.endswith("(age) in tier=gold")
    assert "(age) in tier=gold" in summary(opened.incident)


def test_a_sketch_of_a_segment_that_comes_late_revises_its_window(folder) -> None:
    """Where the whole was read before its segments were; once, and never for what was judged without segments."""
    replay, judged = opened(assemble([str(folder / "m.yaml")]), records(2, 2, first=100))
    verdicts = [one.verdict for one in judged]
    (lane,) = replay._lanes
    ((_, _, model),) = lane._judgements
    gold = model._panes.of("tier=gold", model.plan, model.context.layout).store
    sketch = [*gold.between(0, verdicts[-1].end)][-1]
    late = replace(sketch, applied=sketch.applied + 1, rows=sketch.rows + 1)
    model.observe([late])
    (revised,) = (one.verdict for _, one in lane._due(now=0))
    assert revised.revision == 1
    assert revised.rows == verdicts[-1].rows
    rows = [{one.segment: one.rows for one in v.segments}["tier=gold"] for v in (verdicts[-1], revised)]
    assert rows[1] == rows[0] + 1
    model.observe([late])
    assert list(lane._due(now=0)) == []


def test_without_segments_in_the_reference_the_model_is_judged_as_ever(folder) -> None:
    """Segments say what is lacking; counts are those of a model without any."""
    old = folder / "old"
    old.mkdir(exist_ok=True)
    plain = CONFIG[: CONFIG.index("    segments:")]
    (old / "plain.yaml").write_text(plain)
    build(old / "plain.yaml", folder / "train.jsonl", old / "m.ref")
    (old / "m.yaml").write_text(CONFIG.replace("budget:", "reference: m.ref\n    budget:"))
    (old / "none.yaml").write_text(plain.replace("budget:", "reference: m.ref\n    budget:"))
    lines = records(2, 2, first=100)
    found, never = (
        [item.verdict for item in replayed(assemble([str(old / name)]), lines)]
        for name in ("m.yaml", "none.yaml")
    )
    assert {one.reason for one in found[0].segments if one.rows} == {Unknown.NO_REFERENCE}
    assert [replace(verdict, segments=()) for verdict in found] == never


def test_segments_are_by_categories(tmp_path) -> None:
    """A numeric feature, or none at all, is a finding with a remedy."""
    (tmp_path / "m.yaml").write_text(CONFIG.replace("city: {top: 2}", "age: {}\n      town: {}"))
    with pytest.raises(ConfigError) as refused:
        assemble([str(tmp_path / "m.yaml")])
    assert "age is numeric: segments are by categories" in str(refused.value)
    assert "there is no feature called `town`" in str(refused.value)


def test_a_path_of_a_feature_is_the_feature(tmp_path) -> None:
    """Read as its kind: a boolean that was read as text too would keep the scanner from reading the model."""
    (tmp_path / "m.yaml").write_text(CONFIG.replace("new: {}", "fresh: {path: new}"))
    (plan,) = assemble([str(tmp_path / "m.yaml")]).plans.models
    assert plan.segments[1] == SegmentPlan("fresh", ("new",), plan.features[2].kind, ("false", "true"))
