"""Finds how many servers hold an objective, by simulating them; and what happens when one is lost, and in a rollout.

What lives here: which simulations are run. What does not: what they cost to buy, and how it is told
(`planning.contents`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.planning.costs import Costs
from topfive_pipeline.planning.fleet import Loss, Policy, Rollout, Site
from topfive_pipeline.planning.simulation import WARM, Arrival, Simulated, opened, poisson
from topfive_pipeline.planning.traces import Trace
from topfive_pipeline.under_load.latency_objective import Objective
from topfive_pipeline.under_load.load import Probe

Progress = Callable[[str], None]
REQUESTS: Final = 8_000
"""Of a simulation: a p99 then has 80 requests beyond it."""
SLICE: Final = 12
"""Servers that are simulated. Of a larger fleet so many stand for all: with more, hardly anything changes any more."""
SHARES: Final = (0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25)
"""Of the planned rate: where the curve of the latency is simulated."""
_MOST_REPLICAS: Final = 100_000
_AFTER_SECONDS: Final = 10.0
"""What counts as "while it happens", from the second of a loss on."""
_AT_SECONDS: Final = 2.0
"""When something happens: the queues are then as they usually are."""
_DRAIN_SECONDS: Final = 1.0
"""At most, until a server has answered what it had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is to be served: `rate` images a second as independent clients send them, or as a `trace`, and how fast.

    `headroom`: the share of the rate that a fleet must bear beyond it, for what a simulation does not know.
    """

    rate: float
    objective: Objective
    headroom: float = 0.2
    trace: Trace | None = None
    policy: Policy = "least_conn"

    def arrivals(self, costs: Costs, *, share: float, seed: int) -> tuple[Iterable[Arrival], float]:
        """The traffic for that `share` of the fleet, and how many seconds it lasts."""
        rate = self.rate * share
        if self.trace is None:
            seconds = max(REQUESTS / rate, _SHORTEST)
            return poisson(costs.kinds, rate=rate, seconds=seconds, seed=seed), seconds
        times = rate / self.trace.rate
        return self.trace.arrivals(costs.kinds, times=times, seed=seed), self.trace.seconds / times


_SHORTEST: Final = 4.0
"""Seconds of a simulation: many times what a request takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One way to serve the demand: servers of `costs`, and what they do at the planned rate (`probe`).

    `replicas` is 0 if no number of them holds the objective. `busy`: the share of their cores.
    """

    costs: Costs
    replicas: int
    gpus: int
    probe: Probe
    busy: float

    @property
    def cores(self) -> int:
        """Of all servers."""
        return self.replicas * self.costs.cores


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The plan. `options` in the order in which they were asked for; `chosen`: the one with the fewest cores, if any.

    `curve`: what the chosen fleet does at shares of the rate. `lost`: with one server more than it needs, the ten
    seconds from the loss of one on; `rollout`: while all are replaced one by one.
    """

    demand: Demand
    options: Sequence[Option]
    chosen: Option | None
    curve: Sequence[Probe] = field(default_factory=tuple)
    spare: Option | None = None
    lost: Probe | None = None
    rollout: Probe | None = None


def plan(
    demand: Demand, candidates: Sequence[Costs], *, gpus_for: float = 0.0, progress: Progress = lambda _: None
) -> Told:
    """The plan for `demand`, of servers of each of `candidates`; raises `ConfigurationError`.

    `gpus_for`: front ends for each GPU, of candidates that run their batches on one.
    """
    options = [_fewest(demand, costs, gpus_for=gpus_for, progress=progress) for costs in candidates]
    held = [option for option in options if option.replicas]
    if not held:
        return Told(demand=demand, options=options, chosen=None)
    chosen = min(held, key=lambda option: (option.gpus, option.cores, demand.objective.margin(option.probe)))
    curve = []
    for share in SHARES:
        progress(f"latency at {share:.0%} of the rate")
        curve.append(_probe(replace(demand, rate=share * demand.rate), chosen)[0])
    progress("a lost server")
    spare = _with(demand, replace(chosen, replicas=chosen.replicas + 1))
    lost = _while(demand, spare, Loss)
    progress("a rollout")
    rollout = _while(demand, spare, Rollout)
    return Told(demand=demand, options=options, chosen=chosen, curve=curve, spare=spare, lost=lost, rollout=rollout)


