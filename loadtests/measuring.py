"""The measurements of a run in their order: the null backend, closed loops, shapes, open loops, capacities.

How each is measured is in `null_limits`, `closed_loop`, `open_loop` and `capacity`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from loadtests import capacity, closed_loop, null_limits
from loadtests.course import Course
from loadtests.liveness import ServerLost
from loadtests.locust_process import Load
from loadtests.marks import Marks
from loadtests.open_loop import OpenLoop
from loadtests.open_plan import QueryLoad
from loadtests.progress import Progress
from loadtests.queries import Query
from loadtests.results import Capacity, Cell, Mix, Null, OpenRun, ShapeRun
from loadtests.run_plan import RunPlan
from loadtests.sampling import Sampler
from loadtests.shapes import SIZES, Shape
from loadtests.target import Target

FIRST_RATE = 10.0
"""Requests per second at which a search begins if there is no closed loop to start from."""
_LOOK_SECONDS = 0.2
WARM_UP_SECONDS = 3.0
START_SECONDS = 60.0
"""If Locust has not begun after this time, it counts as dead."""


@dataclass(slots=True)
class Measuring:
    """A running load test, and its results so far."""

    target: Target
    plan: RunPlan
    folder: Path
    queries: list[Query]
    sampler: Sampler
    marks: Marks | None
    course: Course
    progress: Progress
    null: Null | None = None
    closed: list[Cell] = field(default_factory=list)
    shapes: list[ShapeRun] = field(default_factory=list)
    open: list[OpenRun] = field(default_factory=list)
    capacities: list[Capacity] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def everything(self) -> None:
        """Measure all of the plan."""
        plan = self.plan
        if plan.null:
            with self._phase("null backend"):
                load = self._load(plan.all_mixes[0], 1)
                queries = self._of(load.mix)
                self.null = null_limits.measure(load, plan.workers, plan.rule, queries, self.course)
        for mix in plan.mixes:
            for workers in plan.workers:
                with self._phase(f"{mix} × {workers}"):
                    cell = closed_loop.measure(self._load(mix, workers), plan.rule, self.course)
                    self.closed += [cell] if cell else []
        for shape in plan.shapes:
            with self._phase(shape):
                found = self._shape(shape)
                self.shapes += [found] if found else []
        for mix in plan.open_mixes if plan.is_open else ():
            self._open_loops(mix)

    @contextmanager
    def _phase(self, phase: str) -> Iterator[None]:
        """Name the current phase on the console, in the samples, and to Prometheus."""
        self.course.following.check()
        self._mark(phase)
        self.progress.begin(phase)
        try:
            yield
            self.course.following.check()
        finally:
            self._mark("")

    def _mark(self, phase: str) -> None:
        self.sampler.phase = phase
        if self.marks:
            self.marks.phase = phase

    def _of(self, mix: Mix) -> list[Query]:
        return [one for one in self.queries if one.mix == mix]

    def _load(self, mix: Mix, workers: int) -> Load:
        return Load(
            url=self.target.url,
            corpus=self.folder,
            mix=mix,
            workers=workers,
            processes=min(self.plan.processes, workers),
            scenarios=self.plan.scenarios,
            grpc=self.target.grpc,
            seed=self.plan.seed,
            seconds_most=self.plan.rule.seconds_most + START_SECONDS,
        )

    def _shape(self, shape: Shape) -> ShapeRun | None:
        size = SIZES[shape]
        options = ["--load-shape", shape, "--shape-users", str(size.users), "--shape-seconds", str(size.seconds)]
        load = replace(self._load(self.plan.mixes[0], size.users), processes=1, shape=options)
        return closed_loop.run_shape(shape, load, size, self.course)

    def _open_loops(self, mix: Mix) -> None:
        """Measure at the given rates, then search capacities from half of the closed loops' best throughput."""
        plan = self.plan
        reached = max((cell.throughput for cell in self.closed if cell.mix == mix), default=0.0)
        start = reached / 2 or FIRST_RATE
        first = QueryLoad(
            url=self.target.url, queries=self._of(mix), rate=start, seconds=WARM_UP_SECONDS, seed=plan.seed
        )
        with OpenLoop(first) as generator:
            with self._phase(f"{mix}: warming up at {start:.0f}/s"):
                self._probe(generator, start, WARM_UP_SECONDS, plan.seed)
            for rate in plan.open_rates:
                with self._phase(f"{mix} at {rate:g}/s"):
                    self.open.append(self._probe(generator, rate, plan.open_seconds, plan.seed))
            for objective in plan.capacity_p99_seconds:
                with self._phase(f"{mix}: capacity at p99 ≤ {objective * 1e3:g} ms"):
                    self.capacities.append(self._capacity(mix, objective, generator, start))

    def _capacity(self, mix: Mix, objective: float, generator: OpenLoop, start: float) -> Capacity:
        tried: list[OpenRun] = []

        def probe(rate: float, seconds: float, seed: int) -> OpenRun:
            found = self._probe(generator, rate, seconds, seed)
            tried.append(found)
            self.course.following.check()
            return found

        wanted = capacity.Objective(p99_at_most=objective)
        try:
            return capacity.find_capacity(probe, wanted, mix=mix, start=start, seed=self.plan.seed)
        except ServerLost as error:
            return Capacity(
                mix=mix,
                p99_at_most=objective,
                errors_at_most=wanted.errors_at_most,
                rate=None,
                probes=tried,
                faults=[str(error)],
            )

    def _probe(self, generator: OpenLoop, rate: float, seconds: float, seed: int) -> OpenRun:
        """Run the open loop to its end, or until the server is lost: then without the answers that have not come."""
        began = time.monotonic()
        generator.start(rate=rate, seconds=seconds, seed=seed)
        while not generator.has_ended(within_seconds=_LOOK_SECONDS):
            if self.course.is_over:
                generator.stop()
                if not generator.has_ended(within_seconds=_LOOK_SECONDS):
                    generator.stop()
                break
        found = generator.result()
        if lost := self.course.following.lost:
            found = replace(found, faults=[*found.faults, lost.reason])
        self.course.say(null_limits.words(found))
        self.course.note_open(found)
        return replace(found, server=self.course.observe(began, time.monotonic()), began=began - self.course.zero)

    def forget_the_dead(self) -> None:
        """Mark what reached beyond the loss of the server, which is known only a moment after it, as cut short."""
        lost = self.course.following.lost
        if lost is None:
            return
        self.closed = [
            replace(cell, cut=True, settled=False)
            if cell.windows and cell.windows[-1].began + cell.windows[-1].seconds > lost.at
            else cell
            for cell in self.closed
        ]
        self.open = [
            replace(one, faults=[*one.faults, lost.reason])
            if one.valid and one.began is not None and one.began + one.seconds > lost.at
            else one
            for one in self.open
        ]
