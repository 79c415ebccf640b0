"""Looks at open windows: which are made, at which counts, and what follows from an alarm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.layout import allocate
from monitor import looks
from monitor.context import Context
from monitor.held import Held
from monitor.incident.model import DRIFT, Status
from monitor.incident.text import annotate, description, summary
from monitor.judge.prepare import prepare
from monitor.judge.record import from_json, to_json
from monitor.judgement import Judged, Judgement
from monitor.names import REASONS, SketchKey, Source
from monitor.pack import Packed, pack
from monitor.plan import WindowSpec
from monitor.sketch import Sketch
from monitor.state.log import Ledger, Progress
from monitor.verdict import State
from monitor.window.completeness import Patience
from tests.judge.build import CHANCES, HOUR, OWN, draw, plan, reference

PANE = HOUR // 4
A, B = Source("t", 0), Source("t", 1)
START = 500_000 * HOUR
PLAN = replace(plan(OWN, pages=2.0), pane=PANE, lateness=PANE)
ROWS = 400
CHANGED = 6
"""The change begins with this pane: the third of the second hour."""
MOVED = [np.where(np.arange(len(CHANCES[0])) < 20, 4.0, 1.0) * CHANCES[0], CHANCES[1]]
MOVED[0] /= MOVED[0].sum()
PATIENCE = Patience(idle=60_000, stall=120_000, max_hold=900_000, settle=1_000)


@cache
def context() -> Context:
    ordinary = draw(np.random.default_rng(5), CHANCES, 2 * ROWS, 4 * 100)
    known = reference(OWN, ordinary, pane=PANE)
    return Context(PLAN, known.layout(), known, {"1h": prepare(known, PLAN, PLAN.windows[0])})


def judgement(**more) -> Judgement:
    return Judgement(replace(context(), **more), patience=PATIENCE)


def sketch(pane: int, source: Source, *, applied: int = 1, quiet: bool = False) -> Sketch:
    """The rows of one pane and partition."""
    rng = np.random.default_rng((pane, source.partition))
    counts = draw(rng, CHANCES if pane < CHANGED or quiet else MOVED, ROWS, 1)[0]
    empty = allocate(context().layout, cells=1, rules=0, reasons=len(REASONS))
    return Sketch(
        key=SketchKey("m", PLAN.config, "7", "champion", "", START + pane * PANE, source),
        applied=applied, rows=ROWS, errors=0, counts=Packed(pack(counts)), sums=empty.sums[0],
        extremes=np.array([[0.0, 1.0]]), latency=empty.latency[0], violations=empty.violations[0],
        rejects=empty.rejects[0], first=1000 * pane, last=1000 * pane + ROWS - 1,
    )  # fmt: skip


def report(source: Source, panes: float, *, idle: bool = False, now: int = 0) -> Progress:
    """A partition that has passed so many panes for good."""
    mark = START + int(panes * PANE) + PLAN.lateness
    return Progress(source, 1, 1 if idle else -1, mark, idle, "", now)


def take(model: Judgement, *reports: Progress, now: int = 0) -> list[Judged]:
    found = []
    for judged in model.due(expected=(A, B), progress={r.source: r for r in reports}, now=now):
        model.accept(judged)
        found.append(judged)
    return found


def fed(panes: Iterable[int] = range(16), **more) -> Judgement:
    model = judgement()
    model.observe([sketch(pane, source, **more) for pane in panes for source in (A, B)])
    return model


def told(found: Iterable[Judged]) -> list[tuple[str, int, int]]:
    kinds = {True: "early", False: "closed"}
    return [(kinds[j.verdict.early], j.verdict.start, j.verdict.end) for j in found]


def test_an_alarm_pages_before_the_window_closes_and_its_close_pages_no_more():
    """The change begins in the middle of the second hour; a look finds it, and the window's verdict joins in."""
    model = fed()
    found = take(model, report(A, 7), report(B, 7))
    assert told(found) == [("closed", START, START + HOUR), ("early", START + HOUR, START + HOUR + 3 * PANE)]
    alarm = found[-1]
    assert alarm.verdict.state is State.DRIFT
    assert [t.pages for t in alarm.transitions] == [True]
    later = take(model, report(A, 16), report(B, 16))
    assert [j.verdict.state for j in later if not j.verdict.early] == [State.DRIFT] * 3
    assert not any(t.pages for j in later for t in j.transitions)
    assert (model.pages, model.early_pages) == (1, 1)
    incident = model.incidents[DRIFT]
    assert (incident.early, incident.opened) == (True, START + HOUR + 3 * PANE)
    assert incident.evidence["kind"] == "closed"


