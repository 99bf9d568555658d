"""The plan of an open loop of queries, and the evaluation of a run. Pure.

`topfive_loadgen.open_loop` sends the queries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from loadtests.queries import HTTP_SCENARIOS, Query, judge
from loadtests.results import OpenRun
from topfive_loadgen import plan
from topfive_loadgen.http1 import render_head
from topfive_loadgen.percentiles import percentile, summarise
from topfive_loadgen.plan import MAX_CONNECTIONS, Done, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryLoad:
    """What to send, where to, how often and for how long. All queries are of one mix, over HTTP.

    `url`: http(s)://host[:port][/prefix]. `cafile`: the CA certificates for an https server (default: the system's).
    """

    url: str
    queries: Sequence[Query]
    rate: float
    seconds: float
    seed: int
    max_connections: int = MAX_CONNECTIONS
    cafile: str | None = None

    def __post_init__(self) -> None:
        if len({query.mix for query in self.queries}) != 1:
            raise ValueError("an open loop sends queries of one mix, at least one")
        if others := {query.scenario for query in self.queries}.difference(HTTP_SCENARIOS):
            raise ValueError(f"the open loop speaks HTTP only: leave out the queries of {', '.join(sorted(others))}")
        self.sending()  # checks the other fields

    def sending(self) -> plan.OpenLoad:
        """The plan with its queries rendered as HTTP requests."""
        parts = urlsplit(self.url)
        prefix = parts.path.rstrip("/")
        return plan.OpenLoad(
            url=self.url,
            requests=[
                (
                    render_head("POST", prefix + one.path, len(one.body), Host=parts.netloc, **one.headers),
                    one.body,
                )
                for one in self.queries
            ],
            rate=self.rate,
            seconds=self.seconds,
            seed=self.seed,
            max_connections=self.max_connections,
            cafile=self.cafile,
        )


def verdict(plan: QueryLoad, sample: Sample) -> str:
    """What is wrong with the answer; "" if nothing is."""
    if sample.response is None:
        return sample.reason
    given = sample.response
    return judge(plan.queries[sample.request], status=given.status, headers=given.headers, body=given.body)


def conclude(plan: QueryLoad, done: Done) -> OpenRun:
    """The run as it is stored; each request that was due counts as right or as an error of some kind."""
    wrong = [verdict(plan, sample) for sample in done.samples]
    right = [sample for sample, error in zip(done.samples, wrong, strict=True) if not error]
    lags = sorted(sample.lag for sample in done.samples)
    return OpenRun(
        mix=plan.queries[0].mix,
        rate=plan.rate,
        seconds=done.seconds,
        seed=plan.seed,
        latency=summarise(sample.latency for sample in right),
        # An overloaded server still answers after the last arrival; that time counts too.
        throughput=len(right) / max([done.seconds, *(sample.done for sample in right)]),
        errors=dict(Counter(error for error in wrong if error).most_common()),
        lag_p50=percentile(lags, 50) if lags else None,
        lag_p99=percentile(lags, 99) if lags else None,
        connections=done.connections,
        generator_cores=done.cpu_seconds / done.elapsed,
        server=None,
        faults=done.faults(),
        starved=done.starved,
    )
