"""Searches the highest rate that meets an objective: a limit on the p99 of Poisson arrivals, and on errors.

The definition is that of the server scenario of MLPerf's LoadGen (Poisson arrivals, a tail latency as the constraint).
The search is that of its `FindPeakPerformanceMode`: double the rate until it fails, then bisect between the last rate
that passed and the first that failed. Three things differ: the first rate need not pass; a run that is INVALID is told
apart from one that failed; and the rate found must hold in a second, longer run with other arrivals.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final

from loadtests.results import Capacity, Mix, OpenRun

Probe = Callable[[float, float, int], OpenRun]
"""Runs the open loop: called with the rate, the seconds, and a seed."""
Asked = tuple[float, float, int]
"""The arguments of a `Probe`."""

ERRORS_AT_MOST: Final = 0.001
BRACKET: Final = 0.05  # the bisection ends at this width, as a share of the upper end
STEP: Final = 0.95  # the factor to the next rate if one does not hold in the longer run
MOST_STEPS: Final = 4
MOST_PROBES: Final = 24
REQUESTS: Final = 1000  # of a probe: ten are then beyond p99
FEWEST: Final = 100  # with fewer requests, p99 is the largest sample
EXPLAINED: Final = 10.0  # if p99 misses the objective by so many times the lag, the lag is not the cause
LONGER: Final = 2.0  # the confirming run is so many times as long


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """The limits on p99 and errors, and the bounds on the length of a probe, which is meant for 1000 requests."""

    p99_at_most: float
    errors_at_most: float = ERRORS_AT_MOST
    min_seconds: float = 5.0
    max_seconds: float = 30.0

    def is_met(self, run: OpenRun) -> bool:
        """Whether a valid run meets the objective."""
        latency = run.latency
        return latency is not None and latency.p99 <= self.p99_at_most and run.error_ratio <= self.errors_at_most

    def seconds(self, rate: float) -> float:
        """How long to probe a rate."""
        return min(max(self.min_seconds, REQUESTS / rate), self.max_seconds)

    def fault(self, run: OpenRun) -> str:
        """Why a run shows neither that its rate meets the objective nor that it fails; "" if it shows one of these.

        Beyond a server's capacity the generator has problems too: all connections are busy, and with few cores it is
        late. The rate still counts as failed if these problems cannot be the cause. With all `connections` busy, a
        request takes connections ÷ throughput on average (Little's law): if that is more than the objective, more
        connections would not have helped. And a lag of a tenth of the miss or less does not explain the miss.
        """
        answers = (run.latency.count if run.latency else 0) + sum(run.errors.values())
        if answers < FEWEST:
            return f"only {answers} requests: too few for a p99"
        if run.valid:
            return ""
        enough = not run.starved or run.connections * run.seconds > self.p99_at_most * answers
        missed = run.latency is not None and run.latency.p99 - self.p99_at_most > EXPLAINED * (run.lag_p99 or 0.0)
        return "" if enough and missed else "; ".join(run.faults)


class _Invalid(Exception):
    """The search cannot go on, for the reason given."""


class Search:
    """The state of a search."""

    def __init__(self, objective: Objective, *, start: float, seed: int) -> None:
        self.runs: list[OpenRun] = []
        self._objective = objective
        self._start = start
        self._seed = seed

    def steps(self) -> Generator[Asked, OpenRun, float | None]:
        """A generator: yields the next probe's arguments, is sent its run, returns the rate; raises `_Invalid`."""
        low, high = yield from self._bracket()
        while low and high - low > BRACKET * high:
            middle = (low + high) / 2
            if (yield from self._passes(middle)):
                low = middle
            else:
                high = middle
        return (yield from self._confirm(low)) if low else None

    def _bracket(self) -> Generator[Asked, OpenRun, tuple[float, float]]:
        """A rate that passes (0 if none does), and a higher one that fails."""
        rate = self._start
        if (yield from self._passes(rate)):
            while (yield from self._passes(2 * rate)):
                rate *= 2
            return rate, 2 * rate
        # At a lower rate a probe would end before it had enough requests.
        lowest = 2 * FEWEST / self._objective.max_seconds
        while rate / 2 >= lowest:
            rate /= 2
            if (yield from self._passes(rate)):
                return rate, 2 * rate
        return 0.0, rate

    def _confirm(self, rate: float) -> Generator[Asked, OpenRun, float | None]:
        """The rate, or a slightly lower one, that holds in a longer run with other arrivals."""
        for _ in range(MOST_STEPS):
            if (yield from self._passes(rate, longer=LONGER)):
                return rate
            rate *= STEP
        raise _Invalid(f"no rate that passed once held in a longer run: not even {rate / STEP:.1f}/s")

    def _passes(self, rate: float, *, longer: float = 1.0) -> Generator[Asked, OpenRun, bool]:
        """Whether a rate passes. A probe that is INVALID is repeated once, with other arrivals."""
        fault = ""
        for _ in range(2):
            if len(self.runs) >= MOST_PROBES:
                raise _Invalid(f"no answer after {MOST_PROBES} probes")
            self._seed += 1
            run = yield rate, longer * self._objective.seconds(rate), self._seed
            self.runs.append(run)
            fault = self._objective.fault(run)
            if not fault:
                return self._objective.is_met(run)
        raise _Invalid(f"at {rate:.1f}/s: {fault}")


def find_capacity(probe: Probe, objective: Objective, *, mix: Mix, start: float, seed: int = 0) -> Capacity:
    """Search from `start`, in requests per second; the result holds all probes, even if the search fails."""
    search = Search(objective, start=start, seed=seed)
    steps = search.steps()
    rate, faults = None, []
    try:
        asked = next(steps)
        while True:
            asked = steps.send(probe(*asked))
    except StopIteration as end:
        rate = end.value
    except _Invalid as error:
        faults = [str(error)]
    return Capacity(
        mix=mix,
        p99_at_most=objective.p99_at_most,
        errors_at_most=objective.errors_at_most,
        rate=rate,
        probes=search.runs,
        faults=faults,
    )
