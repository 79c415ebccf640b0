"""What happens to processes from outside: kills, stops, expulsions, rebalances, and time."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

from monitor.clock import ManualClock
from monitor.state.kafka.keys import WriterId
from tests.simulation.group import Group
from tests.simulation.logs import Faults, SimulatedBroker, SimulatedLogs
from tests.simulation.schedule import Baton, Schedule, SkewedClock, Task
from tests.test_partition import START

PAUSES = 400_000
"""No schedule needs a tenth of it; one that does not come to an end is a defect."""


class Wrong(BaseException):
    """An invariant does not hold. A BaseException, as the boundaries of the code under test must not hide it."""


class Quiet:
    """A log of which nobody reads anything but what must not happen."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None

    def exception(self, event: str, **_: Any) -> None:
        raise Wrong(f"a boundary was reached - {event}")


class Process:
    """One replica, from its start to its death. Its threads are tasks of the schedule."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.logs: SimulatedLogs = world.broker.connect(name)
        self.clock = SkewedClock(world.clock, world.random.uniform(-2, 2), world.schedule.pause)
        self.is_stopped = self.is_deaf = False
        """Deaf: it does not hear from its groups, and goes on with what it knows."""
        self._tasks: list[Task] = []

    def spawn(self, run: Callable[[], None]) -> None:
        task = self.world.schedule.start(self.name, run)
        task.is_stopped = self.is_stopped
        self._tasks.append(task)

    @property
    def is_alive(self) -> bool:
        return not self.logs.is_dead and any(not task.has_ended for task in self._tasks)

    def kill(self) -> None:
        self.logs.kill()
        for task in self._tasks:
            self.world.schedule.kill(task)

    def stop(self, stopped: bool) -> None:
        self.is_stopped = stopped
        for task in self._tasks:
            task.is_stopped = stopped


class World:
    """One run. `boot` starts the threads of a process; `groups` are what processes are members of."""

    def __init__(self, seed: int, topics: Mapping[str, int], boot: Callable[[Process], None]) -> None:
        self.seed = seed
        self.schedule = Schedule(seed)
        self.random: random.Random = self.schedule.random
        self.clock = ManualClock(START)
        self.has_zombies = self.random.random() < 0.8
        self.broker = SimulatedBroker(seed, topics, faults=_faults(self.random), clock=self.clock)
        self.broker.pause = self.schedule.pause
        self.groups: list[Group] = []
        self.processes: list[Process] = []
        self.counts: dict[str, int] = {}
        """What happened, and how often; for the report."""
        self.is_hasty = False
        """Tombstones go at once: somebody reads for longer than they are kept."""
        self._boot = boot
        self._born = 0

    def group(self, partitions: Iterable[Hashable]) -> Group:
        made = Group(list(partitions), self.random, is_eager=self.random.random() < 0.5)
        self.groups.append(made)
        return made

    def new_id(self) -> WriterId:
        return WriterId(self.random.getrandbits(64))

    def start(self) -> Process:
        process = Process(self, f"p{self._born}")
        self._born += 1
        self.processes.append(process)
        self._boot(process)
        return process

    def rebalance(self) -> None:
        for group in self.groups:
            group.rebalance([process.name for process in self.processes])

    def disturb(self, bursts: int, is_done: Callable[[], bool]) -> None:
        """The turbulent part: processes go on and something happens to them, again and again."""
        if self.is_hasty:
            self.broker.faults = replace(self.broker.faults, is_hasty=True, compact=0.1)
        for _ in range(bursts):
            self._burst(self.random.choice([3, 10, 30, 100]))
            self._act()
            if is_done() and self.random.random() < 0.3:
                return

    def settle(self, is_done: Callable[[], bool]) -> None:
        """No more faults; everybody goes on and hears everything until `is_done`."""
        self.broker.faults = Faults()
        for process in self.processes:
            process.stop(False)
            process.is_deaf = False
        self.rebalance()
        while not is_done():
            self._burst(200)
            if self.random.random() < 0.2:
                self.broker.settle()
            if self.schedule.steps > PAUSES:
                raise Wrong(f"comes to no end - after {self.schedule.steps} pauses")

    def play(self, is_done: Callable[[], bool]) -> None:
        """A whole run of two processes and those that take their places, from the first to the last."""
        for _ in range(2):
            self.start()
        self.rebalance()
        self.disturb(self.random.randint(10, 50), is_done)
        self.settle(is_done)
        self.end()

    def end(self) -> None:
        """Everybody dies; what was on its way arrives or is lost."""
        for process in self.processes:
            process.kill()
        self.broker.settle()

    def _burst(self, steps: int) -> None:
        seconds = self.random.choice([0.05, 0.5, 2.0, 8.0])
        self.clock.advance(seconds if self.random.random() < 0.99 else 3_700.0)
        self.schedule.run(steps)
        for process in [process for process in self.processes if not process.is_alive]:
            process.kill()
            self._note("crashes")
            self._bury(process)

    def _act(self) -> None:
        act = self.random.choices([self._nothing, self._kill, self._move, self._stop], [6, 1, 1, 2])[0]
        act()

    def _nothing(self) -> None:
        self._note("quiet")

    def _kill(self) -> None:
        process = self.random.choice(self.processes)
        self._note("kills")
        process.kill()
        self._bury(process)

    def _move(self) -> None:
        self._note("rebalances")
        self.rebalance()

    def _stop(self) -> None:
        """SIGSTOP or SIGCONT, or a process that does not hear. The group may notice, or not."""
        process = self.random.choice(self.processes)
        if process.is_stopped or process.is_deaf:
            process.stop(False)
            process.is_deaf = process.is_deaf and self.random.random() < 0.5
            return
        if not self.has_zombies:
            return
        self._note("zombies")
        if self.random.random() < 0.5:
            process.stop(True)
        else:
            process.is_deaf = True
        if self.random.random() < 0.8:
            for group in self.groups:
                group.expel(process.name)
            others = [other.name for other in self.processes if other is not process]
            for group in self.groups:
                group.rebalance(others or [process.name])

    def _bury(self, process: Process) -> None:
        self.processes.remove(process)
        for group in self.groups:
            group.expel(process.name)
        while not self.processes or self.random.random() < 0.6:
            self.start()
            if len(self.processes) >= 3:
                break
        self.rebalance()

    def _note(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


def _faults(chance: random.Random) -> Faults:
    """How bad it is: of each kind, in about half of the schedules, nothing at all."""

    def some(most: float) -> float:
        return chance.choice([0.0, chance.random()]) * most

    return Faults(
        crash=some(0.08), unsettled=some(0.2), unread=some(0.03), dropped=some(0.4), late=some(0.6),
        compact=some(0.15),
    )  # fmt: skip


@contextmanager
def batons(schedule: Schedule, *modules: ModuleType) -> Iterator[None]:
    """Let the locks that `modules` make give way to other tasks, instead of stopping all of them."""
    locks = SimpleNamespace(Lock=lambda: Baton(schedule), Event=threading.Event)
    with changed(*((module, "threading", locks) for module in modules)):
        yield


@contextmanager
def changed(*values: tuple[ModuleType | type, str, object]) -> Iterator[None]:
    """Other values for attributes of modules and classes, for a while."""
    before = [(where, name, getattr(where, name)) for where, name, _ in values]
    try:
        for where, name, value in values:
            setattr(where, name, value)
        yield
    finally:
        for where, name, value in before:
            setattr(where, name, value)


@contextmanager
def told(seed: int, level: str) -> Iterator[None]:
    """Say with every failure how to see it again."""
    try:
        yield
    except (Exception, Wrong) as error:
        raise AssertionError(
            f"{type(error).__name__}: {error} - seed {seed} - "
            f"python -m bench.simulate --level {level} --replay {seed}"
        ) from error
