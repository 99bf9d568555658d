"""Memory of both servers over the time of the loads: how high it came, and whether it grows with the requests.

What lives here: figures and findings. What does not: the readings (`under_load.resident`).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from topfive_pipeline.gating import load_plots
from topfive_pipeline.gating.findings import Chapter, Finding
from topfive_pipeline.gating.load_plan import Cell
from topfive_pipeline.gating.loading import ROLES, Measured, Role
from topfive_pipeline.judging.tables import NOTHING, Table, signed
from topfive_pipeline.under_load.resident import Resident

_MB: Final = 1e6
HIGHER: Final = 0.20
"""How much more memory than the live version the candidate may take, as a share."""
_NOTABLE: Final = 0.05
"""A growth from the first third to the last of less than this share is no leak yet: arenas fill up for long.

It was 1 %, until a gate of one graph on two numbers of cores missed by 6 MB: cells of a round are not independent, so
intervals are too narrow. A leak of less shows in a longer gate, and in the objective of `--slo`."""
_FEWEST_STEPS: Final = 2
_NORMAL: Final = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""

Observation = tuple[float, float]
"""Thousands of requests so far, and megabytes."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Megabytes for each 1000 requests, with an interval of 95 %."""

    slope: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of one server in megabytes: at most, and the medians of the first and the last third of the time.

    `is_steady`: whether its `growth` comes in nearly each round, as that of a leak does.
    """

    peak: float
    first: float
    last: float
    growth: Growth | None
    is_steady: bool = False


def chapter(measured: Measured) -> Chapter:
    """What the servers' metrics say of their memory, and what must hold of it."""
    known = {role: found for role in ROLES if (found := memory_of(measured, role)) is not None}
    return Chapter(
        key="memory",
        title="Memory over the loads",
        lead="Resident memory of all processes of each server, as its /metrics tell it, read twice a second while it "
        "was under load. The growth compares loads of one kind in later rounds with those in earlier ones, without the "
        "first round, in which what is kept for reuse is filled.",
        findings=tuple(_findings(measured, known)),
        tables=(_table(known),) if known else (),
        plots=load_plots.memory(measured),
        notes=tuple(_missed(role, one) for role, one in measured.memory.items() if one.missed),
        figures={role: _values(found) for role, found in known.items()},
    )


def _missed(role: Role, one: Resident) -> str:
    of = one.missed + len(one.samples)
    return f"The {role} version's memory: {one.missed} of {of} readings failed: {one.reason}."


def memory_of(measured: Measured, role: Role) -> Memory | None:
    """The memory of the server of `role`; None if it never told it."""
    samples = measured.memory[role].samples
    if not samples:
        return None
    start, end = samples[0][0], samples[-1][0]
    third = (end - start) / 3
    seen = observations(measured, role)
    return Memory(
        peak=max(size for _, size in samples) / _MB,
        first=statistics.median(size for at, size in samples if at <= start + third) / _MB,
        last=statistics.median(size for at, size in samples if at >= end - third) / _MB,
        growth=growth(seen),
        is_steady=steady(seen),
    )


def observations(measured: Measured, role: Role) -> Mapping[Cell, list[Observation]]:
    """For each cell and each round but the first: the requests so far, and the median memory while it lasted."""
    loads = sorted(
        (
            (load.began, number, cell, load)
            for cell in measured.plan.cells
            for number, load in enumerate(measured.of(cell, role))
        ),
        key=lambda each: each[0],
    )
    found: dict[Cell, list[Observation]] = {}
    asked = 0
    for _, number, cell, load in loads:
        asked += len(load.answered) + sum(load.failures.values())
        sizes = [size for at, size in measured.memory[role].samples if load.began <= at <= load.ended]
        if number and sizes:
            found.setdefault(cell, []).append((asked / 1e3, statistics.median(sizes) / _MB))
    return found


def growth(seen: Mapping[Cell, Sequence[Observation]]) -> Growth | None:
    """The trend over the requests, in which each cell has a level of its own; None if too few come again to bound it.

    It is the seasonal Kendall slope estimator, cells being the seasons: the median of the slopes of all pairs within a
    cell (Hirsch, Slack and Smith, Techniques of trend analysis for monthly water quality data, Water Resources Research
    18 (1982) 107-121), with the interval by ranks of Gilbert, Statistical Methods for Environmental Pollution
    Monitoring (1987), section 17.3. It takes cells for independent, which those of one round are not quite.
    """
    slopes = sorted(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for each in seen.values()
        for number, earlier in enumerate(each)
        for later in each[number + 1 :]
        if later[0] > earlier[0]
    )
    variance = sum(len(each) * (len(each) - 1) * (2 * len(each) + 5) / 18 for each in seen.values())
    half = _NORMAL * math.sqrt(variance)
    low, high = math.floor((len(slopes) - half) / 2), math.ceil((len(slopes) + half) / 2)
    if low < 1 or high >= len(slopes):
        return None
    return Growth(statistics.median(slopes), slopes[low - 1], slopes[high])


