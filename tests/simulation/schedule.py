"""One thread at a time, in an order drawn from a seed: whole runs of several processes, replayable.

A *task* is a thread that has the baton or waits for it. It gives the baton away only inside `pause`,
which everything that other processes can see goes through. The thread that calls `run` is the world:
between two bursts it kills, stops, starts and moves the clock.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence

from monitor.clock import ManualClock
from monitor.state.simulated import SimulatedCrash

STAY = 0.85
"""How often the same task goes on after a pause: a thread switch costs fifty times a pause, and bursts
of all lengths come about all the same."""
SLOW = 0.03
"""The same of a task that is slow for a while, and how often it is considered at all. What takes a whole
sequence of steps by others between two of one's own is hardly ever met otherwise."""


class Task:
    """One thread of one simulated process."""

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self.name = name
        self.is_stopped = self.is_doomed = self.has_ended = False
        self.is_slow = False
        self.run = run
        self.turn = threading.Lock()
        self.turn.acquire()


class Schedule:
    """Decides who goes on. Only the holder of the baton may call anything here."""

    def __init__(self, seed: int, *, stay: float = STAY) -> None:
        self.random = random.Random(seed)
        self.steps = 0
        self.switches = 0
        self._stay = stay
        self._tasks: list[Task] = []
        self._current: Task | None = None
        self._world = threading.Lock()
        self._world.acquire()
        self._left = 0
        self._failure: BaseException | None = None

    @property
    def tasks(self) -> Sequence[Task]:
        """Those that have not ended."""
        return self._tasks

    @property
    def current(self) -> str:
        """The name of the task that has the baton; "" for the world."""
        return self._current.name if self._current is not None else ""

    def start(self, name: str, run: Callable[[], None]) -> Task:
        """A new task; it begins when the baton comes to it. `run` ends by returning or SimulatedCrash."""
        task = Task(name, run)
        self._tasks.append(task)
        threading.Thread(target=self._live, args=(task,), name=name, daemon=True).start()
        return task

    def run(self, steps: int) -> None:
        """Let the tasks go on for `steps` pauses, or until none can. Raises what one of them raised."""
        self._left = steps
        share = self.random.choice([0.0, 0.0, 0.3, 0.7])
        for task in self._tasks:
            task.is_slow = self.random.random() < share
        following = self._pick()
        if following is not None:
            self._hand_over(following)
            self._world.acquire()
            self._current = None
        if self._failure is not None:
            raise self._failure

    def kill(self, task: Task) -> None:
        """SIGKILL: what it does now is its last; its pause raises SimulatedCrash, at once."""
        if task.has_ended:
            return
        task.is_doomed, self._left = True, 0
        self._hand_over(task)
        self._world.acquire()
        self._current = None

    def stop(self, task: Task) -> None:
        """SIGSTOP: it keeps all that it believes, and is not told that time passes."""
        task.is_stopped = True

    def go_on(self, task: Task) -> None:
        """SIGCONT."""
        task.is_stopped = False

    def pause(self, name: str = "") -> None:
        """Where others may go on. Called by the world it does nothing: it chooses by itself."""
        me = self._current
        if me is None:
            return
        if me.is_doomed:
            raise SimulatedCrash(f"{me.name} was killed")
        self.steps += 1
        self._left -= 1
        if self._left > 0 and self.random.random() < (SLOW if me.is_slow else self._stay):
            return
        following = self._pick()
        if following is me:
            return
        self._hand_over(following)
        me.turn.acquire()
        if me.is_doomed:
            raise SimulatedCrash(f"{me.name} was killed")

    def close(self) -> None:
        """Kill everything, so that no thread is left."""
        for task in list(self._tasks):
            self.kill(task)

    def _live(self, task: Task) -> None:
        task.turn.acquire()
        try:
            if not task.is_doomed:
                task.run()
        except SimulatedCrash:
            pass
        except BaseException as error:  # noqa: BLE001 - the world raises it
            self._failure, self._left = self._failure or error, 0
        task.has_ended = True
        self._tasks.remove(task)
        self._hand_over(self._pick())

    def _pick(self) -> Task | None:
        """Who goes on; None: the world."""
        if self._left <= 0:
            return None
        ready = [task for task in self._tasks if not task.is_stopped]
        fast = [task for task in ready if not task.is_slow]
        if fast and self.random.random() >= SLOW:
            return self.random.choice(fast)
        return self.random.choice(ready) if ready else None

    def _hand_over(self, task: Task | None) -> None:
        self.switches += 1
        self._current = task
        (self._world if task is None else task.turn).release()


class SkewedClock(ManualClock):
    """What one process takes for the time: that of the world, wrong by a constant."""

    def __init__(self, world: ManualClock, skew: float, pause: Callable[[], None]) -> None:
        super().__init__()
        self._world = world
        self._skew = skew
        self._pause = pause

    def now_ms(self) -> int:
        return self._world.now_ms() + round(self._skew * 1000)

    def monotonic(self) -> float:
        return self._world.monotonic()

    def advance(self, seconds: float) -> None:
        self._world.advance(seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Others go on meanwhile, and time with them."""
        if not event.is_set():
            self.advance(min(seconds, 0.1))
            self._pause()
        return event.is_set()


class Baton:
    """In place of a lock that a task may hold while it pauses: who waits for it lets others go on."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._holder: int | None = None
        self._depth = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        me = threading.get_ident()
        while self._holder not in {None, me}:
            if not blocking:
                return False
            self._schedule.pause()
        self._holder, self._depth = me, self._depth + 1
        return True

    def release(self) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._holder = None

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()
