"""Which replica judges which model, what each compared with online stores, and which models it was prompted to ask
registries for, as they tell each other through the state log."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from monitor.clock import Clock
from monitor.consistency.tallies import Tallies
from monitor.registry.prompts import Prompts
from monitor.state.log import StateLog
from monitor.verdict import State
from monitor.view import Elsewhere, ModelView

EVERY = 5.0
"""Seconds between two notices of a replica: as often as its own page is renewed without a verdict."""
SOON = 1.0
"""Seconds between two notices where one of them has a prompt that the others do not know yet."""
COMPARED, PROMPTED = "compared", "prompted"
"""Keys of a notice for what goes beside models."""
WORST = (State.DRIFT, State.WARN, State.UNKNOWN, State.OK)


class Notices:
    """`tick` belongs to the evaluate thread; `of` is for all."""

    def __init__(
        self, state: StateLog, clock: Clock, *, stall: int, tallies: Tallies, prompts: Prompts
    ) -> None:
        """`stall`: ms after which one that says nothing is gone."""
        self.replica = ""
        """Host and port of our page, once it is known."""
        self._state = state
        self._clock = clock
        self._stall = stall
        self._tallies = tallies
        self._prompts = prompts
        self._told = clock.monotonic() - EVERY

    def tick(self, models: Mapping[str, ModelView]) -> None:
        """Hear what others were prompted to, and tell them what is judged here, now and then."""
        if not self.replica:
            return
        others = self._state.announced()
        self._prompts.take(
            (str(one["replica"]), one.get(PROMPTED)) for one in others if one["replica"] != self.replica
        )
        now = self._clock.monotonic()
        if now - self._told < (SOON if self._prompts.is_untold else EVERY):
            return
        self._told = now
        told = {name: _summary(model) for name, model in models.items()}
        notice = {"replica": self.replica, "at": self._clock.now_ms(), "models": told}
        compared, prompted = self._tallies.tell(), self._prompts.tell()
        notice |= {COMPARED: compared} if compared["standings"] else {}
        notice |= {PROMPTED: prompted} if prompted else {}
        self._tallies.take(
            [(int(one["at"]), one[COMPARED]) for one in others if COMPARED in one], self._stall
        )
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
