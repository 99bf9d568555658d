"""Fits what the stages by themselves do not tell: the simulation shall do what the real server was seen to do. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Final

from topfive_pipeline.planning.costs import Costs
from topfive_pipeline.planning.fleet import Site
from topfive_pipeline.planning.simulation import closed

_STEPS: Final = 8
_FACTORS: Final = (0.5, 2.0)
_SIMULATED: Final = 1500
"""Requests of a simulation while fitting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Of the real server: `capacity`, answers a second to so many `connections`; and `lone` latencies, perhaps none.

    Those are of requests that met no other. `machine_cores`: the machine's, of which the server may use fewer.
    """

    capacity: float
    lone: Sequence[float]
    connections: int
    machine_cores: int


def shared_with_client(costs: Costs) -> Costs:
    """The same on a machine on which the load generator runs too: it is a part of what each request takes."""
    return replace(costs, loop_seconds=costs.loop_seconds + costs.client_seconds)


def fitted(costs: Costs, seen: Seen) -> Costs:
    """`costs`, with what is computed made longer, and what a lone image takes, until the simulation fits `seen`."""
    costs = costs.scaled(_factor(costs, seen))
    if not seen.lone:
        return costs
    prepared = fmean(kind.resize_alone_seconds if costs.alone else kind.resize_seconds for kind in costs.kinds) + fmean(
        kind.decode_seconds for kind in costs.kinds
    )
    beyond = costs.loop_seconds + costs.client_seconds + prepared
    if costs.alone:
        return replace(
            costs, alone=tuple(max(latency - beyond, min(costs.alone) / costs.cores) for latency in seen.lone)
        )
    return replace(costs, fixed_seconds=max(0.0, median(seen.lone) - beyond - costs.batch_seconds[1]))


def _factor(costs: Costs, seen: Seen) -> float:
    low, high = _FACTORS
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        site = Site(costs=shared_with_client(costs.scaled(middle)), machine_cores=seen.machine_cores)
        found = closed(site, connections=seen.connections, seconds=_SIMULATED / seen.capacity)
        low, high = (middle, high) if found.rate > seen.capacity else (low, middle)
    return math.sqrt(low * high)
