"""What people read about an incident; the same words in every integration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from monitor.incident.model import DRIFT, EARLY, Incident
from monitor.judge import catalogue as names


def summary(incident: Incident) -> str:
    """One line: which model, what changed, by how much."""
    subject = incident.model if not incident.segment else f"{incident.model} ({incident.segment})"
    if incident.rule != DRIFT:
        rule = incident.evidence.get("rule") or {}
        return f"{subject}: rule {incident.rule} holds: {rule.get('when', incident.cause)}{_value(rule)}"
    tests = incident.evidence.get("tests", ())
    more = int(incident.evidence.get("named", 1)) - 1
    first = _test(tests[0]) if tests else incident.cause
    verb = "drifted"
    if is_early(incident):
        verb = "drifts, seen before its window closed"
    kind = next((f", {cause['title']}," * ("title" in cause) for cause in _causes(incident)), "")
    return f"{subject} {verb}: {first}{kind}{f' and {more} more' * (more > 0)}".rstrip(",")


def description(incident: Incident) -> str:
    """The evidence in words: window, rows, reference, the tests that name features."""
    evidence = incident.evidence
    window = evidence.get("window", {})
    revised = " (revised)" if window.get("revision") else ""
    start, end = window.get("start", incident.onset), window.get("end", incident.last)
    name = f"Window {window.get('name', '')}" + (", still open," if is_early(incident) else "")
    span = f"{name} from {rfc3339(start)} to {rfc3339(end)}{revised}"
    lines = [f"{span}, {evidence.get('rows', 0)} rows, reference {incident.reference or 'none'}."]
    if evidence.get("detail"):
        lines.append(str(evidence["detail"]))
    if diagnosis := diagnosed(incident):
        lines.append(diagnosis)
    tests = evidence.get("tests", ())
    if tests:
        lines.append("Named: " + "; ".join(_test(test) for test in tests) + ".")
    if evidence.get("harm"):
        lines.append("Harm: " + "; ".join(evidence["harm"]) + ".")
    segments = evidence.get("segments", ())
    if segments:
        lines.append("Segments: " + "; ".join(f"{one['segment']} {one['cause']}" for one in segments) + ".")
    if incident.rule == DRIFT and not evidence.get("proven", True):
        lines.append("Budget not proven: the reference has too few windows.")
    if incident.note:
        lines.append(f"Closed: {incident.note}.")
    return " ".join(lines)


def is_early(incident: Incident) -> bool:
    """Whether what is known of it was seen before its window closed."""
    return incident.evidence.get("kind") == EARLY


def diagnosed(incident: Incident) -> str:
    """The first cause in a sentence: what kind of change, how much of all, since when. "" when nobody knows."""
    for cause in _causes(incident):
        if "text" in cause:
            share = f"{100 * float(cause.get('share', 0.0)):.0f} % of the excess"
            where = f" in {cause['segment']}" if "segment" in cause else ""
            what = f"{cause['feature']}{where}, {cause['title']}: {cause['text']}"
            condition = incident.evidence["diagnosis"].get("where", "")
            condition = f" Where: {condition}." if condition else ""
            return f"First cause: {what} ({share}), since {rfc3339(incident.onset)}.{condition}"
    return ""


def _causes(incident: Incident) -> Sequence[Mapping[str, Any]]:
    if incident.rule != DRIFT:
        return ()
    causes: Sequence[Mapping[str, Any]] = (incident.evidence.get("diagnosis") or {}).get("causes", ())
    return causes


def annotate(incident: Incident, *, external_url: str) -> dict[str, str]:
    """All that may change during an incident without making it another alert. Values are strings."""
    evidence = incident.evidence
    first: Mapping[str, Any] = next(iter(evidence.get("tests", ())), {})
    window = evidence.get("window", {})
    texts = {
        "summary": summary(incident),
        "description": description(incident),
        "incident": incident.id,
        "rule": incident.rule,
        "cause": incident.cause,
        "diagnosis": diagnosed(incident),
        "features": ", ".join(incident.causes),
        "segments": ", ".join(one["segment"] for one in evidence.get("segments", ())),
        "score": number(first.get("score")),
        "threshold": number(first.get("threshold")),
        "rows": str(evidence.get("rows", "")),
        "window": str(window.get("name", "")),
        "window_start": rfc3339(window["start"]) if "start" in window else "",
        "window_end": rfc3339(window["end"]) if "end" in window else "",
        "onset": rfc3339(incident.onset),
        "offsets": offsets(evidence.get("since") or evidence.get("offsets", {})),
        "reference": incident.reference,
        "version": ", ".join(version for version in incident.versions if version),
        "acknowledged_by": incident.acked_by,
        "runbook_url": incident.runbook,
        "dashboard_url": model_url(external_url, incident.model),
    }
    return {name: text for name, text in texts.items() if text}


def offsets(ranges: Mapping[str, Any]) -> str:
    """ "predictions/0: 812-944" per source partition, ready for `kcat -o`; at most 20 of them."""
    shown = [f"{source}: {first}-{last}" for source, (first, last) in sorted(ranges.items())]
    hidden = f" and {len(shown) - 20} more" if len(shown) > 20 else ""
    return ", ".join(shown[:20]) + hidden


def model_url(external_url: str, model: str) -> str:
    """The model's place on the page; absolute, as Alertmanager answers 422 to what is no URI."""
    return f"{external_url.rstrip('/')}/#model-{quote(model, safe='')}"


def rfc3339(ms: int) -> str:
    """Milliseconds since the epoch as RFC 3339 in UTC; a time beyond year 9999 stays a number."""
    try:
        moment = datetime.fromtimestamp(ms // 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return str(ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def number(value: Any) -> str:
    """Four significant digits; "" for what could not be computed."""
    return "" if value is None else f"{value:.4g}"


def _test(test: Mapping[str, Any]) -> str:
    where = f" in {test['segment']}" if test.get("segment") else ""
    cause = f"{test['test']}({test['feature']}){where}"
    if test["test"] == names.EARLY:
        return f"{test['feature']}{where} with PSI {number(test.get('effect'))}"
    score, threshold = number(test.get("score")), number(test.get("threshold"))
    return f"{cause} {score} > {threshold}" if score and threshold else cause


def _value(rule: Mapping[str, Any]) -> str:
    value = number(rule.get("score"))
    return f" (now {value})" if value else ""
