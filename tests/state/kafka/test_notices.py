"""What replicas tell each other of the models that they judge."""

from __future__ import annotations

from monitor.clock import ManualClock
from monitor.consistency.tallies import Tallies
from monitor.elsewhere import EVERY, SOON, Notices
from monitor.registry.prompts import Prompts
from monitor.state.kafka import keys
from monitor.state.kafka.keys import NoticeKey, WriterId
from monitor.state.kafka.logs import Place, Write
from monitor.state.kafka.notices import KEPT
from monitor.state.log import Progress
from monitor.verdict import State
from monitor.view import Elsewhere
from tests.faults.cluster import COUNTS, SOURCES, TOPICS, Replica
from tests.simulation.logs import SimulatedBroker
from tests.web.view import calm, drifting

STALL = 120_000
PROGRESS = Place(TOPICS.progress, 0)


class Member:
    """A replica with a page."""

    def __init__(self, broker, name, clock):
        self.log = Replica(broker, name, clock=clock).log
        self.tallies = Tallies(clock, run=name)
        self.prompts = Prompts(clock)
        self.notices = Notices(self.log, clock, stall=STALL, tallies=self.tallies, prompts=self.prompts)
        self.notices.replica = f"{name}:8710"

    def tell(self, *models):
        self.notices.tick({model.plan.name: model for model in models})

    def hears(self, *models):
        self.log.changes([], 0)
        return self.notices.of(models)


def world():
    broker, clock = SimulatedBroker(0, COUNTS), ManualClock(1000)
    return broker, clock, *(Member(broker, name, clock) for name in ("first", "second"))


def test_a_replica_hears_who_judges_what_and_how_it_stands():
    """Of its own models it is told nothing new; of one that nobody spoke of only that there is one."""
    _, clock, first, second = world()
    first.tell(drifting(), calm("basket", state=State.WARN))
    name = drifting().plan.name
    churn, basket, other = sorted([name, "basket", "nobody"])
    assert {churn, basket, other} == {name, "basket", "nobody"}
    told = {one.model: one for one in second.hears(name, "basket", "nobody")}
    assert (told[name].replica, told[name].state) == ("first:8710", "drift")
    assert told[name].end == max(verdict.end for verdict in drifting().latest.values())
    assert told["basket"].state == "warn"
    assert told["nobody"] == Elsewhere("nobody")
    assert first.hears(name) == (Elsewhere(name),)
    assert told[name].told == clock.now_ms()


def test_the_last_who_spoke_of_a_model_is_believed_for_a_while():
    """Who has it now says so after who had it; one that says nothing for as long as `stall` is gone."""
    broker, clock, first, second = world()
    third = Member(broker, "third", clock)
    name = calm().plan.name
    first.tell(calm())
    clock.advance(EVERY)
    second.tell(calm())
    assert [one.replica for one in third.hears(name)] == ["second:8710"]
    clock.advance(STALL / 1000 + 1)
    assert third.hears(name) == (Elsewhere(name),)


def test_a_prompt_reaches_who_judges_the_model_without_the_wait_for_the_next_notice():
    """It hears which replica was asked by the registry; nothing is left to tell back."""
    _, clock, first, second = world()
    first.tell(calm())
    first.prompts.note(["churn"])
    clock.advance(SOON)
    first.tell(calm())
    second.hears()
    second.tell()
    assert second.prompts.wants("churn")
    assert not second.prompts.is_untold


def test_notices_come_now_and_then_and_disturb_no_report():
    """One each EVERY seconds; reports of partitions in the same topic are read as before."""
    broker, clock, first, second = world()
    for _ in range(3):
        first.tell(calm())
    assert len(broker.records(PROGRESS)) == 1
    report = Progress(SOURCES[0], 5, 9, 1, idle=False, paused="", observed=clock.now_ms())
    first.log.report(report)
    clock.advance(EVERY)
    first.tell(calm())
    assert second.log.changes([], 0)[2] == (report,)


def test_what_does_not_verify_says_nothing_and_what_is_old_goes():
    """A damaged notice takes nothing away; that of a process which ended badly is removed by another."""
    broker, clock, first, second = world()
    first.tell(calm())
    key = keys.encode(NoticeKey(WriterId(7)))
    broker.append(Write(PROGRESS, key, b"not ours"))
    assert [one.replica for one in second.hears(calm().plan.name)] == ["first:8710"]
    clock.advance(KEPT / 1000 + 1)
    second.tell()
    assert first.hears(calm().plan.name) == (Elsewhere(calm().plan.name),)
    gone = [record.key for record in broker.records(PROGRESS) if record.value is None]
    assert len(gone) == 1
    assert gone[0].startswith(keys.NOTICES)


def test_replicas_tell_what_they_compared_with_the_online_store():
    """Whoever judges the model has the counts of all, once, however often they are told."""
    _, clock, first, second = world()
    first.tallies.add("rides", 60_000, {"rate": (10, 1, 0)})
    first.tallies.note("rides", "compared", 10)
    second.tallies.add("rides", 60_000, {"rate": (5, 2, 3)})
    second.tallies.note("rides", "failed", 2)
    second.tallies.answered("rides", "no answer")
    for _ in range(3):
        for one in (first, second):
            one.tell()
            one.hears()
        clock.advance(EVERY)
    for one in (first, second):
        assert one.tallies.sums("rides", 0, 120_000) == {"rate": (15, 3, 3)}
        standing = one.tallies.standing("rides")
        assert (standing.outcomes["compared"], standing.outcomes["failed"]) == (10, 2)
        assert standing.error == "no answer"


def test_what_another_version_tells_of_its_comparisons_is_passed_over():
    """A replica that says it in another way is heard as one that says nothing of it."""
    _, clock, first, second = world()
    for told in ({"run": "x"}, {"run": "x", "panes": {"rides": {"now": 1}}, "standings": {}}, [], None):
        first.log.announce({"replica": "first:8710", "at": clock.now_ms(), "models": {}, "compared": told})
        second.hears()
        clock.advance(EVERY)
        second.tell()
        assert second.tallies.sums("rides", 0, 120_000) == {}
