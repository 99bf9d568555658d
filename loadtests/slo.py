"""The verdict on a stored run by the objectives of `slo.yaml`. Pure, but for `load`, which is `objectives.load`.

An objective cannot be judged if its measurement is missing, did not settle, has too few samples
(`topfive_loadgen.percentiles.standing`), or is beyond the generator's own limits. `objectives` defines the objectives.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from loadtests.comparison import closed_subject
from loadtests.queries import Scenario
from loadtests.results import Capacity, Cell, OpenRun, Run
from topfive_loadgen.objectives import (
    BadObjectives,
    CapacityObjective,
    ClosedObjective,
    MemoryObjective,
    Objectives,
    OpenObjective,
    load,
)
from topfive_loadgen.percentiles import Latencies, standing
from topfive_loadgen.verdict import SHARE, Check, Verdict, conclude

__all__ = ["BadObjectives", "Objectives", "judge", "load"]

HEADROOM: Final = 1.5
"""If the generator's own limit is less than so many times the measured rate, the generator may be the bottleneck."""

_MB: Final = 1_000_000


def judge(run: Run, objectives: Objectives) -> Verdict:
    """The verdict on a run."""
    found = [
        *(check for objective in objectives.closed for check in _closed(run, objective)),
        *(check for objective in objectives.open for check in _open(run, objective)),
        *(_capacity(run, objective) for objective in objectives.capacity),
        *([_memory(run, objectives.memory)] if objectives.memory else []),
    ]
    checks = list(dict.fromkeys(found))  # objectives for scenarios of one cell share its error ratio
    return conclude(checks, [f"the run: {fault}" for fault in run.faults], notes=list(_limits(run)))


def _closed(run: Run, objective: ClosedObjective) -> Iterator[Check]:
    cell = next((one for one in run.closed if (one.mix, one.workers) == (objective.mix, objective.workers)), None)
    name = f"{objective.mix} × {objective.workers}"
    doubt = _cell_doubt(cell)
    latency = _cell_latency(cell, objective.scenario)
    scenario = f" {objective.scenario}" if objective.scenario else ""
    yield from _latencies(f"{name}{scenario}", latency, p50=objective.p50_ms, p99=objective.p99_ms, doubt=doubt)
    if objective.min_throughput is not None:
        seen = cell.throughput if cell else None
        yield _check(f"{name}: throughput", seen, objective.min_throughput, "/s", at_least=True, doubt=doubt)
    yield _errors(name, cell, wanted=objective.max_error_ratio, doubt=doubt)


def _cell_doubt(cell: Cell | None) -> str:
    if cell is None:
        return "not measured"
    if cell.cut:
        return "cut short: the server was lost"
    return "" if cell.settled else f"its {len(cell.windows)} windows never agreed"


def _cell_latency(cell: Cell | None, scenario: Scenario | None) -> Latencies | None:
    if cell is None or scenario is None:
        return cell.latency if cell else None
    return cell.scenarios.get(scenario)


def _open(run: Run, objective: OpenObjective) -> Iterator[Check]:
    """Check every run at the objective's rate; if there is none, the objective was not measured."""
    name = f"{objective.mix} at {objective.rate:g}/s"
    at_rate = [one for one in run.open if one.mix == objective.mix and math.isclose(one.rate, objective.rate)]
    for one in at_rate:
        doubt = "; ".join(one.faults) or _beyond_ceiling(run, objective.rate)
        yield from _latencies(name, one.latency, p50=objective.p50_ms, p99=objective.p99_ms, doubt=doubt)
        yield _errors(name, one, wanted=objective.max_error_ratio, doubt=doubt)
    if not at_rate:
        yield from _latencies(name, None, p50=objective.p50_ms, p99=objective.p99_ms, doubt="not measured")
        yield _errors(name, None, wanted=objective.max_error_ratio, doubt="not measured")


