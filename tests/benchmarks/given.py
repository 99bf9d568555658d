"""Answers as the open loop would have had them."""

from __future__ import annotations

from collections.abc import Sequence

from topfive_loadgen.http1 import Response
from topfive_loadgen.plan import Done, Sample


def answer(
    request: int,
    scheduled: float,
    sent: float,
    done: float,
    status: int,
    seen: object = None,
    retry_after: float | None = None,
) -> Sample:
    """One, of which a reader has seen this; status 0 is for none."""
    head = f"HTTP/1.1 {status} Reason\r\nRetry-After: {retry_after:g}" if retry_after is not None else ""
    response = Response(status, b"", head.encode()) if status else None
    return Sample(request, scheduled, sent, done, response, seen=seen)


def run_of(samples: Sequence[Sample], *, seconds: float = 1.0) -> Done:
    """A run in which they came."""
    return Done(samples=samples, began=0.0, seconds=seconds, elapsed=seconds, connections=1, starved=0, cpu_seconds=0.0)
