"""What an open loop sends and when, and what came of it: the plan, the answers, the faults of a run.

Pure: no clock, no socket. When is in `loadtests.poisson`; what sends it is `open_loop`; what is made of the answers is
`load_figures`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks import answers, verdict
from loadtests.http1 import Response

MAX_CONNECTIONS = 512
# p99 of the generator's own lag above which a run says more of it than of the server: of one that is about latencies,
# and of one that is only about what is answered.
LAG_LIMIT_SECONDS, LAG_LIMIT_OF_COUNTS_SECONDS = 0.010, 0.100


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it was due, sent and answered (seconds from the start), and what came.

    `status` is 0 if no answer came; `seen` is what the run's reader made of the answer, or why there is none.
    """

    request: int
    scheduled: float
    sent: float
    done: float
    status: int
    seen: object = None
    retry_after: float | None = None

    @property
    def latency(self) -> float:
        return self.done - self.scheduled

    @property
    def lag(self) -> float:
        return self.sent - self.scheduled


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to send, where to, how often and for how long; `read` keeps of each answer what is judged later."""

    address: tuple[str, int]
    requests: Sequence[bytes]
    rate: float
    seconds: float
    seed: int
    read: Callable[[Response], object] = answers.top_index
    max_connections: int = MAX_CONNECTIONS


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a plan. `began` is on the clock of `time.monotonic`; `starved` requests found no connection free."""

    answers: Sequence[Answer]
    began: float
    seconds: float
    connections: int
    starved: int
    cpu_seconds: float


def faults(done: Run, *, lag_limit_seconds: float = LAG_LIMIT_SECONDS) -> list[str]:
    """What makes a run INVALID, in words; empty for a valid one."""
    lag = verdict.quantile([answer.lag for answer in done.answers], 99)
    return [
        *(["no request was sent"] if not done.answers else []),
        *([f"{done.starved} requests waited for one of {done.connections} connections"] if done.starved else []),
        *(
            [f"the generator fell behind: p99 of its lag is {lag * 1e3:.1f} ms, above {lag_limit_seconds * 1e3:g} ms"]
            if lag > lag_limit_seconds
            else []
        ),
    ]
