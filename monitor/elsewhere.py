"""Which replica judges which model, and what each compared with online stores, as they tell each other through the
state log."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from monitor.clock import Clock
from monitor.consistency.tallies import Tallies
from monitor.state.log import StateLog
from monitor.verdict import State
from monitor.view import Elsewhere, ModelView

EVERY = 5.0
"""Seconds between two notices of a replica: as often as its own page is renewed without a verdict."""
WORST = (State.DRIFT, State.WARN, State.UNKNOWN, State.OK)


class Notices:
    """`tick` belongs to the evaluate thread; `of` is for all."""

    def __init__(self, state: StateLog, clock: Clock, *, stall: int, tallies: Tallies | None = None) -> None:
        """`stall`: ms after which one that says nothing is gone."""
        self.replica = ""
        """Host and port of our page, once it is known."""
        self._state = state
        self._clock = clock
        self._stall = stall
        self._tallies = tallies
        self._next = clock.monotonic()

    def tick(self, models: Mapping[str, ModelView]) -> None:
        """Tell the others what is judged here, now and then."""
        if self._clock.monotonic() < self._next or not self.replica:
            return
        self._next = self._clock.monotonic() + EVERY
        told = {name: _summary(model) for name, model in models.items()}
        notice = {"replica": self.replica, "at": self._clock.now_ms(), "models": told}
        if self._tallies is not None:
            compared = self._tallies.tell()
            notice |= {"compared": compared} if compared["standings"] else {}
            others = [one for one in self._state.announced() if "compared" in one]
            self._tallies.take([(int(one["at"]), one["compared"]) for one in others], self._stall)
        self._state.announce(notice)

    def of(self, models: Collection[str]) -> tuple[Elsewhere, ...]:
        """What others say of `models`, by name; of two that name one model the later is believed."""
        found = {name: Elsewhere(name) for name in models}
        since = self._clock.now_ms() - self._stall
        for notice in self._state.announced():
            replica, at = str(notice["replica"]), int(notice["at"])
            for name, told in notice["models"].items():
                if name in found and at >= max(since, found[name].told) and replica != self.replica:
                    found[name] = Elsewhere(
                        name, replica, str(told["state"]), int(told["end"]), int(told["incidents"]), at
                    )
        return tuple(found[name] for name in sorted(found))


def _summary(model: ModelView) -> dict[str, Any]:
    verdicts = model.latest.values()
    return {
        "state": str(min((verdict.state for verdict in verdicts), key=WORST.index, default=State.UNKNOWN)),
        "end": max((verdict.end for verdict in verdicts), default=-1),
        "incidents": sum(incident.get("state") == "firing" for incident in model.incidents),
    }
