"""What the tokens of a model's records mean: slots of categories, names of versions, models."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernels import program as p
from kernels.intern import insert_entries, token_hash
from kernels.program import Program
from kernels.words import PADDING
from monitor.intake.leaves import Place

Meaning = tuple[int, str | None]
"""The code that stands in columns, and the name where somebody needs it."""

Reader = Callable[[object], Meaning]

_DECODE = msgspec.json.Decoder(str | int | float | bool).decode


class Tokens:
    """Tokens that were met, each with a number, its entry. Entry 0 is null and what is absent.

    A token is text as it stands in records: `"DE"`, `17`, `true`. The same category may have several.
    Tokens that name known categories are there from the beginning; others are remembered as they are
    met, at most MOST_ENTRIES, then those are forgotten. One per model; ingest thread only.
    """

    def __init__(self, program: Program, readers: Sequence[Sequence[Reader]]) -> None:
        """`readers` of each row of `tokens` say what a value, or None, means to them."""
        self.program = program
        self._readers = readers
        self._absent = [[read(None) for read in row] for row in readers]
        self._known: list[tuple[int, bytes]] = []
        self._foreseen = 0
        """Bytes of these."""
        self._numbers: dict[tuple[int, bytes], int] = {}
        most = max(map(len, readers), default=0)
        self._codes = np.zeros((most, 64), np.int32)
        self._named = np.zeros((most, 64), np.bool_)
        self._names: list[tuple[str | None, ...]] = []
        self._used = 0
        self._forget()

    def know(self, row: int, token: bytes) -> int:
        """The entry of a token that is never forgotten."""
        self._known.append((row, token))
        self._foreseen += len(token)
        return self._enter(row, token)

    def codes(self, place: Place, entries: NDArray[np.int32]) -> NDArray[np.int32]:
        """The code of each entry for one reader."""
        row, reader = place
        codes: NDArray[np.int32] = self._codes[reader][entries]
        if self._absent[row][reader][0]:
            codes[entries == 0] = self._absent[row][reader][0]
        return codes

    def has_names(self, place: Place, entries: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which entries have a name that the reader needs."""
        named: NDArray[np.bool_] = self._named[place[1]][entries]
        return named

    def name(self, place: Place, entry: int) -> str:
        """The name of an entry, that of null where it is 0."""
        row, reader = place
        return (self._absent[row][reader][1] if entry == 0 else self._names[entry][reader]) or ""

    def resolve(
        self, row: int, entries: NDArray[np.int32], missed: NDArray[np.int64], data: NDArray[np.uint8]
    ) -> None:
        """Replace negative `entries`, which the scanner left, by entries of their own.

        missed  int64[misses, 2]   start and end in `data` of miss k, which is entry -1 - k
        """
        for at in np.flatnonzero(entries < 0).tolist():
            start, end = missed[-1 - int(entries[at])].tolist()
            token = data[start:end].tobytes()
            number = self._numbers.get((row, token))
            entries[at] = self._enter(row, token) if number is None else number

    def trim(self) -> None:
        """Forget what was met where it is too much; between batches, whose entries are numbers of ours.

        Known tokens do not count: a wide model has more of them than that, and none can be forgotten.
        """
        entries = len(self._names) - len(self._known)
        if entries > p.MOST_ENTRIES or self._used - self._foreseen > p.MOST_TEXT:
            self._forget()

    def _enter(self, row: int, token: bytes) -> int:
        entry = len(self._names)
        value = _DECODE(token)
        meanings = [read(value) for read in self._readers[row]]
        if entry >= self._codes.shape[1]:
            self._codes = np.concatenate([self._codes, np.zeros_like(self._codes)], axis=1)
            self._named = np.concatenate([self._named, np.zeros_like(self._named)], axis=1)
        for reader, (code, name) in enumerate(meanings):
            self._codes[reader, entry] = code
            self._named[reader, entry] = name is not None
        self._names.append(tuple(name for _, name in meanings))
        self._numbers[row, token] = entry
        self._store(entry, row, token)
        return entry

    def _store(self, entry: int, row: int, token: bytes) -> None:
        """Let the scanner find the entry itself."""
        program = self.program
        text, entries, table = program.text, program.entries, program.table
        if self._used + len(token) + PADDING > len(text):
            text = np.zeros(2 * (self._used + len(token) + PADDING), np.uint8)
            text[: self._used] = program.text[: self._used]
        if 4 * (entry + 1) > len(entries):
            entries = np.concatenate([entries, np.zeros_like(entries)])
        text[self._used : self._used + len(token)] = np.frombuffer(token, np.uint8)
        found = token_hash(text, self._used, len(token), row)
        entries[4 * entry : 4 * entry + 4] = self._used, len(token), row, found
        self._used += len(token)
        if 2 * (entry + 1) > len(table):
            table = np.zeros(4 * len(table), np.int32)
            insert_entries(table, entries, 1, entry)
        insert_entries(table, entries, entry, entry + 1)
        self.program = program._replace(text=text, entries=entries, table=table)

    def _forget(self) -> None:
        self._names = [()]
        self._numbers = {}
        self._used = 0
        self.program.recent[:] = 0
        self.program.templates[:] = 0  # their steps remember entries
        self.program = self.program._replace(
            table=np.zeros(64, np.int32),
            entries=np.zeros(256, np.int64),
            text=np.zeros(1024 + PADDING, np.uint8),
        )
        for row, token in self._known:
            self._enter(row, token)
