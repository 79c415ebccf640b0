"""Flights of the same shape from a generator, for machines without the real ones."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from monitor.demo.flights import Flight, landing

PER_DAY = 900
MILES_A_MINUTE = 7.0
HELD = 25.0
"""Minutes that a blizzard holds up what has departed, which the model does not know."""
CARRIERS = (("UA", 0.18), ("B6", 0.17), ("EV", 0.16), ("DL", 0.14), ("AA", 0.10), ("MQ", 0.08), ("US", 0.07),
            ("9E", 0.05), ("WN", 0.03), ("VX", 0.02))  # fmt: skip
DESTINATIONS = ("ATL", "ORD", "LAX", "BOS", "MCO", "CLT", "SFO", "FLL", "MIA", "DCA", "DTW", "DFW", "RDU",
                "TPA", "DEN", "IAH", "MSP", "PBI", "BNA", "LAS")  # fmt: skip


def read(days: list[tuple[int, int]], *, seed: int = 2013) -> list[Flight]:
    """Flights of the given (month, day) of 2013; 8 and 9 February lose half their departures, and the others arrive late."""
    generator = np.random.Generator(np.random.Philox(seed))
    flights = [flight for month, day in days for flight in _day(month, day, generator)]
    return sorted(flights, key=lambda flight: (flight.time, flight.number))


def _day(month: int, day: int, generator: np.random.Generator) -> list[Flight]:
    names, shares = zip(*CARRIERS, strict=True)
    is_blizzard = (month, day) in {(2, 8), (2, 9)}
    cancelled, held = (0.55, HELD) if is_blizzard else (0.02, 0.0)
    flights = []
    for number in range(PER_DAY):
        minute = int(np.clip(generator.normal(840, 270), 300, 1439))
        local = datetime(2013, month, day, minute // 60, minute % 60, tzinfo=ZoneInfo("America/New_York"))
        delay = None if generator.random() < cancelled else round(float(generator.exponential(25)) - 8)
        dest = int(generator.integers(len(DESTINATIONS)))
        time, distance = round(local.timestamp() * 1000), float(200 + 120 * dest)
        flights.append(
            Flight(
                time=time,
                month=month,
                day=day,
                carrier=str(generator.choice(names, p=np.array(shares) / sum(shares))),
                origin=("EWR", "JFK", "LGA")[int(generator.integers(3))],
                dest=DESTINATIONS[dest],
                sched_dep_time=minute // 60 * 100 + minute % 60,
                distance=distance,
                dep_delay=delay,
                arr_delay=None if delay is None else delay + round(float(generator.normal(held - 5, 12))),
                landed=None if delay is None else landing(time, delay, distance / MILES_A_MINUTE),
                tailnum_present=bool(generator.random() < 0.99),
                number=number,
            )
        )
    return flights
