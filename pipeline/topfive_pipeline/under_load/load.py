"""The two loads that a server is put under, in a process of their own that does nothing else.

`closed` finds what it can do at most; `opened` sends by a schedule that does not wait for answers. What lives here:
their plans, and what is kept of the answers. The generator's process imports this anew, so it needs little.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from multiprocessing.connection import Connection
from typing import Final

from topfive_loadgen import closed_loop, open_loop
from topfive_loadgen.http1 import Response
from topfive_loadgen.percentiles import percentile
from topfive_loadgen.plan import Done, OpenLoad, Request, Sample

WARM: Final = 0.15
"""The share of each load that is not counted: the server has slept while the others had their turn."""
_OK: Final = 200
_EXPLAINED: Final = 10.0
"""If the slowest tenth of the answers is so many times as late as the generator was, that was not the cause."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Of a closed loop: right answers a second, and how many requests were refused or failed.

    `answered`: the number of the request and the latency in seconds of each right answer. `failures`: why requests
    failed, and how many. `busy`: CPU seconds a second of the generator itself.
    """

    rate: float
    failed: int
    answered: tuple[tuple[int, float], ...] = ()
    failures: Mapping[str, int] = field(default_factory=dict)
    busy: float = 0.0


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of one open loop at `rate`, in requests a second.

    `latencies`: seconds from the schedule, ascending, of the right answers. `failed`: refused, failed or unanswered.
    `fault`: why the generator itself is in doubt, or empty. `failures`: why requests failed, and how many.
    """

    rate: float
    latencies: tuple[float, ...]
    failed: int = 0
    fault: str = ""
    failures: Mapping[str, int] = field(default_factory=dict)

    @property
    def failed_share(self) -> float:
        """Of the requests that were counted; 0 if none was, as where a short load at a low rate sends none so late."""
        asked = len(self.latencies) + self.failed
        return self.failed / asked if asked else 0.0

    def at(self, percent: str) -> float:
        """The percentile of the latencies by nearest rank, in seconds; infinite if there are none."""
        return percentile(self.latencies, float(percent)) if self.latencies else math.inf


def closed(
    url: str,
    requests: Sequence[Request],
    *,
    connections: int,
    seconds: float,
    goes_on: bool = False,
    stop: Connection | None = None,
) -> Capacity:
    """Keep `connections` requests under way at `url` for `seconds`; for `Aside`, whose `stop` it does not heed.

    `goes_on`: a connection that ends is a failure, and not the end of the load.
    """
    del stop
    load = closed_loop.drive(
        url,
        requests,
        connections=connections,
        warm_seconds=WARM * seconds,
        window_seconds=(1 - WARM) * seconds,
        goes_on=goes_on,
    )
    answered = tuple((one.request, one.ended - one.started) for one in load.exchanges if one.response.status == _OK)
    failures = Counter(_why(one.response) for one in load.exchanges if one.response.status != _OK)
    share = len(answered) / len(load.exchanges) if load.exchanges else 1.0
    return Capacity(
        load.requests_per_second * share,
        failures.total(),
        answered=answered,
        failures=failures,
        busy=load.client_cpu_rate,
    )


def opened(
    url: str, requests: Sequence[Request], *, rate: float, seconds: float, seed: int, stop: Connection | None = None
) -> Probe:
    """Send `rate` requests a second to `url` for `seconds`, at times that only `seed` decides (Poisson arrivals)."""
    plan = OpenLoad(url=url, requests=requests, rate=rate, seconds=seconds, seed=seed)
    return probe_of(open_loop.drive(plan, stop=stop), rate=rate, after=WARM * seconds)


def sparse(
    url: str, requests: Sequence[Request], *, rate: float, seconds: float, seed: int, stop: Connection | None = None
) -> Probe:
    """As `opened`, but only of the requests that met no other."""
    done = open_loop.drive(OpenLoad(url=url, requests=requests, rate=rate, seconds=seconds, seed=seed), stop=stop)
    return probe_of(replace(done, samples=lone(done.samples)), rate=rate, after=WARM * seconds)


def lone(samples: Sequence[Sample]) -> list[Sample]:
    """Those of `samples` (by their due times) that met no other: none was under way when they came, nor came since."""
    before = [-math.inf, *accumulate((sample.done for sample in samples), max)]
    after = [*(sample.scheduled for sample in samples[1:]), math.inf]
    return [
        sample
        for sample, last, following in zip(samples, before, after, strict=False)
        if last <= sample.scheduled and sample.done <= following
    ]


def probe_of(done: Done, *, rate: float, after: float) -> Probe:
    """What counts of an open loop: requests that were due `after` so many seconds."""
    counted = [sample for sample in done.samples if sample.scheduled >= after]
    latencies = sorted(sample.latency for sample in counted if sample.status == _OK)
    failures = Counter(_why(one.response, one.reason) for one in counted if one.status != _OK)
    return Probe(rate, tuple(latencies), failures.total(), _fault(done, latencies), failures)


def _why(response: Response | None, reason: str = "") -> str:
    """Why a request has no right answer, in words that are equal for equal faults."""
    if response is None or not response.status:
        return reason or (response.body.decode() if response else "no answer")
    try:
        return f"{response.status} {json.loads(response.body)['code']}"
    except (ValueError, KeyError, TypeError):
        return str(response.status)


def _fault(done: Done, latencies: Sequence[float]) -> str:
    """Why the generator may be the cause of late answers, or empty.

    Beyond what a server can do, on cores that both share, the generator is late too; that does not matter where the
    answers are much later.
    """
    faults = done.faults()
    if not faults or not latencies:
        return "; ".join(faults)
    lag = sorted(sample.lag for sample in done.samples)
    late = latencies[int(0.9 * (len(latencies) - 1))]
    return "" if not done.starved and late > _EXPLAINED * lag[int(0.99 * (len(lag) - 1))] else "; ".join(faults)
