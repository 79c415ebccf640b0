"""Every record is counted exactly once, in its window, by the whole daemon."""

from __future__ import annotations

import pytest

from tests.daemon.build import await_done, shuffled, stream, verdicts
from tests.daemon.recount import differences, recount, stored_verdicts


def test_counts_of_a_disordered_log_are_exact(make):
    """Rows out of order over three partitions: state, verdicts and tallies equal the recount."""
    scene = make()
    sent = shuffled(stream(range(12)), seed=1)
    truth = recount(sent)
    assert truth.late > 0
    scene.send(sent)
    with scene.daemon() as daemon:
        await_done(daemon, len(sent))
        assert differences(daemon.state, truth, verdicts(daemon)) == []
        assert truth.records == sum(truth.rows.values()) + truth.late + truth.future + truth.rejects
    state = scene.found()
    assert differences(state, truth, stored_verdicts(state)) == []
    state.close()


@pytest.mark.slow
def test_a_log_that_arrives_in_pieces_is_exact(make):
    """What is sent while the daemon judges, with pauses that let partitions fall idle, is counted as well."""
    scene = make()
    sent = stream(range(4))
    with scene.daemon() as daemon:
        for piece in range(4):
            at = piece * len(sent) // 4
            scene.send(sent[at : at + len(sent) // 4])
            await_done(daemon, at + len(sent) // 4)
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []
