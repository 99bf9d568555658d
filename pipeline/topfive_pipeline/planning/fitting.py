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
PAIR: Final = 2
"""Connections of the load that shows how threads are placed: it never needs more than two cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Of the real server: `capacity`, answers a second to so many `connections`; `lone` and `pair`, seconds.

    `lone`: latencies of requests that met no other, perhaps none. `pair`: the mean of a closed loop of two; 0 if it was
    not measured. `machine_cores`: the machine's, of which the server may use fewer.
    """

    capacity: float
    lone: Sequence[float]
    pair: float
    connections: int
    machine_cores: int


def shared_with_client(costs: Costs) -> Costs:
    """The same on a machine on which the load generator runs too: it is a part of what each request takes."""
    return replace(costs, loop_seconds=costs.loop_seconds + costs.client_seconds)


def fitted(costs: Costs, seen: Seen) -> Costs:
    """`costs`, with what is computed made longer, and what a lone image takes, until the simulation fits `seen`."""
    costs = as_fast(costs, seen)
    if seen.lone:
        costs = _as_lone(costs, seen)
    return replace(costs, misplaced=_misplaced(costs, seen))


def _as_lone(costs: Costs, seen: Seen) -> Costs:
    prepared = fmean(kind.resize_alone_seconds if costs.alone else kind.resize_seconds for kind in costs.kinds) + fmean(
        kind.decode_seconds for kind in costs.kinds
    )
    beyond = costs.loop_seconds + costs.client_seconds + prepared
    if costs.alone:
        least = min(costs.alone) / costs.cores
        return replace(costs, alone=tuple(max(latency - beyond, least) for latency in seen.lone))
    return replace(costs, fixed_seconds=max(0.0, median(seen.lone) - beyond - costs.batch_seconds[1]))


def _misplaced(costs: Costs, seen: Seen) -> float:
    """How often threads share a core, so that two requests at once take as long as they were seen to."""
    low, high = 0.0, 1.0
    if not seen.pair or seen.machine_cores == 1 or _pair(costs, seen) >= seen.pair:
        return 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _pair(replace(costs, misplaced=middle), seen) < seen.pair else (low, middle)
    return (low + high) / 2


def _pair(costs: Costs, seen: Seen) -> float:
    site = Site(costs=shared_with_client(costs), machine_cores=seen.machine_cores)
    found = closed(site, connections=PAIR, seconds=_SIMULATED * seen.pair / PAIR)
    return fmean(latency for _, latency in found.answers if latency is not None)


def as_fast(costs: Costs, seen: Seen, *, replicas: int = 1) -> Costs:
    """`costs`, with all that is computed as much longer or shorter as it takes for the capacity that was seen.

    `replicas`: how many servers had it together.
    """
    low, high = _FACTORS
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        scaled = shared_with_client(costs.scaled(middle))
        site = Site(costs=scaled, replicas=replicas, machine_cores=seen.machine_cores)
        found = closed(site, connections=seen.connections, seconds=_SIMULATED / seen.capacity)
        low, high = (middle, high) if found.rate > seen.capacity else (low, middle)
    return costs.scaled(math.sqrt(low * high))
