"""The highest rate that meets an objective: p99 of Poisson arrivals within a limit, and hardly an error.

As the server scenario of MLPerf's LoadGen has it (Poisson arrivals, a tail latency as the constraint), and found in the
same way as its `FindPeakPerformanceMode` finds it: double the rate until it fails, then bisect between the last that
passed and the first that failed. Unlike there the first rate need not pass, a run that says nothing of the server is
told apart from one that failed, and what was found must hold in a second, longer run with other arrivals.

What lives here: the search, which knows rates and runs but not how to make one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final

from loadtests.results import Capacity, Mix, OpenRun

Probe = Callable[[float, float, int], OpenRun]
"""Runs the open loop at a rate, for so many seconds, with a seed."""
Asked = tuple[float, float, int]
"""The same, as the search asks for it."""

ERRORS_AT_MOST: Final = 0.001
BRACKET: Final = 0.05  # of its upper end: close enough
STEP: Final = 0.95  # down, when a rate does not hold in the longer run
MOST_STEPS: Final = 4
MOST_PROBES: Final = 24
REQUESTS: Final = 1000  # ten of them make p99
FEWEST: Final = 100  # with fewer, p99 is the worst of them
EXPLAINED: Final = 10.0  # a p99 that misses the objective by so many times the lag, the lag does not explain
LONGER: Final = 2.0  # so many times as long is the run that confirms


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What must hold, and how long a probe is: for 1000 requests, but within these bounds."""

    p99_at_most: float
    errors_at_most: float = ERRORS_AT_MOST
    min_seconds: float = 5.0
    max_seconds: float = 30.0

    def is_met(self, run: OpenRun) -> bool:
        """Of a valid run."""
        latency = run.latency
        return latency is not None and latency.p99 <= self.p99_at_most and run.error_ratio <= self.errors_at_most

    def seconds(self, rate: float) -> float:
        """How long to probe a rate."""
        return min(max(self.min_seconds, REQUESTS / rate), self.max_seconds)

    def fault(self, run: OpenRun) -> str:
        """Why a run says neither that its rate meets the objective nor that it does not; "" if it does say.

        Beyond a server's capacity the generator, too, gets into need: all connections are busy, and on a machine of few
        cores it is late. Where that cannot be what made p99 miss the objective, the rate has failed all the same. All
        `connections` were busy, so that each took connections ÷ throughput on average (Little's law): if that alone is
        more than the objective, more connections would not have helped. And a lag of a tenth of the miss explains none.
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
    """The search cannot go on; with the reason."""


class Search:
    """The state of a search: ask `probe` for the next run until it returns the rate."""

    def __init__(self, objective: Objective, *, start: float, seed: int) -> None:
        self.runs: list[OpenRun] = []
        self._objective = objective
        self._start = start
        self._seed = seed

    def steps(self) -> Generator[Asked, OpenRun, float | None]:
        """Yields what to run, is sent what came of it, returns the rate; raises `_Invalid`."""
        low, high = yield from self._bracket()
        while low and high - low > BRACKET * high:
            middle = (low + high) / 2
            if (yield from self._passes(middle)):
                low = middle
            else:
                high = middle
        return (yield from self._confirm(low)) if low else None

    def _bracket(self) -> Generator[Asked, OpenRun, tuple[float, float]]:
        """A rate that passes and a higher one that does not; 0 for the first if none of those tried does."""
        rate = self._start
        if (yield from self._passes(rate)):
            while (yield from self._passes(2 * rate)):
                rate *= 2
            return rate, 2 * rate
        # Below this a probe would end before it had enough requests.
        lowest = 2 * FEWEST / self._objective.max_seconds
        while rate / 2 >= lowest:
            rate /= 2
            if (yield from self._passes(rate)):
                return rate, 2 * rate
        return 0.0, rate

    def _confirm(self, rate: float) -> Generator[Asked, OpenRun, float | None]:
        """The rate, or one a little lower, that holds for longer and with other arrivals."""
        for _ in range(MOST_STEPS):
            if (yield from self._passes(rate, longer=LONGER)):
                return rate
            rate *= STEP
        raise _Invalid(f"what passed once did not hold: not even {rate / STEP:.1f}/s did in a longer run")

    def _passes(self, rate: float, *, longer: float = 1.0) -> Generator[Asked, OpenRun, bool]:
        """Probe a rate; once more, with other arrivals, if the first run says nothing of the server."""
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
    """Search from `start`, requests per second; whatever happens, with all its probes."""
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
