"""An open loop's plan, what came of each request, and whether the generator itself was at fault. Pure.

When requests are due is in `schedule`; what sends them is `open_loop`.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from loadgen.http1 import Response
from loadgen.percentiles import percentile_of

MAX_CONNECTIONS: Final = 512
LAG_LIMIT_SECONDS: Final = 0.010
"""p99 of the generator's own lag above which a run about latencies says more of it than of the server."""
LAG_LIMIT_OF_COUNTS_SECONDS: Final = 0.100
"""The same of a run that is only about what is answered."""
OWN_ERRORS: Final = frozenset(map(os.strerror, (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL)))
"""What fails on this side, before the server hears of it."""

Request = bytes | tuple[bytes, bytes]
"""A whole HTTP request, or its head and its body apart, so that a large body is never copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLoad:
    """What to send, where to, how often and for how long; `seconds` may be infinite for a run that is ended by hand.

    `url`: http(s)://host[:port]. `cafile`: who vouches for an https server, if not this system's authorities. `read`:
    what to keep of each answer, in the generator's process, after the run.
    """

    url: str
    requests: Sequence[Request]
    rate: float
    seconds: float
    seed: int
    max_connections: int = MAX_CONNECTIONS
    cafile: str | None = None
    read: Callable[[Response], object] | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{self.url}: give the server as http://host:port or https://host:port")
        if not self.requests:
            raise ValueError("there must be at least one request to send")
        if not (self.rate > 0 and self.seconds > 0 and self.max_connections > 0):
            raise ValueError("rate, seconds and the number of connections must be above 0")


@dataclass(frozen=True, slots=True)
class Sample:
    """One request: which, when it was due, sent and over (seconds from the start), and what came.

    `sent`: when a connection was taken for it, be it one that was still to be made; to make it is part of what the
    server's users wait for. `held`: how long all connections were busy, since it was due; what was never
    sent was held to its end. Without a `response`, `reason` says why. `seen`: what the plan's reader made of the
    response, or the reason.
    """

    request: int
    scheduled: float
    sent: float
    done: float
    response: Response | None
    reason: str = ""
    held: float = 0.0
    seen: object = None

    @property
    def latency(self) -> float:
        """What its user would have waited, whatever held it up."""
        return self.done - self.scheduled

    @property
    def lag(self) -> float:
        """What the generator held it up, beyond its want of connections, which is told on its own."""
        return self.sent - self.scheduled - self.held

    @property
    def status(self) -> int:
        """Of the answer; 0 if none came."""
        return self.response.status if self.response else 0

    @property
    def retry_after(self) -> float | None:
        """The seconds that a refusal named."""
        named = self.response.header("retry-after") if self.response else None
        return float(named) if named else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of a plan. `seconds`: of the schedule that were used; `began` is on the clock of `time.monotonic`.

    `starved` requests found no connection free.
    """

    samples: Sequence[Sample]
    began: float
    seconds: float
    elapsed: float
    connections: int
    starved: int
    cpu_seconds: float

    def faults(self, *, lag_limit_seconds: float = LAG_LIMIT_SECONDS) -> list[str]:
        """What makes the run INVALID, in words; empty for a valid one."""
        if not self.samples:
            return ["nothing was sent"]
        found = []
        if self.starved:
            found.append(f"{self.starved} requests waited for one of {self.connections} connections")
        for reason, count in Counter(sample.reason for sample in self.samples).items():
            if reason in OWN_ERRORS:
                found.append(f"{count} requests failed at the generator itself: {reason}")
        lag = percentile_of([sample.lag for sample in self.samples], 99)
        if lag > lag_limit_seconds:
            limit = f"{lag_limit_seconds * 1e3:g} ms"
            found.append(f"the generator fell behind: p99 of its lag is {lag * 1e3:.1f} ms, above {limit}")
        return found
