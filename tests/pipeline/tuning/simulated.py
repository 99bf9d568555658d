"""Servers that exist only as formulas, under the loads of a tuning: so that what is right is known."""

from __future__ import annotations

import math
from random import Random

from topfive_pipeline.tuning.choosing import Candidate, Contest
from topfive_pipeline.tuning.rounds import Asked
from topfive_pipeline.tuning.settings import Setting
from topfive_pipeline.under_load.latency_objective import Objective
from topfive_pipeline.under_load.load import Capacity, Probe


def latency(rate: float, capacity: float, service: float) -> float:
    """Of all requests alike: as in a queue, it grows without bounds towards the capacity."""
    return service / (1 - rate / capacity) if rate < capacity else math.inf


def rate_at(limit: float, capacity: float, service: float) -> float:
    """The rate at which the latency is `limit`; 0 if it is above it from the beginning."""
    return max(0.0, capacity * (1 - service / limit))


def candidate(number: int) -> Candidate:
    return Candidate(Setting(instances=number, threads=1, max_batch_size=16, delay=0))


class Machine:
    """Measures candidates by their formulas, capacity and service time in seconds, with noise of the share `noise`."""

    def __init__(self, servers: dict[int, tuple[float, float]], *, noise: float = 0.0, seed: int = 0) -> None:
        self.asked: list[tuple[int, int]] = []
        self._servers = servers
        self._noise = noise
        self._chance = Random(seed)

    def __call__(self, each: Candidate, asked: Asked, number: int) -> Capacity | Probe:
        self.asked.append((number, each.setting.instances))
        capacity, service = self._servers[each.setting.instances]
        capacity *= self._chance.lognormvariate(0.0, self._noise)
        if asked.rate is None:
            return Capacity(capacity, 0)
        seconds = latency(asked.rate, capacity, service)
        return Probe(asked.rate, (seconds,) * 200 if math.isfinite(seconds) else (), failed=0)


def contest(machine: Machine, objective: Objective) -> tuple[Contest, list[Candidate]]:
    """A contest over all servers of `machine`, and the candidates besides the first, which is what is there."""
    first, *others = [candidate(number) for number in machine._servers]
    return Contest(first, objective, machine), others
