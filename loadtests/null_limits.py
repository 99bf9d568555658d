"""The generators' own limits: what they measure of a backend that answers at once, before anything else is measured.

A latency that they cannot get below and a rate that they cannot get above are theirs, not the server's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from loadtests import closed_loop
from loadtests.locust_process import Load
from loadtests.null_server import NullServer
from loadtests.open_loop import OpenLoop
from loadtests.plan import Plan
from loadtests.queries import NULL_LABEL, Query
from loadtests.results import Null, OpenRun
from loadtests.windows import Rule

RULE: Final = Rule(warm_up_seconds=1.0, window_seconds=2.0, windows_most=6)
"""Shorter than a server's: there is nothing to warm up, and little that varies."""
FLOOR_RATE, FIRST_RATE, LAST_RATE = 50.0, 100.0, 6400.0
SECONDS: Final = 3.0


def measure(
    load: Load, workers: Sequence[int], queries: Sequence[Query], *, zero: float, say: Callable[[str], None]
) -> Null:
    """The closed loop with each number of workers, and the open loop slow and as fast as it can."""
    expected = [replace(query, expected=NULL_LABEL) for query in queries]
    with NullServer() as server:
        closed = []
        for count in workers:
            say(f"{count} workers")
            null = replace(load, url=server.url, workers=count, processes=min(load.processes, count), null=True)
            closed.append(closed_loop.measure(null, RULE, observe=lambda *_: None, zero=zero, progress=say))
        plan = Plan(url=server.url, queries=expected, rate=FLOOR_RATE, seconds=SECONDS, seed=load.seed)
        with OpenLoop(plan) as generator:
            floor = generator.run()
            say(words(floor))
            return Null(closed=closed, floor=floor, ceiling=_ceiling(generator, say))


def _ceiling(generator: OpenLoop, say: Callable[[str], None]) -> OpenRun | None:
    """The last of ever doubled rates at which it kept up with its own schedule."""
    best = None
    rate = FIRST_RATE
    while rate <= LAST_RATE:
        found = generator.run(rate=rate)
        say(words(found))
        if not found.valid or found.errors:
            break
        best = found
        rate *= 2
    return best


def words(found: OpenRun) -> str:
    """An open loop's run as a line of progress."""
    said = [f"{found.rate:.1f}/s for {found.seconds:.0f} s"]
    if found.latency:
        said.append(f"p50 {found.latency.p50 * 1e3:.1f} ms, p99 {found.latency.p99 * 1e3:.1f} ms")
    said += [f"{count} × {error}" for error, count in found.errors.items()]
    return ", ".join([*said, *(f"INVALID: {fault}" for fault in found.faults)])
