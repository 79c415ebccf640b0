"""Verdicts as JSON and back, to the last bit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from monitor.names import Source
from monitor.verdict import Beside, SegmentVerdict, State, Test, Unknown, Verdict

_NUMBERS = ("score", "threshold", "x", "p", "n", "m", "tolerance", "effect")
_PLAIN = (
    "model", "window", "start", "end", "revision", "detail", "rows", "proven", "reference",
    "reference_windows", "windows_needed",
)  # fmt: skip
_BESIDE = ("name", "start", "end", "rows", "detail")
_FLOATS = ("coverage", "p", "statistic", "alpha")


def to_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON values. Numbers that JSON lacks become "inf", "-inf" and null (NaN)."""
    body: dict[str, Any] = {name: getattr(verdict, name) for name in _PLAIN}
    body |= {name: number_to_json(getattr(verdict, name)) for name in _FLOATS}
    return body | {
        "state": verdict.state.value,
        "reason": verdict.reason.value if verdict.reason is not None else None,
        "tests": [_test_to_json(test) for test in verdict.tests],
        "scores": scores_to_json(verdict.scores),
        "rules": list(verdict.rules),
        "offsets": _spans_to_json(verdict.offsets),
        "versions": dict(verdict.versions),
        "blind": list(verdict.blind),
        "segments": [_segment_to_json(segment) for segment in verdict.segments],
        "diagnosis": dict(verdict.diagnosis),
        "beside": [
            {name: getattr(one, name) for name in _BESIDE} | {"scores": scores_to_json(one.scores)}
            for one in verdict.beside
        ],
        "compat": dict(verdict.compat),
        "estimate": dict(verdict.estimate),
        **({"outcomes": dict(verdict.outcomes)} if verdict.outcomes else {}),
        "early": verdict.early,
        "early_alpha": number_to_json(verdict.early_alpha),
        "onset": verdict.onset,
        "since": _spans_to_json(verdict.since),
        **({"others": dict(verdict.others)} if verdict.others else {}),
    }


def from_json(body: Mapping[str, Any]) -> Verdict:
    """The verdict that `to_json` wrote; `from_json(to_json(v)) == v`. KeyError when a field is missing."""
    reason = body["reason"]
    plain: dict[str, Any] = {name: body[name] for name in _PLAIN}
    plain |= {name: number_from_json(body[name]) for name in _FLOATS}
    return Verdict(
        **plain,
        state=State(body["state"]),
        reason=None if reason is None else Unknown(reason),
        tests=tuple(_test_from_json(test) for test in body["tests"]),
        scores=scores_from_json(body["scores"]),
        rules=tuple(body["rules"]),
        offsets=_spans_from_json(body["offsets"]),
        versions=dict(body["versions"]),
        others=body.get("others", {}),
        blind=tuple(body["blind"]),
        segments=tuple(_segment_from_json(segment) for segment in body.get("segments", ())),
        diagnosis=body.get("diagnosis", {}),
        beside=tuple(
            Beside(**{name: one[name] for name in _BESIDE}, scores=scores_from_json(one["scores"]))
            for one in body.get("beside", ())
        ),
        compat=body.get("compat", {}),
        estimate=body.get("estimate", {}),
        outcomes=body.get("outcomes", {}),
        early=body.get("early", False),
        early_alpha=number_from_json(body.get("early_alpha", 0.0)),
        onset=body.get("onset", -1),
        since=_spans_from_json(body.get("since", ())),
    )


def number_to_json(value: float) -> float | str | None:
    """A float as JSON has it."""
    value = float(value)
    if math.isfinite(value):
        return value
    return None if math.isnan(value) else "inf" if value > 0 else "-inf"


def number_from_json(value: float | str | None) -> float:
    """What `number_to_json` wrote."""
    return math.nan if value is None else float(value)


def scores_to_json(found: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Numbers by two names as JSON values."""
    return {
        feature: {name: number_to_json(value) for name, value in scores.items()}
        for feature, scores in found.items()
    }


def scores_from_json(body: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """What `scores_to_json` wrote."""
    return {
        feature: {name: number_from_json(value) for name, value in scores.items()}
        for feature, scores in body.items()
    }


def _segment_to_json(segment: SegmentVerdict) -> dict[str, Any]:
    return {
        "segment": segment.segment,
        "state": segment.state.value,
        "reason": segment.reason.value if segment.reason is not None else None,
        "detail": segment.detail,
        "rows": segment.rows,
        "statistic": number_to_json(segment.statistic),
        "tests": [_test_to_json(test) for test in segment.tests],
    }


def _segment_from_json(body: Mapping[str, Any]) -> SegmentVerdict:
    return SegmentVerdict(
        segment=body["segment"],
        state=State(body["state"]),
        reason=None if body["reason"] is None else Unknown(body["reason"]),
        detail=body["detail"],
        rows=body["rows"],
        statistic=number_from_json(body["statistic"]),
        tests=tuple(_test_from_json(test) for test in body["tests"]),
    )


def _spans_to_json(spans: Mapping[Source, tuple[int, int]]) -> list[list[Any]]:
    return [[source.topic, source.partition, first, last] for source, (first, last) in spans.items()]


def _spans_from_json(body: Iterable[Sequence[Any]]) -> dict[Source, tuple[int, int]]:
    return {Source(topic, partition): (first, last) for topic, partition, first, last in body}


def _test_to_json(test: Test) -> dict[str, Any]:
    numbers = {name: number_to_json(getattr(test, name)) for name in _NUMBERS}
    return {"feature": test.feature, "test": test.test, **numbers, "state": test.state.value}


def _test_from_json(body: Mapping[str, Any]) -> Test:
    return Test(
        feature=body["feature"],
        test=body["test"],
        **{name: number_from_json(body[name]) for name in _NUMBERS},
        state=State(body["state"]),
    )
