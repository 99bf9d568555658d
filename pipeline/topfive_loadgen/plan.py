"""An open loop's plan, the outcome of each request, and the faults of the generator itself. Pure.

`schedule` says when requests are due; `open_loop` sends them.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from topfive_loadgen.http1 import Response
from topfive_loadgen.percentiles import percentile_of

MAX_CONNECTIONS: Final = 512
LAG_LIMIT_SECONDS: Final = 0.010
"""Limit on the p99 of the generator's own lag, for runs about latencies; above it the run is INVALID."""
LAG_LIMIT_OF_COUNTS_SECONDS: Final = 0.100
"""The same for runs that only count answers."""
OWN_ERRORS: Final = frozenset(map(os.strerror, (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL)))
"""Errors of the generator's own machine; the request never reached the server."""

Request = bytes | tuple[bytes, bytes]
"""A whole HTTP request, or its head and its body as two parts, so that a large body is never copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLoad:
    """What to send, where to, how often and for how long; `seconds` may be infinite for a run that `stop` ends.

    `url`: http(s)://host[:port]. `cafile`: the CA certificates for an https server (default: the system's). `read`:
    makes of each answer what is kept of it; called in the generator's process, after the run.
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
    """One request: which, when it was due, sent and over (seconds from the start), and its answer.

    `sent`: when it got a connection; making a new connection counts as part of the latency. `held`: how long it waited
    after its due time because all connections were busy; for a request never sent, until its end. Without a `response`,
    `reason` says why. `seen`: what the plan's `read` made of the response, or the reason.
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
        """Seconds from the due time to the end."""
        return self.done - self.scheduled

    @property
    def lag(self) -> float:
        """How late the generator sent it, not counting `held`."""
        return self.sent - self.scheduled - self.held

    @property
    def status(self) -> int:
        """The answer's status; 0 if no answer came."""
        return self.response.status if self.response else 0

    @property
    def retry_after(self) -> float | None:
        """The seconds in the answer's Retry-After."""
        named = self.response.header("retry-after") if self.response else None
        return float(named) if named else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The outcome of a plan. `seconds`: how much of the schedule was used; `began`: by `time.monotonic`.

    `starved`: how many requests found no free connection.
    """

    samples: Sequence[Sample]
    began: float
    seconds: float
    elapsed: float
    connections: int
    starved: int
    cpu_seconds: float

    def faults(self, *, lag_limit_seconds: float = LAG_LIMIT_SECONDS) -> list[str]:
        """The reasons why the run is INVALID; empty if it is valid."""
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
