"""An open loop's plan, what came of each request, and what a run of it says. Pure.

What sends it is `open_loop`; when is `poisson`.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from loadtests.http1 import Response
from loadtests.percentiles import percentile, summarise
from loadtests.queries import HTTP_SCENARIOS, Query, judge
from loadtests.results import OpenRun

MAX_CONNECTIONS: Final = 512
LAG_LIMIT_SECONDS: Final = 0.010
"""p99 of the generator's own lag above which a run says more of it than of the server."""
OWN_ERRORS: Final = frozenset(map(os.strerror, (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL)))
"""What fails on this side, before the server hears of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to send, where to, how often and for how long. All queries of one mix, by HTTP.

    `url`: http(s)://host[:port][/prefix]. `cafile`: who vouches for an https server, if not this system's authorities.
    """

    url: str
    queries: Sequence[Query]
    rate: float
    seconds: float
    seed: int
    max_connections: int = MAX_CONNECTIONS
    cafile: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{self.url}: give the server as http://host:port or https://host:port")
        if len({query.mix for query in self.queries}) != 1:
            raise ValueError("an open loop sends queries of one mix, at least one")
        if others := {query.scenario for query in self.queries}.difference(HTTP_SCENARIOS):
            raise ValueError(f"the open loop speaks HTTP only: leave out the queries of {', '.join(sorted(others))}")
        if not (self.rate > 0 and self.seconds > 0 and self.max_connections > 0):
            raise ValueError("rate, seconds and max_connections must be above 0")


@dataclass(frozen=True, slots=True)
class Sample:
    """One request: which query, when it was due, sent and over (seconds from the start), and what came.

    `sent`: when a connection was taken for it, be it one that was still to be made; to make it is part of what the
    server's users wait for. None if that never happened. `held`: how long all connections were busy, since it was due.
    Without a `response`, `reason` says why.
    """

    query: int
    scheduled: float
    sent: float | None
    done: float
    response: Response | None
    reason: str = ""
    held: float = 0.0

    @property
    def latency(self) -> float:
        """What its user would have waited, whatever held it up."""
        return self.done - self.scheduled

    @property
    def lag(self) -> float:
        """What the generator held it up, beyond its want of connections, which is told on its own."""
        return 0.0 if self.sent is None else self.sent - self.scheduled - self.held


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of a plan. `seconds`: of the schedule that were used; `began` is on the clock of `time.monotonic`."""

    samples: Sequence[Sample]
    began: float
    seconds: float
    elapsed: float
    connections: int
    starved: int
    cpu_seconds: float


def verdict(plan: Plan, sample: Sample) -> str:
    """What is wrong with it; "" if nothing is."""
    if sample.response is None:
        return sample.reason
    given = sample.response
    return judge(plan.queries[sample.query], status=given.status, headers=given.headers, body=given.body)


def conclude(plan: Plan, done: Done) -> OpenRun:
    """The run as it is stored: of all that was due, each either right or an error by its kind."""
    wrong = [verdict(plan, sample) for sample in done.samples]
    right = [sample for sample, error in zip(done.samples, wrong, strict=True) if not error]
    lags = sorted(sample.lag for sample in done.samples)
    return OpenRun(
        mix=plan.queries[0].mix,
        rate=plan.rate,
        seconds=done.seconds,
        seed=plan.seed,
        latency=summarise(sample.latency for sample in right),
        # An overloaded server answers on after the last arrival; that time counts.
        throughput=len(right) / max([done.seconds, *(sample.done for sample in right)]),
        errors=dict(Counter(error for error in wrong if error).most_common()),
        lag_p50=percentile(lags, 50) if lags else None,
        lag_p99=percentile(lags, 99) if lags else None,
        connections=done.connections,
        generator_cores=done.cpu_seconds / done.elapsed,
        server=None,
        faults=faults(done),
        starved=done.starved,
    )


def faults(done: Done) -> list[str]:
    """What makes a run INVALID, in words; empty for a valid one."""
    found = []
    if not done.samples:
        found.append("nothing was sent")
    if done.starved:
        found.append(f"{done.starved} requests waited for one of {done.connections} connections")
    for reason, count in Counter(sample.reason for sample in done.samples).items():
        if reason in OWN_ERRORS:
            found.append(f"{count} requests failed at the generator itself: {reason}")
    if done.samples:
        lag = percentile(sorted(sample.lag for sample in done.samples), 99)
        if lag > LAG_LIMIT_SECONDS:
            limit = f"{LAG_LIMIT_SECONDS * 1e3:g} ms"
            found.append(f"the generator fell behind: p99 of its lag is {lag * 1e3:.1f} ms, above {limit}")
    return found
