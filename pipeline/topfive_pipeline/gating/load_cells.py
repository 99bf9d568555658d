"""What a cell of a load comes to: figures of each contestant over all rounds, and ratios round by round. Pure.

What lives here: figures. What does not: what must hold of them (`gating.load`, `gating.load_objectives`).
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from topfive_loadgen.percentiles import Standing, percentile, standing
from topfive_pipeline.gating.load_plan import Cell
from topfive_pipeline.gating.loading import Load, Measured, Role
from topfive_pipeline.gating.ratios import Ratios, common, mean, weighted_percentile
from topfive_pipeline.under_load.mixes import Scenario

PERCENTS: Final = (50, 90, 99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """All loads of one contestant in one cell.

    `latencies`: seconds, ascending, of right answers. `throughput`: right answers a second. `asked`: requests that were
    counted, and of them `failures`: why, and how many. `faults`: what made the generator doubtful.
    """

    latencies: Sequence[float] = field(repr=False)
    throughput: float
    asked: int
    failures: Mapping[str, int]
    faults: tuple[str, ...] = ()

    def percentile(self, percent: float) -> float:
        """In seconds; nan without any answer."""
        return percentile(self.latencies, percent) if self.latencies else math.nan

    def standing(self, percent: float) -> Standing:
        """How far the percentile can be trusted, by the number of answers."""
        return standing(len(self.latencies), percent)

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    @property
    def error_ratio(self) -> float:
        return self.failed / self.asked if self.asked else 0.0


def pooled(measured: Measured, cell: Cell, role: Role, *, scenario: Scenario | None = None) -> Pooled:
    """What all loads of `role` in `cell` come to; with a `scenario`, the latencies of its queries alone."""
    loads = measured.of(cell, role)
    queries = measured.queries.get(cell.mix, ())
    answered = [each for load in loads for each in load.answered]
    failures = sum((Counter(load.failures) for load in loads), Counter[str]())
    asked = len(answered) + failures.total()
    throughput = _throughput(cell, loads) * (len(answered) / asked if cell.workers and asked else 1.0)
    if scenario is not None:
        answered = [each for each in answered if queries[each[0]].scenario == scenario]
    return Pooled(
        latencies=sorted(seconds for _, seconds in answered),
        throughput=throughput,
        asked=asked,
        failures=failures,
        faults=tuple(dict.fromkeys(load.fault for load in loads if load.fault)),
    )


def _throughput(cell: Cell, loads: Sequence[Load]) -> float:
    """Answers a second; of a closed loop the workers by the mean latency (Little's law), each query counting alike.

    What would be counted in the time of a short load depends on which images of the mix fall into it.
    """
    answered = [each for load in loads for each in load.answered]
    if not answered:
        return 0.0
    if cell.workers is None:
        return sum(load.rate for load in loads) / len(loads)
    return cell.workers / mean(answered)


@dataclass(frozen=True, slots=True)
class Compared:
    """The candidate beside the live version in one cell: of a tail latency, and of mean latencies.

    The tail is p99, or p90 where loads have too few answers for p99; `percent` is which. The ratio of mean latencies is
    one by that of throughputs. None if no round has answers of both from a generator that can be trusted.
    """

    tail: Ratios | None
    percent: int
    time: Ratios | None


def compared(measured: Measured, cell: Cell) -> Compared:
    """The ratios of the rounds in which both answered; of queries that both answered, each of which counts alike."""
    rounds = []
    for one, other in zip(measured.of(cell, "candidate"), measured.of(cell, "live"), strict=False):
        mine, its = common(one.answered, other.answered)
        if mine and not (one.fault or other.fault):
            rounds.append((mine, its))
    if not rounds:
        return Compared(None, 99, None)
    answers = statistics.median_low([len(side) for pair in rounds for side in pair])
    percent = 90 if standing(answers, 99) == "not measured" else 99
    tails = [weighted_percentile(mine, percent) / weighted_percentile(its, percent) for mine, its in rounds]
    times = [mean(mine) / mean(its) for mine, its in rounds]
    return Compared(Ratios(tuple(tails)), percent, Ratios(tuple(times)))
