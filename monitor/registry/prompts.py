"""Models of which a registry has said that something changed: to this process, or to another replica.

A webhook goes to whichever replica the Service picks, and only the one that speaks for the model asks the registry. So
replicas tell each other, with their notices, which models they were prompted to ask for. What is lost on the way costs
no more than the wait for the next poll.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from monitor.clock import Clock

TOLD_FOR = 60_000
"""Ms for which a prompt is told: twelve notices."""


class Prompts:
    """`note` by threads of the web server, `tell` and `take` by the one that judges, the rest by the one that asks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._own: dict[str, int] = {}
        self._heard: dict[tuple[str, str], int] = {}
        """(replica, model) → as it told."""
        self._waiting: set[str] = set()
        self._is_untold = False

    @property
    def is_untold(self) -> bool:
        """Whether there is a prompt that others were not told of."""
        return self._is_untold

    def note(self, models: Iterable[str]) -> None:
        """A webhook about these models came here."""
        with self._lock:
            found = dict.fromkeys(models, self._clock.now_ms())
            self._own.update(found)
            self._waiting.update(found)
            self._is_untold |= bool(found)

    def wants(self, model: str) -> bool:
        """Whether the registry of a model is to be asked now."""
        return model in self._waiting

    def begin(self, model: str) -> None:
        """It is asked now: what comes from here on wants another question."""
        with self._lock:
            self._waiting.discard(model)

    def tell(self) -> dict[str, int]:
        """What belongs into a notice: model → wall time, ms; empty where there is nothing new."""
        since = self._clock.now_ms() - TOLD_FOR
        with self._lock:
            self._is_untold = False
            self._own = {model: at for model, at in self._own.items() if at >= since}
            return dict(self._own)

    def take(self, told: Iterable[tuple[str, Any]]) -> None:
        """What others tell, all of it, by replica; it is untrusted. What was heard before prompts nothing."""
        heard = {}
        for replica, prompts in told:
            for model, at in prompts.items() if isinstance(prompts, dict) else ():
                if isinstance(at, int):
                    heard[replica, str(model)] = at
        with self._lock:
            self._waiting.update(
                model for (replica, model), at in heard.items() if self._heard.get((replica, model)) != at
            )
            self._heard = heard
