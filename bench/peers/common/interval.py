"""Seconds and processor seconds between the first and the last record of a stream."""

from __future__ import annotations

import time


class Interval:
    """Told of every record, or of every batch of them; `done` once `count` were seen.

    Starting a consumer and joining its group lie before the first record and are not timed.
    """

    def __init__(self, count):
        self.count = count
        self.seen = 0
        self.began = self.ended = None

    def add(self, records=1):
        if self.began is None:
            self.began = (time.perf_counter(), time.process_time())
        self.seen += records
        if self.seen >= self.count and self.ended is None:
            self.ended = (time.perf_counter(), time.process_time())

    @property
    def done(self):
        return self.ended is not None

    def answer(self):
        """What a program's `run` returns."""
        if self.began is None or self.ended is None:
            raise RuntimeError(f"{self.seen} of {self.count} records came")
        seconds, cpu = (b - a for a, b in zip(self.began, self.ended, strict=True))
        return {"seconds": seconds, "cpu": cpu, "records": self.seen}
