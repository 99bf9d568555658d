"""One round of one candidate: which loads it is put under, and the rate at which it holds the objective. Pure.

A round is a generator: it yields the next load and is sent what came of it. So the rounds of several candidates can be
interleaved, load by load, and what else the machine does slows all of them alike.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Final

from topfive_pipeline.under_load.latency_objective import Objective
from topfive_pipeline.under_load.load import Capacity, Probe

PROBES: Final = 3
"""Open loops in a candidate's first round: each halves the range in which the rate must lie."""
AGAIN: Final = 2
"""Open loops in a further round, whose range is narrow already."""
_BEYOND: Final = 1.1
"""Of the capacity: an open loop may hold more than a few connections that wait for their answers."""
_AROUND: Final = (0.8, 1.25)
"""Of the rate of the round before: where a further round looks."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A load: a closed loop if `rate` is None, an open one otherwise."""

    rate: float | None = None


Round = Generator[Asked, Capacity | Probe, float]


@dataclass(slots=True)
class Record:
    """What was measured of one candidate. `held`: of each round, the rate at which the objective held; 0 for none."""

    capacities: list[Capacity] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    held: dict[int, float] = field(default_factory=dict)


def round_of(record: Record, number: int, objective: Objective) -> Round:
    """A round of the candidate whose `record` it goes on with; returns the rate, which `record` has too."""
    if not objective.limits:
        record.held[number] = yield from _capacity(record)
        return record.held[number]
    if record.held:
        low, high = _around(record, objective)
        record.held[number] = yield from _bisected(record, objective, low, high, probes=AGAIN)
    else:
        high = _BEYOND * (yield from _capacity(record))
        record.held[number] = yield from _bisected(record, objective, 0.0, high, probes=PROBES)
    return record.held[number]


def _capacity(record: Record) -> Generator[Asked, Capacity | Probe, float]:
    found = yield Asked()
    assert isinstance(found, Capacity)
    record.capacities.append(found)
    return found.rate


def _around(record: Record, objective: Objective) -> tuple[float, float]:
    """Where to look after earlier rounds: around what the last one found, or below what failed if nothing held."""
    last = record.held[max(record.held)]
    if last > 0:
        return _AROUND[0] * last, _AROUND[1] * last
    failed = [probe.rate for probe in record.probes if objective.margin(probe) > 0]
    return 0.0, min(failed, default=0.0)


def _bisected(
    record: Record, objective: Objective, low: float, high: float, *, probes: int
) -> Generator[Asked, Capacity | Probe, float]:
    """The rate between `low` and `high` at which the objective just holds.

    Between the highest rate that held and the lowest that did not, it is where the logarithm of the latency, taken as a
    straight line, crosses the limit; the middle where one of both was not measured. 0 if nothing held, from 0 on.
    """
    below, above = math.nan, math.nan  # the margins at low and high, where they are known
    held = False
    for _ in range(probes):
        if high <= 0:
            return 0.0
        rate = (low + high) / 2
        found = yield Asked(rate)
        assert isinstance(found, Probe)
        record.probes.append(found)
        margin = objective.margin(found)
        if margin <= 0:
            low, below, held = rate, margin, True
        else:
            high, above = rate, margin
    if not held and low == 0:
        return 0.0
    return crossing(low, high, below=below, above=above)


def crossing(low: float, high: float, *, below: float, above: float) -> float:
    """Where the margin is 0 between `below` at `low` and `above` at `high`; the middle if one is not finite."""
    if not (math.isfinite(below) and math.isfinite(above)) or above <= below:
        return (low + high) / 2
    return low + (high - low) * -below / (above - below)
