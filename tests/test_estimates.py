"""Estimates without labels, from a configuration and records: read, counted, built, estimated, told."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from monitor.assembly import assemble
from monitor.cli.check_harm import check_harm
from monitor.cli.check_line import Sign
from monitor.cli.reference import command
from monitor.incident.track import track
from monitor.intake.lines import read_lines
from monitor.judge.kept import Kept
from monitor.judge.record import from_json, to_json
from monitor.labels.estimating import estimator_of
from monitor.names import Source
from monitor.plan import JoinPlan, RawRule, SegmentPlan
from monitor.reference.file import read
from monitor.replay import Candidate, Feed, Replay, run
from monitor.verdict import State

HOUR = 3_600_000
START = 1_767_225_600_000
CONFIG = """
kafka: {brokers: "127.0.0.1:9"}
sources: {p: {topic: predictions, fields: {time: {path: ts, unit: ms}}}}
models:
  m:
    budget: 60 per 30d
    windows: {1h: {size: 1h}}
    features: {age: {path: age, kind: numeric}}
    prediction: {path: score, kind: score}
    segments: {city: {path: city, values: [Rome]}}
"""


def records(seed, hours, *, rome=0.5, labelled=False):
    """2,000 an hour, and labels: a score is worth what it says, in Rome nothing."""
    rng, count = np.random.default_rng(seed), hours * 2_000
    is_rome, score = rng.random(count) < rome, rng.random(count).round(4)
    labels = rng.random(count) < np.where(is_rome, 0.5, score)
    age = rng.normal(40, 10, count).round(1)
    lines = []
    for at in range(count):
        record = {"ts": START + at * HOUR // 2_000, "age": age[at], "score": score[at]}
        record |= {"city": "Rome" if is_rome[at] else "Oslo"} | (
            {"truth": int(labels[at])} if labelled else {}
        )
        lines.append(json.dumps(record).encode())
    return lines, ((score >= 0.5) == labels).reshape(hours, -1).mean(axis=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A configuration with the reference that its own command built, labels in a column of their own."""
    at = tmp_path_factory.mktemp("estimates")
    (at / "train.jsonl").write_bytes(b"\n".join(records(1, 20, labelled=True)[0]))
    (at / "bare.yaml").write_text(CONFIG)
    (at / "m.yaml").write_text(CONFIG.replace("budget:", "reference: m.ref\n    budget:"))
    told = ["build", "-c", str(at / "bare.yaml"), "--model", "m", "--label", "truth"]
    done = CliRunner().invoke(command, [*told, "--from", str(at / "train.jsonl"), "-o", str(at / "m.ref")])
    assert done.exit_code == 0, done.output
    return at


def verdicts(folder, lines):
    assembly = assemble([str(folder / "m.yaml")])
    (plan,) = assembly.plans.sources
    feed = Feed(plan, assembly.decoder(plan), assembly.models_of(plan))
    source = Source("predictions", 0)
    replay = Replay(feed, [Candidate("m", assembly.contexts)], sources=[source])
    batches = read_lines(io.BytesIO(b"\n".join(lines)), source)
    return [judged.verdict for _, judged in run([replay], batches)]


def test_verdicts_say_how_well_the_model_does_without_labels(folder):
    """By scores alone, and by segments, which see that more rows come of the one where scores are worth nothing."""
    lines, truth = records(2, 3, rome=0.9)
    found = [verdict.estimate for verdict in verdicts(folder, lines) if verdict.rows == 2_000]
    assert len(found) == 3
    for own, right in zip(found, truth, strict=False):
        assert own["assumes"] == "P(y | x) stable"
        assert own["rows"] == 2_000
        plain, by_city = own["figures"]["accuracy"], own["segments"]["city"]["accuracy"]
        assert abs(plain[0] - right) > 0.05
        assert by_city[1] <= right <= by_city[2]
        assert abs(by_city[0] - right) < 0.03


