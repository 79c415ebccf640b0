"""Random histories of several writers of two sources in one partition, against a fold done again."""

from __future__ import annotations

import contextlib
from typing import ClassVar

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

from monitor.errors import StateUnsettled
from monitor.state.kafka.chunks import unsealed
from monitor.state.kafka.keys import MARKERS, decode_state
from monitor.state.kafka.manifest import read_closed
from tests.state.kafka.memory import Died, Fault
from tests.state.kafka.oracle import A, B, cell_of, check, folded
from tests.state.kafka.process import World, published

FAULTS = st.none() | st.builds(Fault, st.integers(0, 40), dies=st.booleans(), is_late=st.booleans())
SENDING = st.sampled_from(["now", "now", "lost", "late"])


class WriterMachine(RuleBasedStateMachine):
    limits: ClassVar[dict[str, int]] = {}
    alone = False

    def __init__(self):
        super().__init__()
        self.world = World(**self.limits)
        self.broker = self.world.broker
        self.processes = []
        self.acked = {A: {}, B: {}}
        """Writer → the last marker of it that was acknowledged. A greater id came later."""

    def start(self, source):
        process = self.world.start(source)
        self.verify(source, process.recovered)
        self.processes.append(process)

    def verify(self, source, checkpoint):
        """The state is that of some prefix, at least that of the youngest writer that was acknowledged."""
        acked = self.acked[source]
        if checkpoint is None:
            assert not acked
            return
        check(checkpoint, source)
        if acked:
            assert checkpoint.marker.applied >= acked[max(acked)]
            if self.alone:
                assert checkpoint.marker.applied >= max(acked.values())

    @rule(source=st.sampled_from([A, B]))
    def starts(self, source):
        if self.alone:
            self.processes = [process for process in self.processes if process.source != source]
        if len(self.processes) < 5:
            self.start(source)

    @precondition(lambda self: self.processes)
    @rule(data=st.data(), count=st.sampled_from([0, 1, 2, 4, 10]), fault=FAULTS, sending=SENDING)
    def works(self, data, count, fault, sending):
        """Fold and checkpoint; zombies do the same."""
        process = data.draw(st.sampled_from(self.processes))
        process.fold.apply(count)
        process.logs.fault, process.logs.sending = fault, sending
        process.logs.acked.clear()
        with contextlib.suppress(StateUnsettled):
            try:
                process.checkpoint()
            except Died:
                self.processes.remove(process)
        # Also of one that died in removing the keys of others: it had gone on from an older state.
        for write in process.logs.acked:
            if write.key.startswith(MARKERS):
                marker = read_closed(write.key, write.value, process.source).marker
                self.acked[process.source][decode_state(write.key).writer] = marker.applied
        process.logs.fault = None

    @precondition(lambda self: self.broker.flights)
    @rule(data=st.data())
    def lands(self, data):
        self.broker.land(data.draw(st.integers(0, len(self.broker.flights) - 1)))

    @precondition(lambda self: self.broker.records)
    @rule(data=st.data(), part=st.floats(0, 1))
    def compacts(self, data, part):
        place = data.draw(st.sampled_from(sorted(self.broker.records)))
        self.broker.compact(place, int(part * len(self.broker.records[place])))

    @precondition(lambda self: self.processes)
    @rule(data=st.data())
    def dies(self, data):
        self.processes.remove(data.draw(st.sampled_from(self.processes)))

    @invariant()
    def recovers(self):
        for source in (A, B):
            found = self.world.recover(source)
            assert not found.divergences
            assert not found.unreadable
            self.verify(source, found.checkpoint)

    @invariant()
    def publishes(self):
        """Whoever reads the sketches topic has all that any acknowledged marker speaks of."""
        newest = published(self.broker)
        for key, sealed in newest.items():
            assert cell_of(unsealed(sealed)) == folded(key.source, sealed.applied)[1][key]
        for source, acked in self.acked.items():
            _, cells = folded(source, max(acked.values(), default=0))
            for key, (_, _, last) in cells.items():
                assert newest[key].applied > last

    @invariant()
    def is_a_function(self):
        assert self.world.divergences.count == 0


@pytest.mark.parametrize("chunk_bytes", [30, 1 << 20])
@pytest.mark.parametrize("alone", [True, False])
def test_every_history_recovers_exactly(alone, chunk_bytes):
    """Whatever dies, is lost, late or compacted, and whoever writes beside: a prefix is recovered, no mixture."""
    limits = {"chunk_bytes": chunk_bytes, "refresh": 3}
    machine = type("Machine", (WriterMachine,), {"limits": limits, "alone": alone})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=30, stateful_step_count=30, deadline=None, derandomize=True)
    )
