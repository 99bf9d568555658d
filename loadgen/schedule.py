"""When an open loop sends, a Poisson process, as independent clients make it; and what is next. Pure."""

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


def order(count: int, *, seed: object) -> Iterator[int]:
    """Which of so many requests is next, without end: all of them in random order, then all in another.

    So each is sent as often as any, and windows differ by the server rather than by what was drawn.
    """
    chance = random.Random(f"order {seed}")
    while True:
        yield from chance.sample(range(count), count)
