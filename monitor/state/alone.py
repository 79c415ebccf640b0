"""What a state log of a single process has to say of others."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from monitor.names import Source


class Alone:
    """The part of `StateLog` that is about sharing, where nobody else is there. `term` is its host's."""

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

    def release(self, source: Source) -> None:
        """Nothing is held."""
