"""The load of a profile: a closed loop, in the generator's own process. That process imports it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import Connection

from topfive_loadgen import closed_loop
from topfive_pipeline.profiling.evidence import Driven

_OK = 200


def driven(
    url: str,
    requests: Sequence[bytes],
    *,
    connections: int,
    warm_seconds: float,
    seconds: float,
    stop: Connection | None = None,
) -> Driven:
    """Keep `connections` requests under way at `url`; for `Aside`, whose `stop` it does not heed.

    Raises `OSError` if a connection ends, and `TimeoutError` if the server no longer answers.
    """
    del stop
    load = closed_loop.drive(url, requests, connections=connections, warm_seconds=warm_seconds, window_seconds=seconds)
    good = sorted(one.ended - one.started for one in load.exchanges if one.response.status == _OK)
    failed = Counter(str(one.response.status) for one in load.exchanges if one.response.status != _OK)
    share = len(good) / len(load.exchanges) if load.exchanges else 0.0
    return Driven(
        connections=connections,
        rate=load.requests_per_second * share,
        p50=nearest(good, 50),
        p99=nearest(good, 99),
        failed=dict(failed),
        cpu=load.client_cpu_rate,
        sent=len(load.exchanges),
    )


def nearest(ordered: Sequence[float], percent: float) -> float | None:
    """The percentile of ascending values, by nearest rank: one that was measured. None of none."""
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)] if ordered else None
