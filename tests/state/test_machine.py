"""Random histories of checkpoints, crashes, prunes, appends and claims against a plain model."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from monitor.state.log import Entry
from tests.state.cases import KINDS, OTHER, SOURCE, contents, make_key, make_marker, make_sketch, opened

MODELS = ("", "fraud")
sources = st.sampled_from([SOURCE, OTHER])
places = st.sampled_from([None, None, "before", "inside", "after"])
kinds = st.sampled_from(["clock", "intent"])
names = st.sampled_from(["a", "b"])


class LogMachine(RuleBasedStateMachine):
    kind = ""

    def __init__(self):
        super().__init__()
        self._opened = opened(self.kind)
        self.store = self._opened.__enter__()
        self.sketches, self.markers, self.entries, self.claims = {}, {}, {}, set()
        self.applied = 0
        self.after, self.read = 0, {}
        self.ahead, self.live = set(), {}
        """Keys of which a checkpoint that was never closed has written a newer sketch."""

    def teardown(self):
        self._opened.__exit__(None, None, None)

    def attempt(self, step, place, act):
        """Do `act`, dying at `place`; True when it is durable."""
        if place is None:
            act()
            return True
        self.store.crash_at(f"{step}.{place}")
        with pytest.raises(self.store.dies):
            act()
        self.restart()
        return place == "after" or (place == "inside" and step != "checkpoint" and self.store.is_shared)

    @rule(source=sources, panes=st.sets(st.sampled_from([0, 100, 200])), live=st.sampled_from([None, 0, 100, 200]),
          model=st.sampled_from(MODELS), place=places)  # fmt: skip
    def checkpoint(self, source, panes, live, model, place):
        self.applied += 1
        if self.store.is_shared:  # what can change no more is gone for good
            before = self.live.get((source, model))
            live = before if live is None else max(live, before or 0)
            self.live[source, model] = live
        sketches = [
            make_sketch(
                make_key(model, pane=pane, source=source), seed=self.applied + pane, applied=self.applied
            )
            for pane in sorted(panes)
        ]
        limits = {} if live is None else {model: live}
        if self.store.is_shared:
            limits = {name: at for (of, name), at in self.live.items() if of == source and at is not None}
        marker = make_marker(source, applied=self.applied, live=limits)
        if self.attempt("checkpoint", place, lambda: self.store.log.checkpoint(source, sketches, marker)):
            self.sketches |= contents(sketches)
            self.markers[source] = marker
            self.ahead -= {sketch.key for sketch in sketches}
        elif place == "inside" and self.store.is_shared:
            self.ahead |= {sketch.key for sketch in sketches}

    @rule(
        changes=st.lists(st.tuples(kinds, names, st.none() | st.integers()), min_size=1, max_size=3),
        place=places,
    )
    def append(self, changes, place):
        entries = [Entry(kind, name, None if n is None else {"n": n}) for kind, name, n in changes]
        if self.attempt("append", place, lambda: self.store.log.append("fraud", entries)):
            for entry in entries:
                self.entries[entry.kind, entry.id] = entry.body

    @rule(attempt=st.integers(1, 4), place=places)
    def claim(self, attempt, place):
        got = []
        if self.attempt("claim", place, lambda: got.append(self.store.log.claim("fraud", "page", attempt))):
            assert got in ([], [attempt not in self.claims])
            self.claims.add(attempt)

    @rule(before=st.sampled_from([100, 200, 300]), model=st.sampled_from(MODELS))
    def prune(self, before, model):
        old = [
            key
            for key in self.sketches
            if key.model == model
            and key.pane < before
            and key.pane < self.markers[key.source].live.get(model, 0)
        ]
        if self.store.is_shared:
            self.read_changes()  # it prunes what it has met, also what is of no checkpoint
            assert self.store.log.prune(model, before) >= len(old)
        else:
            assert self.store.log.prune(model, before) == len(old)
        for key in old:
            del self.sketches[key]

    @rule()
    def restart(self):
        self.store.restart()
        if self.store.is_shared:
            self.after, self.read = 0, {}

    @rule()
    def read_changes(self):
        """A reader that only follows changes holds the newest of every key that is left."""
        position, sketches, _ = self.store.log.changes(MODELS, self.after)
        assert position >= self.after
        assert len({sketch.key for sketch in sketches}) == len(sketches)
        fresh = contents(sketches)
        assert all(self.read.get(key) != value for key, value in fresh.items())
        self.read |= fresh
        self.after = position
        settled = self.sketches.keys() - self.ahead
        assert {key: self.read[key] for key in settled} == {key: self.sketches[key] for key in settled}

    @precondition(lambda self: self.markers)
    @invariant()
    def recovers_exactly(self):
        assert list(self.store.log.sources()) == sorted(self.markers)
        for source, marker in self.markers.items():
            checkpoint = self.store.log.recover(source)
            assert checkpoint.marker == marker
            live = {
                key: value
                for key, value in self.sketches.items()
                if key.source == source and key.pane >= marker.live.get(key.model, 0)
            }
            assert contents(checkpoint.sketches) == live

    @invariant()
    def ledger_is_exact(self):
        found = self.store.log.ledger("fraud").entries
        flat = {
            (kind, name): body for kind in ("clock", "intent") for name, body in found.get(kind, {}).items()
        }
        assert flat == {key: body for key, body in self.entries.items() if body is not None}
        assert len(found.get("claim", {})) == len(self.claims)
        assert self.store.log.divergences == 0


@pytest.mark.parametrize("kind", KINDS)
def test_every_history_recovers_exactly(kind):
    """Whatever happens in whatever order, what is recovered, read and listed is what was durable."""
    machine = type("Machine", (LogMachine,), {"kind": kind})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=25, stateful_step_count=20, deadline=None, derandomize=True)
    )
