"""A whole run: the null backend first, then the closed loops, shapes, open loops and capacities, one after another.

What lives here: the order, and who is told what is being measured. How each is measured: `closed_loop`, `open_loop`,
`capacity`. What becomes of it: `report`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from loadtests import capacity, closed_loop, corpus, environment, open_loop, query_files, shapes
from loadtests.locust_process import Load
from loadtests.marks import Marks
from loadtests.oracle import Oracle
from loadtests.queries import Query, Scenario
from loadtests.results import Capacity, Cell, Mix, Null, OpenRun, Run, ShapeRun
from loadtests.run_plan import RunPlan
from loadtests.sampling import Sampler
from loadtests.target import Target

INTERRUPTED = "it was interrupted: what had not been measured by then is missing"


@dataclass(slots=True)
class _Found:
    """What has been measured so far."""

    null: Null | None = None
    closed: list[Cell] = field(default_factory=list)
    shapes: list[ShapeRun] = field(default_factory=list)
    open: list[OpenRun] = field(default_factory=list)
    capacities: list[Capacity] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def run(
    target: Target, plan: RunPlan, *, name: str, marks_port: int | None, pid: int | None, say: Callable[[str], None]
) -> Run:
    """Measure it all; interrupted by the keyboard, what there is by then. `say` gets a line of progress at a time."""
    zero, began = time.monotonic(), datetime.now(UTC)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="topfive-corpus-")))
        oracle, queries = _corpus(target, plan, folder, say=say)
        sampler = stack.enter_context(Sampler(target.metrics_url, pid=pid, zero=zero))
        marks = stack.enter_context(Marks(port=marks_port, run=name)) if marks_port is not None else None
        measuring = _Measuring(target, plan, folder, queries, sampler, marks, zero, say)
        try:
            measuring.everything()
        except KeyboardInterrupt:
            measuring.found.faults.append(INTERRUPTED)
    found = measuring.found
    if not sampler.readings:
        say(f"{target.metrics_url} told nothing: the report has no figures of the server's own")
    return Run(
        name=name,
        url=target.url,
        began=began.isoformat(timespec="seconds"),
        seconds=time.monotonic() - zero,
        environment=environment.describe(target, oracle.graphs, settings=plan.described()),
        null=found.null,
        closed=found.closed,
        shapes=found.shapes,
        open=found.open,
        capacities=found.capacities,
        moments=sampler.moments,
        faults=found.faults,
    )


def scenarios_of(target: Target, plan: RunPlan) -> Sequence[Scenario]:
    """Those that are sent: the plan's, or all that the target can be asked over HTTP."""
    return list(plan.scenarios or target.scenarios)


def _corpus(target: Target, plan: RunPlan, folder: Path, *, say: Callable[[str], None]) -> tuple[Oracle, list[Query]]:
    say("computing what is right, in process")
    oracle = Oracle(plan.repository, plan.model)
    photos = corpus.photos(plan.photos, seed=plan.seed, size=oracle.size)
    scenarios = scenarios_of(target, plan)
    mixes = list(dict.fromkeys([*plan.mixes, *(plan.open_mixes if _is_open(plan) else ())]))
    count = query_files.write(corpus.build(photos, oracle, mixes=mixes, scenarios=scenarios), folder)
    say(f"{count} queries of {len(photos)} photos")
    return oracle, query_files.read(folder)


def _is_open(plan: RunPlan) -> bool:
    return bool(plan.open_rates or plan.capacity_p99_seconds)


@dataclass(slots=True)
class _Measuring:
    """A run under way."""

    target: Target
    plan: RunPlan
    folder: Path
    queries: list[Query]
    sampler: Sampler
    marks: Marks | None
    zero: float
    say: Callable[[str], None]
    found: _Found = field(default_factory=_Found)

    def everything(self) -> None:
        plan = self.plan
        if plan.null:
            self.found.null = self._null()
        for mix in plan.mixes:
            for workers in plan.workers:
                with self._phase(f"{mix} × {workers}"):
                    self.found.closed.append(self._closed(self._load(mix, workers)))
        for shape in plan.shapes:
            with self._phase(shape):
                self.found.shapes.append(self._shape(shape))
        for mix in plan.open_mixes:
            for rate in plan.open_rates:
                self.found.open.append(self._open(mix, rate, plan.open_seconds, plan.seed))
            for objective in plan.capacity_p99_seconds:
                self.found.capacities.append(self._capacity(mix, objective))

    @contextmanager
    def _phase(self, phase: str) -> Iterator[None]:
        """Tell everybody what is being measured."""
        self.sampler.phase = phase
        if self.marks:
            self.marks.phase = phase
        self._say(phase)
        try:
            yield
        finally:
            self.sampler.phase = ""
            if self.marks:
                self.marks.phase = ""

    def _say(self, line: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.zero), 60)
        self.say(f"[{minutes}:{seconds:02}] {line}")

    def _load(self, mix: Mix, workers: int) -> Load:
        return Load(
            url=self.target.url,
            corpus=self.folder,
            mix=mix,
            workers=workers,
            processes=min(self.plan.processes, workers),
            scenarios=scenarios_of(self.target, self.plan),
            grpc=self.target.grpc,
            seed=self.plan.seed,
        )

    def _closed(self, load: Load) -> Cell:
        return closed_loop.measure(
            load, self.plan.rule, observe=self.sampler.server, zero=self.zero, progress=self._step
        )

    def _step(self, line: str) -> None:
        self._say(f"  {line}")

    def _shape(self, shape: shapes.Shape) -> ShapeRun:
        size = shapes.SIZES[shape]
        options = ["--load-shape", shape, "--shape-users", str(size.users), "--shape-seconds", str(size.seconds)]
        load = replace(self._load("random", size.users), processes=1, shape=options)
        return closed_loop.run_shape(shape, load, size, progress=self._step)

    def _open(self, mix: Mix, rate: float, seconds: float, seed: int) -> OpenRun:
        with self._phase(f"{mix}, {rate:g}/s"):
            return self._probe(self.target.url, self._of(mix), rate=rate, seconds=seconds, seed=seed)

    def _capacity(self, mix: Mix, p99_seconds: float) -> Capacity:
        """The search begins at half of what the closed loops reached, if there were any."""
        reached = max((cell.throughput for cell in self.found.closed if cell.mix == mix), default=0.0)
        with self._phase(f"{mix}: capacity at p99 ≤ {p99_seconds * 1e3:g} ms"):
            return capacity.find_capacity(
                lambda rate, seconds, seed: self._probe(
                    self.target.url, self._of(mix), rate=rate, seconds=seconds, seed=seed
                ),
                mix=mix,
                p99_at_most=p99_seconds,
                start_rate=reached / 2 or 10.0,
                seed=self.plan.seed,
            )

    def _of(self, mix: Mix) -> list[Query]:
        return [one for one in self.queries if one.mix == mix]

    def _probe(self, url: str, queries: Sequence[Query], *, rate: float, seconds: float, seed: int) -> OpenRun:
        plan = OpenPlan(url=url, queries=queries, rate=rate, seconds=seconds, seed=seed)
        began = time.monotonic()
        found = open_loop.run_aside(plan)
        self._step(_words(found))
        return replace(found, server=self.sampler.server(began, time.monotonic()))
