"""Which version a window is judged of, and by which reference."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.history import verdict_entry
from monitor.incident.model import DRIFT, Severity, Status
from monitor.judgement import Judged, Judgement
from monitor.plan import RawRule
from monitor.reigns import CONTENT, PART, Reigns, choose, joined, parts
from monitor.verdict import State, Unknown
from tests.registry.cohorts import (
    HOUR,
    ROWS,
    START,
    base,
    begun,
    context,
    judgement,
    known,
    ledger_of,
    reign,
    sketch,
    take,
)  # fmt: skip

SEVEN = reign(0, "7")
EIGHT = reign(1, "8", pane=6)
"""Known in the middle of the second hour."""


def told(found: Iterable[Judged]) -> list[tuple[int, dict[str, int], str, str]]:
    """Hour, rows by version, reference, state."""
    return [
        (
            (j.verdict.start - START) // HOUR,
            dict(j.verdict.versions),
            j.verdict.reference[:2],
            str(j.verdict.state),
        )
        for j in found
    ]


def rollout(model: Judgement, *, until: int = 16) -> None:
    """Version 8 takes over in the sixth pane, in which both answer."""
    model.observe([sketch(pane, "7") for pane in range(6)])
    model.observe([sketch(6, "7", rows=ROWS // 2), sketch(6, "8", rows=ROWS // 2)])
    model.observe([sketch(pane, "8") for pane in range(7, until)])


def test_a_swap_mixes_nothing_and_pages_nobody():
    """The window that is open keeps to the old version; the first whole one is the new version's."""
    model = judgement(SEVEN, EIGHT)
    rollout(model)
    found = take(model, 16)
    assert told(found) == [
        (0, {"7": 4 * ROWS}, "v7", "ok"),
        (1, {"7": 2 * ROWS + ROWS // 2}, "v7", "ok"),
        (2, {"8": 4 * ROWS}, "v8", "ok"),
        (3, {"8": 4 * ROWS}, "v8", "ok"),
    ]
    assert [j.verdict.others for j in found] == [{}, {"8": ROWS + ROWS // 2}, {}, {}]
    assert model.pages == 0


def test_without_a_registry_the_same_rows_page():
    """So the test before this one would see a page."""
    model = judgement()
    rollout(model)
    take(model, 16)
    assert model.pages == 1


def test_a_new_version_that_drifts_pages():
    """Judged by its own reference, rows as version 7 had them are a change."""
    model = judgement(SEVEN, EIGHT)
    model.observe([sketch(pane, "7") for pane in range(6)])
    model.observe([sketch(pane, "8", like="7") for pane in range(6, 12)])
    found = take(model, 12)
    assert [j.verdict.state for j in found if not j.verdict.early][-1] is State.DRIFT
    assert model.pages == 1
    assert model.incidents[DRIFT].reference.startswith("v8")


def test_what_a_rollout_leaves_of_the_old_version_opens_nothing():
    """The rows that are left may be those of one region: they are judged, and shown, and page nobody."""
    model = judgement(SEVEN, EIGHT)
    model.observe([sketch(pane, "7") for pane in range(4)])
    model.observe([sketch(pane, "7", like="8") for pane in range(4, 8)])
    model.observe([sketch(7, "8")])
    found = [j for j in take(model, 8) if not j.verdict.early]
    assert [j.verdict.state for j in found] == [State.OK, State.DRIFT]
    assert model.pages == 0
    assert model.incidents == {}


def test_an_open_incident_of_the_old_version_is_superseded_by_the_first_verdict_on_the_new_one():
    """And not before: unknown windows say nothing of it."""
    model = judgement(SEVEN)
    model.observe([sketch(pane, "7", like="8") for pane in range(6)])
    take(model, 4)
    assert model.incidents[DRIFT].state is Status.FIRING
    begun(model, EIGHT)
    model.observe([sketch(pane, "8", rows=10) for pane in range(8, 12)])
    take(model, 12)
    assert model.incidents[DRIFT].state is Status.FIRING
    model.observe([sketch(pane, "8") for pane in range(12, 16)])
    take(model, 16)
    assert model.incidents[DRIFT].state is Status.RESOLVED
    assert model.incidents[DRIFT].closed_because == "superseded"
    assert model.pages == 1


def test_the_old_version_is_judged_until_the_new_one_answers():
    """The alias is moved in the morning, the deployment follows in the afternoon; then there is no way back."""
    model = judgement(SEVEN, EIGHT)
    model.observe([sketch(pane, "7") for pane in range(12)])
    model.observe([sketch(pane, "8") for pane in range(12, 16)])
    model.observe([sketch(pane, "7") for pane in range(16, 20)])
    found = take(model, 20)
    assert [row[1] for row in told(found)] == [
        {"7": 4 * ROWS}, {"7": 4 * ROWS}, {"7": 4 * ROWS}, {"8": 4 * ROWS}, {},
    ]  # fmt: skip
    last = found[-1].verdict
    assert (last.reason, last.others) == (Unknown.NO_DATA, {"7": 4 * ROWS})
    assert "version 8" in last.detail
    assert "7 (1600)" in last.detail


def test_what_became_known_after_an_outage_judges_the_rows_it_is_of():
    """The alias had moved while the registry was away: windows of the new version alone need not stay blind, those
    that were judged meanwhile stay as they are."""
    model = judgement(SEVEN)
    model.observe([sketch(pane, "7") for pane in range(4)])
    model.observe([sketch(pane, "8") for pane in range(4, 20)])
    first = take(model, 8)
    begun(model, reign(1, "8", pane=14, after=2))
    found = first + take(model, 20)
    assert [row[1] for row in told(found)] == [{"7": 4 * ROWS}, {}, *[{"8": 4 * ROWS}] * 3]
    assert model.pages == 0


def test_a_borrowed_reference_asks_for_a_ticket():
    """Version 8 has no reference: judged by that of version 7 it drifts, which may be its own."""
    model = judgement(SEVEN, reign(1, "8", pane=6, of="7"))
    rollout(model)
    found = take(model, 16)
    assert [j.verdict.state for j in found if not j.verdict.early][-1] is State.DRIFT
    assert model.incidents[DRIFT].severity is Severity.WARNING
    assert model.pages == 0


def test_late_rows_revise_a_window_of_the_version_it_was_judged_of():
    """A correction is of the same version, and rows of others bring none about."""
    model = judgement(SEVEN, EIGHT)
    rollout(model)
    take(model, 12)
    model.observe([sketch(6, "8", rows=ROWS, applied=2)])
    assert take(model, 12) == []
    model.observe([sketch(6, "7", rows=ROWS, applied=2)])
    (again,) = take(model, 12)
    assert (again.verdict.revision, dict(again.verdict.versions)) == (1, {"7": 3 * ROWS})


def test_a_run_of_windows_of_a_rule_begins_anew_with_the_reference():
    """Two windows of version 7 and one of version 8 are no three windows."""
    limit = RawRule("far", "psi", "age", ">=", 0.0, 3, "page")
    model = judgement(SEVEN, EIGHT)
    from dataclasses import replace

    model.context = replace(base(), plan=replace(base().plan, raw_rules=(limit,)))
    model.reigns.renew()
    model.reigns._references |= {known(v).digest: known(v) for v in "78"}
    rollout(model, until=24)
    held = [bool(j.verdict.rules) for j in take(model, 24) if not j.verdict.early]
    assert held == [False, False, False, False, True, True]


@settings(max_examples=40, deadline=None)
@given(
    flips=st.lists(st.tuples(st.integers(1, 30), st.sampled_from("78")), max_size=4),
    served=st.lists(st.sampled_from(["7", "8", "78"]), min_size=24, max_size=24),
    cuts=st.lists(st.integers(1, 23), max_size=3),
)
def test_windows_are_of_one_version_whatever_happens_and_after_a_restart_too(flips, served, cuts):
    """Aliases move at any time, versions answer in any order, the process is restarted at any pane."""
    reigns = [SEVEN]
    for pane, version in sorted(flips):
        if version != reigns[-1].version:
            reigns.append(reign(len(reigns), version, pane=pane, after=pane // 4 - 1))
    plain = _run(reigns, served, [])
    assert all(len(j.verdict.versions) <= 1 for j in plain)
    for judged in plain:
        assert judged.verdict.reference.startswith(tuple(f"v{v}" for v in judged.verdict.versions) or "v")
    again = _run(reigns, served, cuts)
    assert [verdict_entry(j.verdict) for j in again] == [verdict_entry(j.verdict) for j in plain]


def _run(reigns, served, cuts) -> list[Judged]:
    """Judge pane by pane; reigns become known when they begin, and a cut makes a new judgement of the ledger."""
    model, found, entries, waiting = judgement(reigns[0]), [], {}, list(reigns[1:])
    known_by_now = [reigns[0]]
    for pane in range(24):
        if pane in cuts:
            model = Judgement(base(), patience=model._patience)
            model.restore(ledger_of(*entries.values(), *(one.entry() for one in known_by_now)))
            for one in known_by_now:
                model.reigns._references[one.digest] = known(one.digest[0])
            model.observe([sketch(p, v) for p in range(pane) for v in served[p]])
        while waiting and waiting[0].since <= START + pane * HOUR // 4:
            known_by_now.append(waiting.pop(0))
            begun(model, known_by_now[-1])
        model.observe([sketch(pane, version) for version in served[pane]])
        for judged in take(model, pane + 1):
            found.append(judged)
            entries |= {(one.kind, one.id): one for one in _entries(judged)}
    return [judged for judged in found if not judged.verdict.early]


def _entries(judged: Judged):
    return [verdict_entry(judged.verdict), judged.cursor] if not judged.verdict.early else [judged.cursor]


def test_a_reign_is_stored_and_read_back():
    """With the content of its reference, in parts."""
    stored = reign(3, "8", pane=6, after=2, of="7")
    found = Reigns()
    found.restore(ledger_of(stored.entry()), {})
    assert found.all == (stored,)
    content = bytes(range(256)) * (PART // 200)
    entries = list(parts(content, "d1"))
    assert len(entries) == 2
    bodies = {one.id: one.body for one in entries}
    assert joined(bodies, "d1") == content
    assert joined({"d1/000": bodies["d1/000"]}, "d1") is None
    assert {one.kind for one in entries} == {CONTENT}


def test_windows_before_the_first_reign_are_the_configured_references():
    """They were judged, with rows of every version, before the registry was asked."""
    late = reign(0, "7", after=2)
    assert choose([late], "1h", START, START + HOUR, seen={"7": 1}, judged=None) is None
    assert choose([late], "1h", START + 2 * HOUR, START + 3 * HOUR, seen={}, judged=None) == late


def test_reigns_that_are_not_kept_take_their_content_along():
    """Unless a later one needs it."""
    found = Reigns()
    for number in range(4):
        found.begin(reign(number, "78"[number % 2], pane=number), context("78"[number % 2]))
    assert [one.id for one in found.outdated()] == ["00000000"]
    found.begin(reign(4, "7", pane=4), None)
    assert [one.number for one in found.all] == [1, 2, 3, 4]
