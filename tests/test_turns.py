from __future__ import annotations

from monitor.clock import ManualClock
from monitor.names import Source
from monitor.turns import ROUND, Turns

ALL = [Source("t", number) for number in range(3)]


def test_who_had_no_turn_comes_first():
    """A round that ends early leaves the others for the next, however they are given."""
    clock = ManualClock()
    turns = Turns(clock)
    for source in turns.of(ALL):
        clock.advance(1)
        if source != ALL[0]:
            break
    assert list(turns.of(ALL)) == [ALL[1], ALL[2], ALL[0]]


def test_a_round_is_late_after_its_seconds():
    """Measured from its beginning; the next round has all of them again."""
    clock = ManualClock()
    turns = Turns(clock)
    late = []
    for _ in turns.of(ALL):
        late.append(turns.is_late)
        clock.advance(ROUND * 0.6)
    assert late == [False, False, True]
    next(turns.of(ALL))
    assert not turns.is_late
