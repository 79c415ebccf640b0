"""What a state log of a single process has to say of others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Protocol

from monitor.names import Source
from monitor.state.log import Checkpoint, Recovering


class Recovers(Protocol):
    """What the host of `Alone` has."""

    def recover(self, source: Source) -> Checkpoint | None: ...


class Alone:
    """The part of `StateLog` that is about sharing, where nobody else is there."""

    term: int

    def attend(self) -> None:
        """Every model is ours."""

    @property
    def is_settled(self) -> bool:
        return True

    def terms(self, models: Collection[str]) -> Mapping[str, int]:
        return dict.fromkeys(models, self.term)

    def refused(self, models: Collection[str]) -> Mapping[str, str]:
        return {}

    def recovering(self: Recovers, sources: Collection[Source]) -> Iterator[Recovering]:
        return ((source, partial(self.recover, source)) for source in sources)

    def store_anew(self, topics: Collection[str]) -> None:
        """There are none."""

    def lacks(self, source: Source) -> bool:
        return False

    def release(self, source: Source) -> None:
        """Nothing is held."""
