"""Measures the generators' own limits, against a server that answers at once.

No measurement can show a lower latency or a higher rate than these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from loadtests import closed_loop
from loadtests.course import Course
from loadtests.locust_process import Load
from loadtests.null_server import NullServer
from loadtests.open_loop import OpenLoop
from loadtests.open_plan import QueryLoad
from loadtests.queries import NULL_LABEL, Query
from loadtests.results import Cell, Null, OpenRun
from loadtests.windows import Rule

FLOOR_RATE, FIRST_RATE, LAST_RATE = 50.0, 200.0, 6400.0
SECONDS: Final = 3.0


def measure(load: Load, workers: Sequence[int], rule: Rule, queries: Sequence[Query], course: Course) -> Null:
    """Measure the closed loop with each number of workers, and the open loop at a low rate and at its highest."""
    expected = [replace(query, expected=NULL_LABEL) for query in queries]
    say = course.say
    with NullServer() as server:
        closed: list[Cell] = []
        for count in workers:
            say("1 worker" if count == 1 else f"{count} workers")
            null = replace(load, url=server.url, workers=count, processes=min(load.processes, count), null=True)
            cell = closed_loop.measure(null, shorter(rule), course.alone())
            closed += [cell] if cell else []
            course.following.check()
        seconds = min(SECONDS, 2 * rule.window_seconds)
        plan = QueryLoad(url=server.url, queries=expected, rate=FLOOR_RATE, seconds=seconds, seed=load.seed)
        with OpenLoop(plan) as generator:
            floor = generator.run()
            say(words(floor))
            return Null(closed=closed, floor=floor, ceiling=_ceiling(generator, course))


def shorter(rule: Rule) -> Rule:
    """A shorter rule than for a real server: there is nothing to warm up, and results vary little."""
    return Rule(
        warm_up_seconds=min(1.0, rule.warm_up_seconds),
        window_seconds=min(2.0, rule.window_seconds),
        windows_most=min(6, rule.windows_most),
    )


def _ceiling(generator: OpenLoop, course: Course) -> OpenRun | None:
    """Double the rate until the generator lags; return the last run in which it kept up with its schedule."""
    best = None
    rate = FIRST_RATE
    while rate <= LAST_RATE:
        course.following.check()
        found = generator.run(rate=rate)
        course.say(words(found))
        if not found.valid or found.errors:
            break
        best = found
        rate *= 2
    return best


def words(found: OpenRun) -> str:
    """A run of an open loop as a line of progress."""
    said = [f"{found.rate:.1f}/s for {found.seconds:.0f} s"]
    if found.latency:
        said.append(f"p50 {found.latency.p50 * 1e3:.1f} ms, p99 {found.latency.p99 * 1e3:.1f} ms")
    said += [f"{count} × {error}" for error, count in found.errors.items()]
    return ", ".join([*said, *(f"INVALID: {fault}" for fault in found.faults)])
