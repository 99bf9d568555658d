"""The closed loop with Locust: a number of workers, each with one request in flight, until the windows agree.

It makes one measurement, or one run of a shape. `measuring` decides which ones, and their order.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from loadtests import shapes, windows
from loadtests.course import Course
from loadtests.locust_process import GeneratorFailed, Load, LocustProcess
from loadtests.recorder import Sample
from loadtests.results import Cell, ShapePoint, ShapeRun, Window
from loadtests.shapes import Shape
from loadtests.windows import Rule
from topfive_loadgen import percentiles

_START_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1
_EARLY_SECONDS: Final = 3.0  # Locust asks a shape for users once a second, and may begin before its first answer
# Samples are written ten times a second: after this time all samples of a window are in the files.
_WRITTEN_SECONDS: Final = 0.4
_READ_SECONDS: Final = 0.5
_SHORTEST: Final = 0.2
"""The share of a window that must be over, if the server is lost in it, for what was measured of it to be kept."""


def measure(load: Load, rule: Rule, course: Course) -> Cell | None:
    """Measure a cell: a warm-up, then windows until they agree, at most `rule.windows_most`.

    If the server is lost meanwhile, the cell has what was measured by then; None if that is nothing.
    """
    done: list[Window] = []
    cpu: list[float] = []
    seconds = rule.window_seconds
    with _Following(load, course) as following:
        start = following.first() + rule.warm_up_seconds
        if following.until(start):
            cpu.append(following.locust.cpu_seconds())
        while cpu and len(done) < rule.windows_most and not windows.agree(done):
            began = start + len(done) * seconds
            if not following.until(began + seconds):
                break
            cpu.append(following.locust.cpu_seconds())
            if not following.until(began + seconds + _WRITTEN_SECONDS):
                break
            done.append(windows.window(following.samples, start=began, seconds=seconds, zero=course.zero))
            course.say(f"window {len(done)}: {_words(done[-1])}")
        samples = following.samples
    if course.is_over:
        return _cut(load, samples, done, start=start, rule=rule, course=course)
    agreed = min(windows.AGREED, len(done))
    first, end = start + (len(done) - agreed) * seconds, start + len(done) * seconds
    cores = (cpu[-1] - cpu[-1 - agreed]) / (end - first)
    return _cell(load, samples, done, _Span(first, end, agreed), course=course, generator_cores=cores)


@dataclass(frozen=True, slots=True)
class _Span:
    """The time that a cell's figures are of, and how many windows are in it."""

    first: float
    end: float
    agreed: int


def _cut(
    load: Load, samples: Sequence[Sample], done: list[Window], *, start: float, rule: Rule, course: Course
) -> Cell | None:
    """The cell in which the server was lost: its whole windows, and of the last what was before the loss."""
    ended = course.ended or start
    whole = max(0, min(len(done), int((ended - start) / rule.window_seconds)))  # it was lost before it was known
    done, end = done[:whole], start + whole * rule.window_seconds
    left = min(ended - end, rule.window_seconds)
    if left >= _SHORTEST * rule.window_seconds:
        done = [*done, windows.window(samples, start=end, seconds=left, zero=course.zero)]
        end += left
    if not done:
        return None
    return _cell(load, samples, done, _Span(start, end, len(done)), course=course, generator_cores=None)


def _cell(
    load: Load,
    samples: Sequence[Sample],
    done: Sequence[Window],
    span: _Span,
    *,
    course: Course,
    generator_cores: float | None,
) -> Cell:
    found = windows.stretch([one for one in samples if span.first <= one.ended < span.end])
    return Cell(
        mix=load.mix,
        workers=load.workers,
        processes=load.processes,
        windows=done,
        agreed=span.agreed,
        settled=not course.is_over and windows.agree(done),
        throughput=(found.latency.count if found.latency else 0) / (span.end - span.first),
        latency=found.latency,
        scenarios=found.scenarios,
        kinds=found.kinds,
        errors=found.errors,
        server=course.observe(span.first, span.end),
        generator_cores=generator_cores,
        cut=course.is_over,
    )


def run_shape(shape: Shape, load: Load, plan: shapes.ShapeSize, course: Course) -> ShapeRun | None:
    """Run one shape; return its figures for each second, to the end or until the server is lost."""
    with _Following(load, course) as following:
        began = following.first()
        locust = following.locust
        while not locust.is_over and not course.is_over and time.monotonic() < began + plan.seconds:
            before = len(following.samples)
            following.rest(1.0)  # one line of progress per second
            fresh = following.samples[before:]
            right = sum(not one.error for one in fresh)
            errors = f", {len(fresh) - right} errors" if right < len(fresh) else ""
            course.say(f"{time.monotonic() - began:.0f} of {plan.seconds:g} s: {right} answers in the last{errors}")
        if not course.is_over and time.monotonic() < began + plan.seconds - _EARLY_SECONDS:
            locust.check()  # raises if Locust ended before the shape did
        following.read()
        samples = [one for one in following.samples if course.ended is None or one.ended < course.ended]
    if not samples:
        return None
    found = windows.stretch(samples)
    return ShapeRun(
        shape=shape, mix=load.mix, points=points(samples, began=began), latency=found.latency, errors=found.errors
    )


class _Following:
    """A Locust under way, and all samples that it has written so far."""

    def __init__(self, load: Load, course: Course) -> None:
        self.samples: list[Sample] = []
        self._load = load
        self._course = course

    def __enter__(self) -> Self:
        self.locust = LocustProcess(self._load)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._course.is_over and not self.locust.is_over:
            self.locust.abandon()  # a server that hangs would hold up its end
        self.locust.__exit__(kind, error, trace)

    def read(self) -> None:
        """Read what Locust has written since the last time."""
        self.samples += self._course.note(self.locust.samples())

    def first(self) -> float:
        """Wait for the first samples; return when the load began, or now if the server is lost before."""
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end and not self._course.is_over:
            self.locust.check()
            self.read()
            if self.samples:
                return min(one.started for one in self.samples)
            time.sleep(_POLL_SECONDS)  # polling: Locust is another process
        if self._course.is_over:
            return time.monotonic()
        raise GeneratorFailed(f"Locust has not sent one request to its end in {_START_SECONDS:g} s")

    def until(self, moment: float) -> bool:
        """Wait for a moment, and read meanwhile; False if the server is lost before."""
        while not self._course.is_over:
            has_come = self._course.sleep_until(moment, at_most=_READ_SECONDS)
            self.locust.check()
            self.read()
            if has_come:
                return True
        return False

    def rest(self, seconds: float) -> None:
        """Wait so long; a Locust that ends meanwhile is no error."""
        time.sleep(seconds)
        self.read()


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


def _words(window: Window) -> str:
    if window.p50 is None or window.p99 is None:
        return f"no right answer, {window.errors} errors"
    errors = f", {window.errors} errors" if window.errors else ""
    return f"{window.throughput:.1f}/s, p50 {window.p50 * 1e3:.1f} ms, p99 {window.p99 * 1e3:.1f} ms{errors}"
