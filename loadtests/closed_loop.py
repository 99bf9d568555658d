"""The closed loop with Locust: a number of workers, each with one request in flight, until the windows agree.

It makes one measurement, or one run of a shape. `measuring` decides which ones, and their order.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

from loadtests import shapes, windows
from loadtests.locust_process import GeneratorFailed, Load, LocustProcess
from loadtests.recorder import Sample
from loadtests.results import Cell, Server, ShapePoint, ShapeRun, Window
from loadtests.shapes import Shape
from loadtests.windows import Rule
from topfive_loadgen import percentiles

_START_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1
_EARLY_SECONDS: Final = 3.0  # Locust asks a shape for users once a second, and may begin before its first answer
# Samples are written ten times a second: after this time all samples of a window are in the files.
_WRITTEN_SECONDS: Final = 0.4

Progress = Callable[[str], None]
Observe = Callable[[float, float], Server | None]
"""Returns what the server did between two times (monotonic)."""


def measure(load: Load, rule: Rule, *, observe: Observe, zero: float, progress: Progress) -> Cell:
    """Measure a cell: a warm-up, then windows until they agree, at most `rule.windows_most`. `zero`: run's start."""
    with LocustProcess(load) as locust:
        samples = _first_samples(locust)
        start = min(one.started for one in samples) + rule.warm_up_seconds
        done: list[Window] = []
        cpu: list[float] = []
        _wait_until(start, locust)
        cpu.append(locust.cpu_seconds())
        while len(done) < rule.windows_most and not windows.agree(done):
            began = start + len(done) * rule.window_seconds
            _wait_until(began + rule.window_seconds, locust)
            cpu.append(locust.cpu_seconds())
            _wait_until(began + rule.window_seconds + _WRITTEN_SECONDS, locust)
            samples += locust.samples()
            done.append(windows.window(samples, start=began, seconds=rule.window_seconds, zero=zero))
            progress(f"window {len(done)}: {_words(done[-1])}")
    agreed = min(windows.AGREED, len(done))
    first, end = start + (len(done) - agreed) * rule.window_seconds, start + len(done) * rule.window_seconds
    found = windows.stretch([one for one in samples if first <= one.ended < end])
    return Cell(
        mix=load.mix,
        workers=load.workers,
        processes=load.processes,
        windows=done,
        agreed=agreed,
        settled=windows.agree(done),
        throughput=(found.latency.count if found.latency else 0) / (end - first),
        latency=found.latency,
        scenarios=found.scenarios,
        kinds=found.kinds,
        errors=found.errors,
        server=observe(first, end),
        generator_cores=(cpu[-1] - cpu[-1 - agreed]) / (end - first),
    )


def run_shape(shape: Shape, load: Load, plan: shapes.ShapeSize, *, progress: Progress) -> ShapeRun:
    """Run one shape; return its figures for each second."""
    samples: list[Sample] = []
    with LocustProcess(load) as locust:
        samples += _first_samples(locust)
        began = min(one.started for one in samples)
        while not locust.is_over and time.monotonic() < began + plan.seconds:
            time.sleep(1.0)  # one line of progress per second
            fresh = locust.samples()
            samples += fresh
            progress(f"{time.monotonic() - began:.0f} of {plan.seconds:g} s: {len(fresh)} answers in the last")
        if time.monotonic() < began + plan.seconds - _EARLY_SECONDS:
            locust.check()  # raises if Locust ended before the shape did
        samples += locust.samples()
    found = windows.stretch(samples)
    return ShapeRun(
        shape=shape, mix=load.mix, points=points(samples, began=began), latency=found.latency, errors=found.errors
    )


def points(samples: Sequence[Sample], *, began: float) -> list[ShapePoint]:
    """A point for each second with answers, except for the last second, which was cut short."""
    seconds: defaultdict[int, list[Sample]] = defaultdict(list)
    for one in samples:
        seconds[int(one.ended - began)].append(one)
    found = []
    for second, within in sorted(seconds.items())[:-1]:
        right = sorted(one.seconds for one in within if not one.error)
        found.append(
            ShapePoint(
                at=float(second),
                users=max(one.users for one in within),
                throughput=float(len(right)),
                errors=len(within) - len(right),
                p50=percentiles.percentile(right, 50) if right else None,
                p99=percentiles.percentile(right, 99) if right else None,
            )
        )
    return found


def _first_samples(locust: LocustProcess) -> list[Sample]:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        locust.check()
        if samples := locust.samples():
            return samples
        time.sleep(_POLL_SECONDS)  # polling: Locust is another process
    raise GeneratorFailed(f"Locust has not had one answer in {_START_SECONDS:g} s")


def _wait_until(moment: float, locust: LocustProcess) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))  # the load runs meanwhile
    locust.check()


def _words(window: Window) -> str:
    if window.p50 is None or window.p99 is None:
        return f"no right answer, {window.errors} errors"
    errors = f", {window.errors} errors" if window.errors else ""
    return f"{window.throughput:.1f}/s, p50 {window.p50 * 1e3:.1f} ms, p99 {window.p99 * 1e3:.1f} ms{errors}"