def test_an_alarm_is_dated_and_says_so():
    """Since which pane and offset, in verdict, diagnosis, commands and the texts of the alert."""
    model = fed()
    verdict = take(model, report(A, 7), report(B, 7))[-1].verdict
    assert verdict.onset == START + CHANGED * PANE
    assert verdict.since == {A: (6000, 6000 + ROWS - 1), B: (6000, 6000 + ROWS - 1)}
    assert verdict.diagnosis["since"]["onset"] == verdict.onset
    assert [one["first"] for one in verdict.diagnosis["records"]] == [6000, 6000]
    assert "kcat -b BROKER -C -t t -p 0 -o 6000 -c 400" in verdict.diagnosis["commands"]
    incident = model.incidents[DRIFT]
    assert incident.onset == verdict.onset
    assert "m drifts, seen before its window closed: age" in summary(incident)
    assert "still open" in description(incident)
    assert annotate(incident, external_url="http://x")["offsets"] == "t/0: 6000-6399, t/1: 6000-6399"
    assert from_json(to_json(verdict)) == verdict


def test_a_closing_verdict_is_dated_too():
    """Panes of the window and of the step before it are looked at."""
    closed = [j.verdict for j in take(fed(), report(A, 16), report(B, 16)) if not j.verdict.early]
    assert [verdict.onset for verdict in closed[:2]] == [-1, START + CHANGED * PANE]
    assert closed[1].diagnosis["since"]["onset"] == START + CHANGED * PANE


def test_families_of_windows_share_what_they_look_at(monkeypatch):
    """Windows of one and of two hours are looked at as each by itself, and new blocks are merged once for both."""
    specs = (WindowSpec("1h", HOUR, HOUR), WindowSpec("2h", 2 * HOUR, HOUR))
    merged, looked_at = [], {}
    own = Held.slots
    monkeypatch.setattr(
        Held, "slots", lambda self, spec, low, *rest: merged.append(low) or own(self, spec, low, *rest)
    )
    for chosen in (specs[:1], specs[1:], specs):
        shared = replace(PLAN, windows=chosen, budget=replace(PLAN.budget, pages=2.0 * len(chosen)))
        prepared = {spec.name: prepare(context().reference, shared, spec) for spec in chosen}
        model = judgement(plan=shared, prepared=prepared)
        model.observe([sketch(pane, source, quiet=True) for pane in range(16) for source in (A, B)])
        merged.clear()
        for passed in range(1, 17):
            take(model, report(A, passed), report(B, passed))
        looked_at[chosen] = tuple(merged)
    short, long, both = (looked_at[chosen] for chosen in (specs[:1], specs[1:], specs))
    assert set(both) == set(short) | set(long)
    assert len(both) < 0.75 * (len(short) + len(long))


def test_ordinary_windows_bring_about_no_alarm():
    """The same rows without the change."""
    found = take(fed(range(40), quiet=True), report(A, 40), report(B, 40))
    assert len(found) == 10
    assert not any(j.verdict.early or j.transitions for j in found)


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_looks_depend_on_the_records_alone(data):
    """Whatever partition is ahead, however many panes come at once, and in which order sketches arrive: the same
    verdicts at the same counts, to the last digit, and no look is made twice."""
    whole = [to_json(j.verdict) for j in take(fed(), report(A, 16), report(B, 16))]
    model, made, found = judgement(), [], []
    original = looks.Looks._look

    def counted(self, spec, span, at, *rest):
        made.append((span, at))
        return original(self, spec, span, at, *rest)

    marks = {A: 0, B: 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looks.Looks, "_look", counted)
        while min(marks.values()) < 16:
            source = data.draw(st.sampled_from([s for s in (A, B) if marks[s] < 16]))
            ahead = data.draw(st.integers(1, 16 - marks[source]))
            order = data.draw(st.permutations(range(marks[source], marks[source] + ahead)))
            model.observe([sketch(pane, source) for pane in order])
            marks[source] += ahead
            found += take(model, *(report(s, m) for s, m in marks.items() if m))
    assert [to_json(j.verdict) for j in found] == whole
    assert len(made) == len(set(made))