def _capacity(run: Run, objective: CapacityObjective) -> Check:
    name = f"{objective.mix}: capacity at p99 ≤ {objective.p99_ms:g} ms"
    found = next((one for one in run.capacities if _is_of(one, objective)), None)
    if found is None:
        return _check(name, None, objective.min_rate, "/s", at_least=True, doubt="not measured")
    doubt = "; ".join(found.faults)
    if found.rate is None and not doubt:
        return Check(
            name=name,
            seen=None,
            wanted=objective.min_rate,
            at_least=True,
            unit="/s",
            met=False,
            note="no rate met it",
        )
    doubt = doubt or _beyond_ceiling(run, found.rate or 0)
    return _check(name, found.rate, objective.min_rate, "/s", at_least=True, doubt=doubt)


def _is_of(capacity: Capacity, objective: CapacityObjective) -> bool:
    return capacity.mix == objective.mix and math.isclose(capacity.p99_at_most * 1000, objective.p99_ms)


def _memory(run: Run, objective: MemoryObjective) -> Check:
    loops = [*run.open, *(probe for capacity in run.capacities for probe in capacity.probes)]
    servers = [one.server for one in run.closed] + [one.server for one in loops]
    told = [server.resident_bytes for server in servers if server] + [moment.resident_bytes for moment in run.moments]
    resident = [one for one in told if one is not None]
    seen = max(resident) / _MB if resident else None
    doubt = "" if resident else "the server did not tell its memory"
    return _check("peak RSS", seen, objective.max_resident_mb, "MB", at_least=False, doubt=doubt)


def _latencies(
    name: str, latency: Latencies | None, *, p50: float | None, p99: float | None, doubt: str
) -> Iterator[Check]:
    for percent, wanted in ((50, p50), (99, p99)):
        if wanted is None:
            continue
        if latency is None:
            yield _check(f"{name}: p{percent}", None, wanted, "ms", at_least=False, doubt=doubt or "no right answer")
            continue
        worth = standing(latency.count, percent)
        few = "" if worth == "trusted" else f"of {latency.count} samples only"
        seen = 1000 * (latency.p50 if percent == 50 else latency.p99)
        unsaid = doubt or (few if worth == "not measured" else "")
        yield _check(f"{name}: p{percent}", seen, wanted, "ms", at_least=False, doubt=unsaid, note=few)


def _errors(name: str, measured: Cell | OpenRun | None, *, wanted: float, doubt: str) -> Check:
    """A check of the errors. Too many errors are a miss even if the measurement is in doubt."""
    seen = measured.error_ratio if measured else None
    if isinstance(measured, Cell) and seen is not None and seen > wanted:
        doubt = ""
    return _check(f"{name}: error ratio", seen, wanted, SHARE, at_least=False, doubt=doubt)


def _check(
    name: str, seen: float | None, wanted: float, unit: str, *, at_least: bool, doubt: str, note: str = ""
) -> Check:
    met = None
    if not doubt and seen is not None:
        met = seen >= wanted if at_least else seen <= wanted
    return Check(name=name, seen=seen, wanted=wanted, at_least=at_least, unit=unit, met=met, note=doubt or note)


def _beyond_ceiling(run: Run, rate: float) -> str:
    if run.null is None or (run.null.ceiling is None and run.null.floor is None):
        return ""
    if run.null.ceiling is None:
        return "the generator kept up at no rate, even with a backend that answers at once"
    if run.null.ceiling.rate >= rate:
        return ""
    return f"the generator itself can do {run.null.ceiling.rate:g}/s only"


def _limits(run: Run) -> Iterator[str]:
    """The measurements whose bottleneck may be the generator."""
    if run.null is None:
        yield "the null backend was not measured: how much of these figures is the generator's own is not known"
        return
    alone = {cell.workers: cell.throughput for cell in run.null.closed}
    for cell in run.closed:
        own = alone.get(cell.workers, math.inf)
        if own < HEADROOM * cell.throughput:
            yield (
                f"{closed_subject(cell)}: {cell.throughput:.4g}/s, of the {own:.4g}/s that the generator can do "
                f"against a backend that answers at once: the client may limit this figure"
            )
