"""The schedule of an open loop: a Poisson process, as of independent clients, and the order of requests. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator


def arrivals(rate: float, seconds: float, *, seed: int) -> Iterator[float]:
    """The times, from 0 to `seconds`, of a Poisson process with `rate` events per second."""
    chance = random.Random(seed)
    now = chance.expovariate(rate)
    while now < seconds:
        yield now
        now += chance.expovariate(rate)


def order(count: int, *, seed: object) -> Iterator[int]:
    """The indices of `count` requests, without end: all of them in random order, then all in another order.

    So all are sent equally often, and windows do not differ because of what was drawn.
    """
    chance = random.Random(f"order {seed}")
    while True:
        yield from chance.sample(range(count), count)
