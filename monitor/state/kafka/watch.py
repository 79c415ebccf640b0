"""Whether the topics that we write to are there, while the daemon runs."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import structlog

from monitor.clock import Clock
from monitor.errors import StateError
from monitor.state.kafka.admin import Standing, TopicAdmin
from monitor.state.kafka.commands import create_command, mend_command
from monitor.state.kafka.topics import TopicSpec, missing, wrong

log = structlog.get_logger(__name__)

EVERY = 30.0
"""Seconds between looks. Each is a request or two."""
AGAIN = 2.0
"""Seconds between looks while one is not as it has to be, or nothing becomes durable."""
_TURN = 0.5
"""Seconds between looks at the clock: trouble that has just begun is looked into soon."""


class TopicWatch:
    """Tells of each topic that is lacking once, with the command that creates it, and once more when it is there.

    Has a thread of its own, as brokers that do not answer take their time. Creates nothing: who deletes topics of a
    daemon that runs may mean it.
    """

    def __init__(
        self,
        properties: Callable[[], Mapping[str, Any]],
        wanted: Callable[[], Sequence[TopicSpec]],
        *,
        clock: Clock,
        refusal: Callable[[], str] = lambda: "",
        beside: Callable[[], Sequence[TopicSpec]] = lambda: (),
        renewed: Callable[[Collection[str]], None] = lambda _: None,
    ) -> None:
        """`refusal`: why nothing becomes durable, "" where it does. `beside` are topics that may not be there before
        they are written to, as a broker may create them then: they are looked for while there is a refusal.

        `renewed` is told of topics that were made anew, and may raise StateError: then it is told again."""
        self.lacking: Mapping[str, str] = {}
        """Topic → the command that creates or mends it, or a sentence where none does. Replaced whole."""
        self._properties = properties
        self._wanted = wanted
        self._beside = beside
        self._refusal = refusal
        self._clock = clock
        self._renewed = renewed
        self._ids: dict[str, str] = {}
        """Which topic each name stood for."""
        self._admin: TopicAdmin | None = None
        self._looked = -math.inf

    def start(self, ended: threading.Event) -> None:
        """Look until `ended`. Nobody waits for the thread: it writes nothing."""
        threading.Thread(target=self._run, args=(ended,), name="topic-watch", daemon=True).start()

    def _run(self, ended: threading.Event) -> None:
        while not self._clock.wait(ended, _TURN):
            is_wanted = bool(self.lacking) or bool(self._refusal())
            if self._clock.monotonic() - self._looked >= (AGAIN if is_wanted else EVERY):
                self.look()
                self._looked = self._clock.monotonic()

    def look(self) -> None:
        """Look now. Where the brokers do not answer, what was known stands: others tell of them."""
        wanted = [*self._wanted(), *(self._beside() if self._refusal() else ())]
        if not wanted and not self.lacking:
            return
        try:
            if self._admin is None:
                self._admin = TopicAdmin(self._properties(), clock=self._clock)
            standing = self._admin.look(wanted)
        except (StateError, OSError) as error:
            log.debug("topics_not_looked_at", reason=str(error))
            return
        self._tell(_lacking(wanted, standing, self._admin.where))
        self._note_renewed({name: state.id for name, state in standing.found.items() if state.id})

    def _note_renewed(self, ids: Mapping[str, str]) -> None:
        names = sorted(name for name, id_ in ids.items() if self._ids.get(name, id_) != id_)
        if names:
            log.warning("topics_made_anew", topics=names, text="what was in them is written once more")
            try:
                self._renewed(names)
            except StateError as error:
                log.warning("topics_not_written_yet", topics=names, error=str(error))
                return
        self._ids.update(ids)

    def _tell(self, lacking: Mapping[str, tuple[str, str]]) -> None:
        before, self.lacking = self.lacking, {name: command for name, (_, command) in lacking.items()}
        for name in sorted(lacking.keys() - before.keys()):
            text, command = lacking[name]
            log.error("topic_lacking", topic=name, text=text, run=command)
        for name in sorted(before.keys() - lacking.keys()):
            log.info("topic_lacks_no_more", topic=name)


def _lacking(wanted: Sequence[TopicSpec], standing: Standing, where: str) -> dict[str, tuple[str, str]]:
    """What is wrong with each topic, and what mends it."""
    absent = [spec for spec in missing(wanted, standing.found) if spec.name not in standing.hidden]
    found = {
        spec.name: ("the topic is missing; an administrator creates it", create_command(spec, where))
        for spec in absent
    }
    for fault in wrong(wanted, standing.found):
        found[fault.topic] = (fault.text, mend_command(fault, where))
    return found