def test_a_replay_without_labels_pages_for_harm_as_the_daemon_does(folder):
    """Where a drift pages for harm alone, estimates are held against the limits that a replay cannot measure."""
    text = (folder / "m.yaml").read_text()
    sources = "outcomes: {topic: o, fields: {id: id}}"
    text = text.replace(
        "fields: {time: {path: ts, unit: ms}}}}",
        "fields: {id: id, time: {path: ts, unit: ms}}}, " + sources + "}",
    )
    text += "    source: p\n    labels: {source: outcomes, path: y}\n    rules: {harm: accuracy < 0.9}\n"
    for page_on, harm in (("drift", 0), ("harm", 1)):
        (folder / "harm.yaml").write_text(text + f"    page_on: {page_on}\n")
        (plan,) = assemble([str(folder / "harm.yaml")]).without_labels().plans.models
        assert (plan.join, len(plan.harm)) == (None, harm)
        told = verdicts(folder, records(2, 3, rome=0.9)[0])[0]
        (opened,) = track({}, replace(told, state=State.DRIFT), plan)
        assert str(opened.incident.severity) == "critical"
        better = replace(told, state=State.DRIFT, estimate={})
        (opened,) = track({}, better, plan)
        assert str(opened.incident.severity) == ("warning" if harm else "critical")


def test_check_says_whether_anything_can_tell_of_harm(folder):
    """A model that pages for harm alone, without labels and by a reference that knows none, would never page: that is
    doubtful. With either it is not, and nothing is said of one that pages for drift."""
    (plan,) = assemble([str(folder / "m.yaml")]).plans.models
    known = read(folder / "m.ref")
    bare = replace(known, calibration=known.calibration[:0])
    harm = RawRule("harm", "accuracy", "", "<", 0.9, 1, "ticket")
    own = replace(plan, page_on_harm=True, harm=(harm,))
    joined = replace(own, join=JoinPlan("l", "score", 1000, bytes(8)))
    assert list(check_harm(plan, known)) == []
    signs = {
        name: [line.sign for line in check_harm(one, reference)]
        for name, one, reference in (
            ("estimated", own, known), ("neither", own, bare), ("no reference", own, None), ("labelled", joined, bare),
        )
    }  # fmt: skip
    assert signs == {
        "estimated": [Sign.OK], "neither": [Sign.DOUBTFUL], "no reference": [Sign.DOUBTFUL], "labelled": [Sign.OK],
    }  # fmt: skip


def test_a_label_for_estimates_is_not_watched(folder):
    """The reference has no feature of it, so that records without one lack nothing."""
    reference = read(folder / "m.ref")
    assert [profile.name for profile in reference.features] == ["age", "prediction"]
    assert reference.calibration[0].sum() == 40_000


def test_estimates_survive_json(folder):
    """Through the ledger and back they are equal, and old verdicts have them still: labels may come late."""
    verdict = verdicts(folder, records(3, 2)[0])[0]
    assert verdict.estimate
    assert from_json(json.loads(json.dumps(to_json(verdict), allow_nan=False))) == verdict
    assert Kept.of(verdict).bare().verdict().estimate == verdict.estimate
    body = to_json(verdict)
    del body["estimate"]
    assert from_json(body).estimate == {}


def test_segments_of_other_values_are_read_by_the_whole(folder):
    """`other` means other rows where the plan names other values than the reference was counted by."""
    assembly = assemble([str(folder / "m.yaml")])
    plan, reference = assembly.contexts["m"].plan, read(folder / "m.ref")
    own = estimator_of(reference, plan)
    assert own.columns["city"]["city=other"] is not own.whole
    segment = replace(plan.segments[0], values=("Rome", "Oslo"))
    assert isinstance(segment, SegmentPlan)
    other = estimator_of(reference, replace(plan, segments=(segment,)))
    assert other.columns["city"]["city=other"] is other.whole
    assert other.columns["city"]["city=missing"] is other.whole
    assert estimator_of(replace(reference, calibration=reference.calibration[:0]), plan) is None