def steady(seen: Mapping[Cell, Sequence[Observation]]) -> bool:
    """Whether three of four rounds add at least a quarter of what the mean round does.

    A leak takes in every round. What fills up (arenas, pools) takes in few, at a time that chance decides: of two
    servers of one graph, one had grown by 9 % between the rounds in which the other had been full already.
    """
    steps = [later[1] - earlier[1] for each in seen.values() for earlier, later in pairwise(each)]
    if len(steps) < _FEWEST_STEPS:
        return False
    mean = statistics.fmean(steps)
    return mean > 0 and statistics.quantiles(steps, n=4, method="inclusive")[0] >= mean / 4


def _findings(measured: Measured, known: Mapping[Role, Memory]) -> Iterator[Finding]:
    candidate, live = known.get("candidate"), known.get("live")
    objectives = measured.plan.objectives
    silent = measured.memory["candidate"].reason or "no load came to its end"
    if objectives is not None and objectives.memory is not None:
        limit = objectives.memory.max_resident_mb
        yield _peak("peak memory", f"≤ {limit:g} MB", candidate, limit, silent)
    if live is None:
        for name in ("peak memory beside live", "memory growth"):
            why = measured.memory["live"].reason or silent
            yield Finding(name=name, seen="not measured", wanted="no more than live", met=None, note=why)
        return
    limit = (1 + HIGHER) * live.peak
    beside = f"≤ {limit:.0f} MB, {1 + HIGHER:.2f} times the live version's {live.peak:.0f} MB"
    yield _peak("peak memory beside live", beside, candidate, limit, silent)
    yield _growth(candidate, live, silent)


def _peak(name: str, wanted: str, candidate: Memory | None, limit: float, silent: str) -> Finding:
    if candidate is None:
        return Finding(name=name, seen="not measured", wanted=wanted, met=None, note=silent)
    return Finding(name=name, seen=f"{candidate.peak:.0f} MB", wanted=wanted, met=candidate.peak <= limit)


def _growth(candidate: Memory | None, live: Memory, silent: str) -> Finding:
    """Whether the candidate grows faster: its interval lies above live's, in every round, and it is no trifle."""
    name, its = "memory growth", live.growth
    most = 0.0 if its is None else max(0.0, its.high)
    wanted = f"≤ {most:.2f} MB for 1000 requests, which the live version may grow"
    if candidate is None or candidate.growth is None or its is None:
        note = silent if candidate is None else "too few loads came again after the first round"
        return Finding(name=name, seen="not measured", wanted=wanted, met=None, note=note)
    notable = candidate.last - candidate.first > _NOTABLE * candidate.first
    faster = candidate.growth.low > most and notable
    met = not (faster and candidate.is_steady)
    note = f"it grows; the live version: {_slope(its)}" if candidate.growth.low > 0 and notable else ""
    if faster and met:
        note += "; in some rounds only, as what fills up does, and no leak"
    return Finding(name=name, seen=_slope(candidate.growth), wanted=wanted, met=met, note=note)


def _slope(found: Growth) -> str:
    return f"{signed(found.low, 2)} to {signed(found.high, 2)} MB for 1000 requests"


def _table(known: Mapping[Role, Memory]) -> Table:
    return Table(
        ("version", "peak, MB", "first third, MB", "last third, MB", "growth"),
        tuple(
            (
                role,
                f"{found.peak:.0f}",
                f"{found.first:.0f}",
                f"{found.last:.0f}",
                NOTHING if found.growth is None else _slope(found.growth),
            )
            for role, found in known.items()
        ),
    )


def _values(found: Memory) -> Mapping[str, object]:
    """In megabytes."""
    values: dict[str, object] = {"peak_mb": found.peak, "first_third_mb": found.first, "last_third_mb": found.last}
    if found.growth is not None:
        values["growth_mb_per_1000_requests"] = [found.growth.low, found.growth.slope, found.growth.high]
    return values
