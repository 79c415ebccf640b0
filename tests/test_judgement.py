"""Which windows are judged, when, and from which counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from monitor.context import Context
from monitor.history import DETAILED, verdict_entry
from monitor.judgement import Judged, Judgement
from monitor.names import REASONS, SketchKey, Source
from monitor.plan import Budget, WindowSpec
from monitor.sketch import Sketch
from monitor.state.log import Counted, Ledger, Progress
from monitor.verdict import State, Unknown
from monitor.window.completeness import Patience
from tests.test_partition import LAYOUT, PLAN

MINUTE = 60_000
START = 1_700_000_100_000 // (10 * MINUTE) * 10 * MINUTE
A, B = Source("predictions", 0), Source("predictions", 1)
PATIENCE = Patience(idle=MINUTE, stall=2 * MINUTE, max_hold=15 * MINUTE, settle=0)
WINDOWS = (WindowSpec("5m", 5 * MINUTE, 5 * MINUTE), WindowSpec("10m", 10 * MINUTE, MINUTE))


def judgement(*windows: WindowSpec, lateness: int = 2 * MINUTE, patience: Patience = PATIENCE) -> Judgement:
    """A model without a reference: every verdict is unknown, and its counts are what matters."""
    plan = replace(PLAN, windows=windows, lateness=lateness, budget=Budget(2, 30 * 86_400_000))
    return Judgement(Context(plan, LAYOUT, None, {}), patience=patience)


def sketch(minute: int, rows: int, *, source: Source = A, applied: int = 1) -> Sketch:
    """One pane, `minute` minutes after START."""
    return Sketch(
        key=SketchKey("m", PLAN.config, "1", "champion", "", START + minute * MINUTE, source),
        applied=applied, rows=rows, errors=0, counts=np.zeros(LAYOUT.slots, np.int64), sums=np.zeros((1, 3), np.int64),
        extremes=np.array([[np.inf, -np.inf]]), latency=np.zeros(1152, np.int64), violations=np.zeros(0, np.int64),
        rejects=np.zeros(len(REASONS), np.int64), first=0, last=applied - 1,
    )  # fmt: skip


def progress(source: Source, minute: int, *, idle: bool = False, now: int = 0, since: int = -1) -> Progress:
    """A partition whose watermark is `minute` minutes after START."""
    return Progress(source, 1, 1, START + minute * MINUTE, idle, "", now, since)


def due(
    model: Judgement, *reports: Progress, now: int = 0, expected: Sequence[Source] = (A,)
) -> list[Judged]:
    """Judge what is due and accept it."""
    found = []
    for judged in model.due(expected=expected, progress={r.source: r for r in reports}, now=now):
        model.accept(judged)
        found.append(judged)
    return found


def test_tumbling_and_sliding_windows_hold_exactly_their_panes() -> None:
    """Every window of both families has the rows of its panes, and none is skipped or judged twice."""
    model = judgement(*WINDOWS)
    rows = {minute: minute + 1 for minute in range(30)}
    model.observe([sketch(minute, count) for minute, count in rows.items()])
    judged = due(model, progress(A, 32))
    for name, size, step, first in (("5m", 5, 5, 5), ("10m", 10, 1, 10)):
        ends = [item.verdict.end for item in judged if item.verdict.window == name]
        assert ends == [START + minute * MINUTE for minute in range(first, 31, step)]
        for item in judged:
            if item.verdict.window == name:
                last = (item.verdict.end - START) // MINUTE
                assert item.verdict.rows == sum(rows.get(m, 0) for m in range(last - size, last))
    assert due(model, progress(A, 32)) == []


def test_a_window_waits_for_the_watermark_and_the_allowed_lateness() -> None:
    """One minute short of end + lateness nothing is judged."""
    model = judgement(WINDOWS[0])
    model.observe([sketch(0, 5)])
    assert due(model, progress(A, 6)) == []
    assert [item.verdict.rows for item in due(model, progress(A, 7))] == [5]


def test_a_partition_that_nobody_reads_is_held_for_and_then_said_to_be_missing() -> None:
    """After the longest hold the window is published with coverage below 1, and never as a verdict."""
    model = judgement(WINDOWS[0])
    model.observe([sketch(0, 5)])
    reports = (progress(A, 60, now=START),)
    assert due(model, *reports, now=START, expected=(A, B)) == []
    late = (progress(A, 60, now=START + PATIENCE.max_hold),)
    judged = due(model, *late, now=START + PATIENCE.max_hold, expected=(A, B))
    assert judged
    assert judged[0].verdict.coverage == 0.5
    assert judged[0].verdict.state is State.UNKNOWN


def test_a_late_correction_is_a_revision_and_equal_counts_are_none() -> None:
    """An idle partition that wakes up with old rows revises the window it belongs to."""
    model = judgement(WINDOWS[0])
    model.observe([sketch(0, 5)])
    (first,) = due(model, progress(A, 7), progress(B, 0, idle=True), expected=(A, B))
    assert (first.verdict.rows, first.verdict.revision) == (5, 0)
    model.observe([sketch(0, 5, applied=2)])
    assert due(model, progress(A, 7), progress(B, 0, idle=True), expected=(A, B)) == []
    model.observe([sketch(1, 3, source=B)])
    (again,) = due(model, progress(A, 7), progress(B, 1), expected=(A, B))
    assert (again.verdict.rows, again.verdict.revision) == (8, 1)


def test_silence_is_judged_and_a_long_gap_is_jumped() -> None:
    """A few empty windows are verdicts of their own; a year of them is not."""
    model = judgement(WINDOWS[0])
    model.observe([sketch(0, 5), sketch(22, 7)])
    states = [(i.verdict.rows, i.verdict.state) for i in due(model, progress(A, 27))]
    assert [rows for rows, _ in states] == [5, 0, 0, 0, 7]
    assert all(state is State.UNKNOWN for _, state in states)
    far = 400 * 24 * 60
    model.observe([sketch(far, 9)])
    assert [i.verdict.rows for i in due(model, progress(A, far + 8))] == [9]


def test_consumption_that_began_in_the_middle_is_partial() -> None:
    """Windows that began before the first covered event are not judged as if they were whole."""
    model = judgement(WINDOWS[0])
    model.observe([sketch(3, 5), sketch(7, 5)])
    first, second = due(model, progress(A, 12, since=START + 3 * MINUTE))
    assert (first.verdict.coverage, second.verdict.coverage) == (0.0, 1.0)


def test_a_restart_goes_on_after_the_last_judged_window() -> None:
    """The cursor of the ledger decides; sketches that are read again change nothing."""
    model = judgement(WINDOWS[0])
    model.observe([sketch(m, 1) for m in range(10)])
    judged = due(model, progress(A, 7))
    entries = {"cursor": {e.id: e.body for e in [judged[-1].cursor]}}
    again = judgement(WINDOWS[0])
    again.restore(Ledger("m", 1, entries))
    again.observe([sketch(m, 1) for m in range(10)])
    assert [i.verdict.end for i in due(again, progress(A, 12))] == [START + 10 * MINUTE]


def test_a_model_without_reference_says_so() -> None:
    """Counts are kept, and the verdict names what is missing."""
    model = judgement(WINDOWS[0])
    model.observe([sketch(0, 500)])
    (judged,) = due(model, progress(A, 7))
    assert judged.verdict.reason is Unknown.NO_REFERENCE


def test_a_window_of_another_name_is_not_judged_yet() -> None:
    """A configuration that renames its windows leaves the cursor of the old name in the ledger."""
    model = judgement(WINDOWS[0])
    model.restore(Ledger("m", 1, {"cursor": {"renamed": {"end": START}}}))
    model.observe([sketch(0, 5)])
    assert due(model, progress(A, 3)) == []
    assert [item.verdict.rows for item in due(model, progress(A, 7))] == [5]


def test_verdicts_of_windows_that_are_gone_are_not_remembered() -> None:
    """They would be shown for ever, and keep the state log from being tidied."""
    model = judgement(WINDOWS[0])
    model.observe([sketch(0, 5)])
    (judged,) = due(model, progress(A, 7))
    entry = verdict_entry(replace(judged.verdict, window="renamed"))
    again = judgement(WINDOWS[0])
    again.restore(Ledger("m", 1, {"verdict": {entry.id: entry.body or {}}}))
    assert again.latest == {}


def test_a_correction_of_forgotten_panes_is_no_revision() -> None:
    """The rows of one partition alone are not the window: those of the others were forgotten."""
    model = judgement(WINDOWS[0])
    model.observe([sketch(minute, 5) for minute in range(60)])
    assert len(due(model, progress(A, 62))) == 12
    model.observe([sketch(0, 1_000, source=B), sketch(54, 1_000, source=B)])
    (judged,) = due(model, progress(A, 62), progress(B, 55), expected=(A, B))
    assert (judged.verdict.end, judged.verdict.rows) == (START + 55 * MINUTE, 1_025)


def test_a_revision_that_was_not_stored_is_made_again() -> None:
    """The caller could not make it durable, so it is still due."""
    model = judgement(WINDOWS[0])
    model.observe([sketch(0, 5)])
    due(model, progress(A, 7))
    model.observe([sketch(0, 9, applied=2)])
    refused = next(model.due(expected=(A,), progress={A: progress(A, 7)}, now=0))
    assert refused.verdict.revision == 1
    (judged,) = due(model, progress(A, 7))
    assert (judged.verdict.rows, judged.verdict.revision) == (9, 1)
    assert due(model, progress(A, 7)) == []


def test_old_verdicts_shrink_alike_in_memory_and_in_the_ledger() -> None:
    """After a restart the history is that of the process that wrote it."""
    model = judgement(WINDOWS[0])
    ledger = {}
    for end in range(1, DETAILED + 6):
        model.observe([sketch(5 * end - 1, 7)])
        for judged in model.due(expected=(A,), progress={A: progress(A, 5 * end + 2)}, now=0):
            wide = replace(judged.verdict, scores={"x": {"psi": float(end)}})
            ledger |= {
                one.id: one.body
                for one in model.entries(replace(judged, verdict=wide))
                if one.kind == "verdict"
            }
            model.accept(replace(judged, verdict=wide))
    again = judgement(WINDOWS[0])
    again.restore(Ledger("m", 1, {"verdict": ledger}))
    kept = [one.verdict() for one in model.history["5m"]]
    assert [one.verdict() for one in again.history["5m"]] == kept
    assert sum(bool(verdict.scores) for verdict in kept) == DETAILED
    assert again.latest == model.latest


def test_a_restart_remembers_revised_verdicts() -> None:
    """A revised verdict takes its place in the history, and is forgotten with the others."""
    model = judgement(WINDOWS[0])
    model.observe([sketch(minute, 5) for minute in range(20)])
    ledger = {verdict_entry(judged.verdict).id: judged.verdict for judged in due(model, progress(A, 22))}
    model.observe([sketch(12, 9, applied=2)])
    (revised,) = due(model, progress(A, 22))
    ledger[verdict_entry(revised.verdict).id] = revised.verdict
    again = judgement(WINDOWS[0])
    bodies = {name: verdict_entry(verdict).body or {} for name, verdict in ledger.items()}
    again.restore(Ledger("m", 1, {"verdict": bodies}))
    assert [(one.end, one.revision, one.rows) for one in again.history["5m"]] == [
        (START + 5 * (k + 1) * MINUTE, int(k == 2), 29 if k == 2 else 25) for k in range(4)
    ]


def test_what_is_kept_of_wide_verdicts_is_small() -> None:
    """200 whole verdicts of a wide model are kept, so each may take only a small part of what it is as objects."""
    model = judgement(WINDOWS[0])
    rng = np.random.default_rng(3)
    names = ("psi", "ks", "js", "mean", "std", "median", "missing", "wasserstein", "hellinger", "linf")
    for end in range(1, 2 * DETAILED):
        model.observe([sketch(5 * end - 1, 7)])
        for judged in model.due(expected=(A,), progress={A: progress(A, 5 * end + 2)}, now=0):
            scores = {f"f{k}": {name: float(rng.normal()) for name in names} for k in range(100)}
            model.accept(replace(judged, verdict=replace(judged.verdict, scores=scores)))
    history = model.history["5m"]
    whole, bare = list(history)[-DETAILED:], list(history)[:-DETAILED]
    assert len(bare) == DETAILED - 1
    assert max(len(kept.packed) for kept in whole) < 12 * 100 * len(names)
    assert max(len(kept.packed) for kept in bare) < 600


def test_windows_of_which_rows_were_not_counted_are_not_whole() -> None:
    """A replica counts from a later time on, but for panes of which it lacks a few rows."""
    for counted, coverage in (
        ({"m": Counted(PLAN.config, START + 4 * MINUTE, (START + 7 * MINUTE,))}, [0.0, 0.0, 1.0]),
        ({"m": Counted(PLAN.config, START, (START + 15 * MINUTE,))}, [1.0, 1.0, 1.0]),
        ({"m": Counted(PLAN.config)}, [1.0, 1.0, 1.0]),
        (None, [1.0, 1.0, 1.0]),
    ):
        model = judgement(WINDOWS[0])
        model.observe([sketch(minute, 50) for minute in range(15)])
        judged = due(model, replace(progress(A, 17), counted=counted))
        assert [one.verdict.coverage for one in judged] == coverage
