"""The objectives of `slo.yaml`, held against what a gate measured of the candidate. Pure.

What was not measured, or not well enough, is unknown and says why: it is never taken as met.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from topfive_pipeline.gating.findings import Finding
from topfive_pipeline.gating.load_cells import Pooled, pooled
from topfive_pipeline.gating.load_plan import Cell
from topfive_pipeline.gating.loading import Measured
from topfive_pipeline.judging.tables import figure
from topfive_pipeline.under_load.mixes import Mix
from topfive_pipeline.under_load.objectives import ClosedObjective, Objectives, OpenObjective

_MS: Final = 1e3
_SENT: Final = ("raw", "jpeg")
"""Scenarios of `loadtests` that the gate sends."""


def findings(measured: Measured, mix: Mix, objectives: Objectives) -> list[Finding]:
    """What of `objectives` is about this mix, of closed and open loops and capacities; each thing once."""
    found = [
        *(finding for one in objectives.closed if one.mix == mix for finding in _closed(measured, one)),
        *(finding for one in objectives.open if one.mix == mix for finding in _open(measured, one)),
        *(
            _unknown(
                f"{mix}: capacity at p99 ≤ {one.p99_ms:g} ms",
                f"≥ {one.min_rate:g}/s",
                "the gate does not search for it; `python -m loadtests find-capacity` does",
            )
            for one in objectives.capacity
            if one.mix == mix
        ),
    ]
    return list(dict.fromkeys(found))  # objectives for scenarios of one cell share its error ratio


def _closed(measured: Measured, one: ClosedObjective) -> Iterator[Finding]:
    cell = Cell(one.mix, workers=one.workers)
    unsaid = _not_measured(measured, cell)
    whole = pooled(measured, cell, "candidate")
    part, name = whole, cell.title
    if one.scenario is not None:
        name = f"{cell.title} {one.scenario}"
        if one.scenario not in _SENT:
            unsaid = f"the gate sends no requests of this scenario ({one.scenario}); `python -m loadtests` does"
        else:
            part = pooled(measured, cell, "candidate", scenario=one.scenario)
    yield from _latencies(name, part, {50: one.p50_ms, 99: one.p99_ms}, unsaid)
    if one.min_throughput is not None:
        wanted = f"≥ {one.min_throughput:g}/s"
        if unsaid or whole.faults:
            yield _unknown(f"{name}: throughput", wanted, unsaid or whole.faults[0])
        else:
            met = whole.throughput >= one.min_throughput
            yield Finding(name=f"{name}: throughput", seen=f"{figure(whole.throughput)}/s", wanted=wanted, met=met)
    yield _errors(cell, whole, one.max_error_ratio, _not_measured(measured, cell))


def _open(measured: Measured, one: OpenObjective) -> Iterator[Finding]:
    cell = Cell(one.mix, rate=one.rate)
    unsaid = _not_measured(measured, cell)
    whole = pooled(measured, cell, "candidate")
    yield from _latencies(cell.title, whole, {50: one.p50_ms, 99: one.p99_ms}, unsaid)
    yield _errors(cell, whole, one.max_error_ratio, unsaid)


def _latencies(name: str, part: Pooled, wanted: dict[int, float | None], unsaid: str) -> Iterator[Finding]:
    for percent, limit in wanted.items():
        if limit is None:
            continue
        title, bound = f"{name}: p{percent}", f"≤ {limit:g} ms"
        worth = part.standing(percent)
        few = "" if worth == "trusted" else f"of {len(part.latencies)} answers only"
        doubt = unsaid or next(iter(part.faults), "") or (few if worth == "not measured" else "")
        if doubt:
            yield _unknown(title, bound, doubt)
            continue
        seen = _MS * part.percentile(percent)
        yield Finding(name=title, seen=f"{figure(seen)} ms", wanted=bound, met=seen <= limit, note=few)


def _errors(cell: Cell, whole: Pooled, limit: float, unsaid: str) -> Finding:
    name, wanted = f"{cell.title}: error ratio", f"≤ {limit:.2%}"
    if unsaid:
        return _unknown(name, wanted, unsaid)
    reasons = tuple(f"{count} × {reason}" for reason, count in whole.failures.items())
    seen = f"{whole.error_ratio:.2%}"
    return Finding(name=name, seen=seen, wanted=wanted, met=whole.error_ratio <= limit, reasons=reasons)


def _not_measured(measured: Measured, cell: Cell) -> str:
    """Why nothing is known of a cell, or empty."""
    if cell not in measured.plan.cells:
        return "not among the loads of this gate" + (
            ": leave --quick out" if measured.plan.is_quick and cell.workers else ""
        )
    if not measured.of(cell, "candidate"):
        return "not measured: the loads ended before it" if measured.ended else "nothing was answered"
    return ""


def _unknown(name: str, wanted: str, why: str) -> Finding:
    return Finding(name=name, seen="not measured", wanted=wanted, met=None, note=why)
