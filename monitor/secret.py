"""Secrets that are read when they are used, so that a rotated file needs no restart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A secret given as a value or as a file. Never shown: `repr` is `<secret>`."""

    value: str = ""
    file: str = ""

    def reveal(self) -> str:
        """The secret; a file is read anew each time, one trailing newline is dropped.

        Raises OSError when the file cannot be read.
        """
        if self.file:
            return Path(self.file).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
        return self.value

    def __bool__(self) -> bool:
        return bool(self.value or self.file)

    def __repr__(self) -> str:
        return "<secret>" if self else "<no secret>"

    __str__ = __repr__