def _fewest(demand: Demand, costs: Costs, *, gpus_for: float, progress: Progress) -> Option:
    """The option with the fewest servers that hold the objective; with 0 if none do."""

    def option(replicas: int) -> Option:
        progress(f"{replicas} servers of {costs.cores} cores, batches of {costs.batch_size_that_pays}")
        gpus = math.ceil(replicas / gpus_for) if costs.on_device else 0
        return _with(more, Option(costs=costs, replicas=replicas, gpus=gpus, probe=_NONE, busy=0.0))

    def holds(found: Option) -> bool:
        return demand.objective.margin(found.probe) <= 0

    more = replace(demand, rate=demand.rate * (1 + demand.headroom))
    high = max(1, math.ceil(more.rate * costs.core_seconds / costs.cores))
    low = 0
    while not holds(best := option(high)):
        low, high = high, max(high + 1, math.ceil(high * _MORE))
        if high > _MOST_REPLICAS or (low > 2 and _is_hopeless(demand, best)):
            return replace(best, replicas=0)
    while high - low > 1:
        middle = (low + high) // 2
        if holds(found := option(middle)):
            best, high = found, middle
        else:
            low = middle
    return _with(demand, best)


_MORE: Final = 1.15
_NONE: Final = Probe(0.0, ())
_IDLE: Final = 0.3


def _is_hopeless(demand: Demand, option: Option) -> bool:
    """Whether more servers would not help: these have little to do, and are too slow all the same."""
    return option.busy < _IDLE and not option.probe.failed


def _with(demand: Demand, option: Option) -> Option:
    probe, found = _probe(demand, option)
    return replace(option, probe=probe, busy=found.busy)


def _probe(demand: Demand, option: Option) -> tuple[Probe, Simulated]:
    site, share = _site(demand, option)
    arrivals, seconds = demand.arrivals(option.costs, share=share, seed=1)
    found = opened(site, arrivals, after=WARM * seconds, seed=1)
    return found.probe(demand.rate), found


def _site(demand: Demand, option: Option, *events: Loss | Rollout) -> tuple[Site, float]:
    """What is simulated of the fleet, and which share of it that is."""
    replicas = min(option.replicas, SLICE)
    share = replicas / option.replicas
    gpus = max(1, round(option.gpus * share))
    return Site(costs=option.costs, replicas=replicas, gpus=gpus, policy=demand.policy, events=events), share


def _while(demand: Demand, option: Option, event: Callable[[float], Loss | Rollout]) -> Probe:
    """What is answered from the begin of the event on."""
    at = _AT_SECONDS
    site, share = _site(demand, option, event(at))
    seconds = at + (
        _AFTER_SECONDS if isinstance(event(at), Loss) else site.replicas * (option.costs.start_seconds + _DRAIN_SECONDS)
    )
    rate = demand.rate * share
    arrivals = poisson(option.costs.kinds, rate=rate, seconds=seconds, seed=2)
    return opened(site, arrivals, after=at, seed=2).probe(demand.rate)


def with_cores(costs: Costs, cores: int) -> Costs:
    """`costs` of a server with another number of cores, filled with slots; raises `ConfigurationError` for too few.

    What a lone image takes on all of them was not measured, so it is not faster than in a slot.
    """
    if cores == costs.cores or costs.on_device:
        return replace(costs, cores=cores)
    slots = cores // costs.threads
    if not slots:
        raise ConfigurationError(f"--pod-cores {cores}: a slot of this model has {costs.threads} threads; give as many")
    return replace(costs, cores=cores, slots=slots, alone=())


def batch_limits(costs: Costs) -> list[Costs]:
    """`costs` with each size of batches that was measured as the largest."""
    return [replace(costs, batch_size_that_pays=size) for size in sorted(costs.batch_seconds)]
