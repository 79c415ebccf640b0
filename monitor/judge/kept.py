"""Verdicts as they are remembered: hundreds for every window name, of which all but the newest are hardly ever read."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import msgspec

from monitor.judge.record import from_json, number_from_json, to_json
from monitor.verdict import State, Verdict

LEVEL = 1
"""Of zlib: 33 kB of 24 features become 6 to 8 kB in 0.07 ms. Level 6 takes nearly three times as long for 6 % less."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is asked of many verdicts at a time, and all of it as packed JSON values. Immutable.

    A verdict of 24 features and its JSON values are 190 kB as objects, 38 MB for 200 of them, and memory
    would grow for as long as it takes to judge as many windows. Packed it is 8 kB.
    """

    window: str
    start: int
    end: int
    revision: int
    state: State
    rows: int
    alpha: float
    early_alpha: float
    parts: int
    """Rows of all segments."""
    packed: bytes

    @classmethod
    def of(cls, verdict: Verdict) -> Self:
        return cls.read(to_json(verdict))

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """From what `to_json` made. KeyError when a field is missing that is asked for here."""
        return cls(
            window=sys.intern(body["window"]),
            start=body["start"],
            end=body["end"],
            revision=body["revision"],
            state=State(body["state"]),
            rows=body["rows"],
            parts=sum(segment["rows"] for segment in body.get("segments", ())),
            alpha=number_from_json(body["alpha"]),
            early_alpha=number_from_json(body.get("early_alpha", 0.0)),
            packed=zlib.compress(msgspec.msgpack.encode(body), LEVEL),
        )

    def body(self) -> dict[str, Any]:
        """What `to_json` made, anew each time: 0.15 ms for 24 features, 3 ms for 500."""
        body: dict[str, Any] = msgspec.msgpack.decode(zlib.decompress(self.packed))
        return body

    def verdict(self) -> Verdict:
        """The verdict, equal to the one that was given. KeyError when a field is missing."""
        return from_json(self.body())

    def bare(self) -> Self:
        """Without tests, scores of any kind, diagnosis and the features that could not be judged.

        The estimate stays: labels may come weeks later, and it is held against what they say.
        """
        segments = [{**segment, "tests": []} for segment in self.body().get("segments", ())]
        none: dict[str, Any] = {
            "tests": [],
            "scores": {},
            "blind": [],
            "diagnosis": {},
            "beside": [],
            "compat": {},
        }
        return type(self).read(self.body() | none | {"segments": segments})