def test_a_restart_in_the_middle_of_a_window_repeats_an_alarm_or_keeps_it():
    """Before it is durable the same alarm is found again, with the same id; after it there is none."""
    first = fed(range(8))
    due = first.due(expected=(A, B), progress={s: report(s, 7) for s in (A, B)}, now=0)
    closed, alarm = [], None
    for judged in due:
        if judged.verdict.early:
            alarm = judged
            break
        first.accept(judged)
        closed.append(judged)
    assert alarm is not None
    cursor = {"cursor": {j.cursor.id: j.cursor.body for j in closed}}
    again = fed(range(8))
    again.restore(Ledger("m", 1, cursor))
    repeated = take(again, report(A, 7), report(B, 7))
    assert [to_json(j.verdict) for j in repeated] == [to_json(alarm.verdict)]
    (opened,) = repeated[0].transitions
    assert opened.incident.id == alarm.transitions[0].incident.id
    durable = cursor | {
        alarm.cursor.kind: {alarm.cursor.id: alarm.cursor.body},
        "incident": {opened.incident.id: opened.incident.to_json()},
    }
    kept = fed(range(8))
    kept.restore(Ledger("m", 1, durable))
    assert take(kept, report(A, 7), report(B, 7)) == []
    assert kept.looks.alarms["1h"] == alarm.verdict
    (after,) = take(kept, report(A, 8), report(B, 8))
    assert not after.verdict.early
    assert not any(t.pages for t in after.transitions)
    assert kept.incidents[DRIFT].id == opened.incident.id


def test_looks_that_an_idle_partition_held_back_are_made_at_the_close():
    """Nobody knows whether it has rows yet; a replay, which has them all, makes the same looks."""
    model = judgement()
    model.observe([sketch(pane, source) for pane in range(8) for source in (A, B) if source == A or pane < 4])
    asleep = report(B, 4, idle=True, now=10_000)
    assert told(take(model, report(A, 8, now=10_000), asleep, now=10_000)) == [
        ("closed", START, START + HOUR)
    ]
    found = take(model, report(A, 8, now=11_000), replace(asleep, observed=11_000), now=11_000)
    assert told(found) == [
        ("early", START + HOUR, START + HOUR + 3 * PANE),
        ("closed", START + HOUR, START + 2 * HOUR),
    ]
    assert model.pages == 1


def test_a_window_that_was_open_when_the_reference_changed_is_not_looked_at():
    """It was looked at with the other already, and has one budget."""
    model = fed()
    take(model, report(A, 4), report(B, 4))
    prepared = {name: replace(one, reference="another") for name, one in context().prepared.items()}
    model.renew(replace(context(), prepared=prepared))
    assert [j.verdict.early for j in take(model, report(A, 8), report(B, 8))] == [False]
    assert model.pages == 1


def test_an_incident_ends_as_any_other():
    """The window of the alarm may be ok as a whole; then it is the first ok one."""
    model = judgement()
    model.observe([sketch(p, s, quiet=p != CHANGED) for p in range(24) for s in (A, B)])
    found = take(model, report(A, 24), report(B, 24))
    opened, *rest = [t for j in found for t in j.transitions]
    assert opened.incident.early
    assert sum(t.pages for t in rest) == 0
    assert model.incidents[DRIFT].state is Status.RESOLVED


def test_less_than_the_least_rows_is_no_look(monkeypatch):
    """As no verdict is made of them."""
    model = judgement(plan=replace(PLAN, min_records=8 * 2 * ROWS))
    model.observe([sketch(pane, source) for pane in range(16) for source in (A, B)])
    assert not any(j.verdict.early for j in take(model, report(A, 16), report(B, 16)))


def test_offsets_and_onsets_of_neighbours_agree():
    """The onset never lies behind the window that found it, nor before the step before it."""
    for one in (j.verdict for j in take(fed(), report(A, 16), report(B, 16)) if j.verdict.onset >= 0):
        assert one.start - HOUR <= one.onset < one.end
        for source, (first, last) in one.since.items():
            assert one.offsets[source][0] <= last
            assert first <= last
    ends = [j.verdict.end for j in take(fed(), report(A, 16), report(B, 16))]
    assert all(low < high for low, high in pairwise(ends))
