"""The figures of the loads as tables, and as values for gate.json. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

from topfive_pipeline.gating.load_cells import PERCENTS, compared, pooled
from topfive_pipeline.gating.load_plan import Cell
from topfive_pipeline.gating.loading import ROLES, Measured
from topfive_pipeline.gating.ratios import Ratios
from topfive_pipeline.judging.tables import NOTHING, Table, figure
from topfive_pipeline.under_load.mixes import Mix

_MS: Final = 1e3


def tables(measured: Measured, mix: Mix) -> tuple[Table, ...]:
    """Latencies of both with the ratio of p99, and throughputs and failures of both with their ratio."""
    cells = [cell for cell in measured.plan.cells if cell.mix == mix and measured.of(cell, "candidate")]
    if not cells:
        return ()
    return (
        Table(
            (
                "× workers",
                *(f"p{percent}, ms: {role}" for percent in PERCENTS for role in ROLES),
                "tail, times live's (quartiles)",
            ),
            tuple(_latencies(measured, cell) for cell in cells),
        ),
        Table(
            (
                "× workers",
                *(f"images/s: {role}" for role in ROLES),
                "times live's (quartiles)",
                *(f"failed: {role}" for role in ROLES),
            ),
            tuple(_throughputs(measured, cell) for cell in cells),
        ),
    )


def _latencies(measured: Measured, cell: Cell) -> tuple[str, ...]:
    sides = [pooled(measured, cell, role) for role in ROLES]
    figures = [_ms(side.percentile(percent)) for percent in PERCENTS for side in sides]
    return (_name(measured, cell), *figures, _tail(measured, cell))


def _tail(measured: Measured, cell: Cell) -> str:
    found = compared(measured, cell)
    return NOTHING if found.tail is None else f"p{found.percent}: {_spread(found.tail)}"


def _throughputs(measured: Measured, cell: Cell) -> tuple[str, ...]:
    sides = [pooled(measured, cell, role) for role in ROLES]
    ratio = _spread(compared(measured, cell).time, inverse=True) if cell.workers else NOTHING
    return (
        _name(measured, cell),
        *(figure(side.throughput) for side in sides),
        ratio,
        *(f"{side.failed} of {side.asked}" for side in sides),
    )


def _name(measured: Measured, cell: Cell) -> str:
    if cell.workers is not None:
        return str(cell.workers)
    rate = measured.rates.get(cell, cell.rate)
    return "open loop" if rate is None else f"open, {figure(rate)}/s"


def _ms(seconds: float) -> str:
    return NOTHING if math.isnan(seconds) else figure(_MS * seconds)


def _spread(ratios: Ratios | None, *, inverse: bool = False) -> str:
    if ratios is None:
        return NOTHING
    each = [ratios.median, *ratios.quartiles]
    median, low, high = [1 / value for value in (each[0], each[2], each[1])] if inverse else each
    return f"{median:.2f} ({low:.2f} to {high:.2f})"


def figures(measured: Measured, mix: Mix) -> Mapping[str, object]:
    """All that was measured of a mix, in seconds and images a second, with the ratios of every round."""
    return {cell.key: dict(_values(measured, cell)) for cell in measured.plan.cells if cell.mix == mix}


def _values(measured: Measured, cell: Cell) -> Iterator[tuple[str, object]]:
    yield "workers", cell.workers
    yield "rate", measured.rates.get(cell, cell.rate)
    for role in ROLES:
        side = pooled(measured, cell, role)
        latencies = {
            f"p{percent}": None if math.isnan(found := side.percentile(percent)) else found for percent in PERCENTS
        }
        yield (
            role,
            {
                **latencies,
                "answers": len(side.latencies),
                "images_per_second": side.throughput,
                "failures": dict(side.failures),
                "faults": list(side.faults),
            },
        )
    beside = compared(measured, cell)
    yield "tail_percent", beside.percent
    yield "tail_ratios", None if beside.tail is None else list(beside.tail.rounds)
    yield "mean_latency_ratios", None if beside.time is None else list(beside.time.rounds)
