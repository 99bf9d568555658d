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
_TURNS: Final = 2
"""Of fitting the most that the server does and then how cold small batches are, since each changes the other."""
PAIR: Final = 2
"""Connections of the load that shows how threads are placed: it never needs more than two cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lone:
    """Of requests that mostly met no other, in seconds, by the server's own clock: the mean of each of its stages.

    `latencies`: those of requests that met no other at all, by the client's clock; perhaps none.
    """

    latencies: Sequence[float]
    decode: float
    resize: float
    inference: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Of the real server: `capacity`, answers a second to so many `connections`; `pair`, seconds; what is `lone`.

    `pair`: the mean latency of a closed loop of two; 0 if it was not measured. `effort`: how many times as many core
    seconds an answer took of the server in that loop as at its capacity; 0 likewise. `machine_cores`: the machine's, of
    which the server may use fewer.
    """

    capacity: float
    pair: float
    connections: int
    machine_cores: int
    effort: float = 0.0
    lone: Lone | None = None


def shared_with_client(costs: Costs) -> Costs:
    """The same on a machine on which the load generator runs too: it is a part of what each request takes."""
    return replace(costs, loop_seconds=costs.loop_seconds + costs.client_seconds)


def fitted(costs: Costs, seen: Seen) -> Costs:
    """`costs`, with stages as they were in the server, changed until the simulation does what was `seen` of it."""
    if seen.lone is not None and seen.lone.latencies:
        costs = _as_lone(costs, seen.lone)
    for _ in range(_TURNS if seen.effort and costs.alone else 0):
        costs = _as_cold(as_fast(costs, seen), seen)  # which changes how fast it is
    return placed(as_fast(costs, seen), seen)


def _as_lone(costs: Costs, lone: Lone) -> Costs:
    """`costs`, with the stages that a lone image goes through as long as they were in the server."""
    shares = [kind.share for kind in costs.kinds]
    decoded = fmean([kind.decode_seconds for kind in costs.kinds], shares)
    resized = fmean([kind.resize_alone_seconds if costs.alone else kind.resize_seconds for kind in costs.kinds], shares)
    decoding, resizing = _times(lone.decode, decoded), _times(lone.resize, resized)
    kinds = tuple(kind.scaled(decoding=decoding, resizing=resizing) for kind in costs.kinds)
    usual = median(lone.latencies)
    computed = lone.decode + lone.resize + lone.inference + costs.loop_seconds + costs.client_seconds
    costs = replace(costs, kinds=kinds, fixed_seconds=max(0.0, usual - computed))
    if not costs.alone:
        return replace(costs, cold_seconds=max(0.0, lone.inference - costs.batch_seconds[1]))
    least = min(costs.alone) / costs.cores
    return replace(costs, alone=tuple(max(least, latency - usual + lone.inference) for latency in lone.latencies))


def _times(seen: float, by_itself: float) -> float:
    return seen / by_itself if seen and by_itself else 1.0


def _as_cold(costs: Costs, seen: Seen) -> Costs:
    """`costs`, with batches so cold that an answer takes as much more work where they are small as was seen."""
    low, high = 0.0, costs.batch_seconds[1]
    for _ in range(_STEPS):
        middle = (low + high) / 2
        is_low = _effort(replace(costs, cold_seconds=middle), seen) < seen.effort
        low, high = (middle, high) if is_low else (low, middle)
    return replace(costs, cold_seconds=(low + high) / 2)


def _effort(costs: Costs, seen: Seen) -> float:
    site = Site(costs=shared_with_client(costs), machine_cores=seen.machine_cores)
    pair, most = (
        found.busy * seen.machine_cores / found.rate - costs.client_seconds
        for found in (
            closed(site, connections=connections, seconds=_SIMULATED / seen.capacity)
            for connections in (PAIR, seen.connections)
        )
    )
    return pair / most


def placed(costs: Costs, seen: Seen, *, replicas: int = 1) -> Costs:
    """`costs`, with threads sharing a core so often that two requests at once take as long as they were seen to.

    `replicas`: how many servers had the two.
    """
    costs = replace(costs, misplaced=0.0)
    if not seen.pair or seen.machine_cores == 1 or _pair(costs, seen, replicas) >= seen.pair:
        return costs
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        is_low = _pair(replace(costs, misplaced=middle), seen, replicas) < seen.pair
        low, high = (middle, high) if is_low else (low, middle)
    return replace(costs, misplaced=(low + high) / 2)


def _pair(costs: Costs, seen: Seen, replicas: int) -> float:
    site = Site(costs=shared_with_client(costs), replicas=replicas, machine_cores=seen.machine_cores)
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
