"""When an open loop sends: a Poisson process, as independent clients make it. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator


def arrivals(rate: float, seconds: float, *, seed: int) -> Iterator[float]:
    """The times, from 0 to `seconds`, of a Poisson process of so many events per second."""
    chance = random.Random(seed)
    now = chance.expovariate(rate)
    while now < seconds:
        yield now
        now += chance.expovariate(rate)
