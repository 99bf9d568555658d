"""Measures the service at twice its capacity: `python -m benchmarks overload`.

It measures the peak, then offers 80 % of it, 200 %, and 200 % with deadlines, in several rounds, because machines are
noisy. This module is the command and the order of its phases. The generator is `topfive_loadgen.open_loop`, in a
separate process; `load_figures` computes the figures, and `overload_verdict` has the targets.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated

from typer import Option

from benchmarks import answers, load_figures, machine, report, timeline, workloads
from benchmarks import options as o
from benchmarks import overload_verdict as v
from benchmarks.overload_verdict import Phase
from benchmarks.server import Endpoint, Service
from topfive_loadgen.aside import Aside
from topfive_loadgen.asking import ask
from topfive_loadgen.closed_loop import drive
from topfive_loadgen.open_loop import drive as drive_open
from topfive_loadgen.plan import MAX_CONNECTIONS, Done, OpenLoad, Sample

AROUND = (0.95, 1.1)  # factors of the closed loop's rate at which open loops look for the peak
CLOSED_CONNECTIONS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is sent, and how long each phase lasts; requests scheduled before `warm_seconds` are not counted."""

    requests: Sequence[bytes]
    deadlined: Sequence[bytes]
    right: Sequence[frozenset[int]]
    warm_seconds: float
    seconds: float
    connections: int
    timeout_seconds: float
    rounds: int
    seed: int


def closed_loop(url: str, requests: Sequence[bytes], *, warm_seconds: float, seconds: float, stop: Connection) -> float:
    """Answers per second of a few connections, each waiting for its answer."""
    load = drive(
        url,
        requests,
        connections=CLOSED_CONNECTIONS,
        warm_seconds=warm_seconds,
        window_seconds=seconds,
    )
    return load.requests_per_second


class Overload:
    """The phases against one service."""

    def __init__(self, service: Endpoint, setup: Setup, *, aside: Aside) -> None:
        self._service = service
        self._setup = setup
        self._aside = aside

    def phases(self) -> Iterator[Phase]:
        """All phases of all rounds."""
        for turn in range(self._setup.rounds):
            yield from self._round(turn)

    def _round(self, turn: int) -> Iterator[Phase]:
        setup = self._setup
        closed = self._aside.run(
            closed_loop,
            url=self._service.http_url,
            requests=setup.requests,
            warm_seconds=setup.warm_seconds,
            seconds=setup.seconds,
        )
        yield Phase(v.CLOSED, turn, {load_figures.GOODPUT: closed})
        peak = closed
        for share in AROUND:
            yield (phase := self._open(f"{share:g} × closed", turn, share * closed))
            peak = max(peak, phase.figures[load_figures.GOODPUT])
        yield self._open(v.BELOW, turn, v.BELOW_SHARE * peak)
        yield self._open(v.TWICE, turn, 2 * peak)
        yield self._open(v.DEADLINES, turn, 2 * peak, deadlines=True)

    def _open(self, name: str, turn: int, rate: float, *, deadlines: bool = False) -> Phase:
        setup = self._setup
        plan = OpenLoad(
            url=self._service.http_url,
            requests=setup.deadlined if deadlines else setup.requests,
            rate=rate,
            seconds=setup.warm_seconds + setup.seconds,
            seed=setup.seed + turn,
            read=answers.top_and_inference,
            max_connections=setup.connections,
        )
        meters = [time.monotonic, machine.busy_seconds]
        if isinstance(self._service, Service):
            meters.append(self._service.cpu_seconds)
        before = [read() for read in meters]
        done = self._aside.run(drive_open, plan=plan)
        seconds, busy, *service = (read() - first for read, first in zip(meters, before, strict=True))
        figures = load_figures.summarise(
            done.samples, after=setup.warm_seconds, until=plan.seconds, is_right=self._is_right
        )
        figures[v.GENERATOR_CPU] = done.cpu_seconds / seconds
        if service:
            figures[v.SERVICE_CPU] = service[0] / seconds
            figures[v.OTHERS_CPU] = (busy - service[0] - done.cpu_seconds) / seconds
        if deadlines:
            figures |= v.lateness(done.samples, timeout_seconds=setup.timeout_seconds)
        return Phase(name, turn, figures, done.faults(), _kept(done))

    def _is_right(self, answer: Sample) -> bool:
        assert isinstance(answer.seen, tuple)
        return answer.seen[0] in self._setup.right[answer.request]


def _kept(done: Done) -> list[tuple[float, float, int]]:
    """For the picture: when each request was due, its latency, and its status."""
    return [(round(one.scheduled, 4), round(one.latency, 5), one.status) for one in done.samples]


def main(
    *,
    url: o.Url = None,
    model_repository: o.Repository = o.REPOSITORY,
    service_flag: o.Flags = o.NONE_GIVEN,
    scenario: o.Scenario = "raw224",
    images: o.Images = None,
    rounds: o.Rounds = 3,
    seconds: o.PhaseSeconds = 8.0,
    connections: o.Connections = MAX_CONNECTIONS,
    timeout_ms: Annotated[int, Option(metavar="MS", help="deadline of requests in the phase with deadlines")] = 100,
    seed: o.Seed = 1,
    json: o.Json = None,
    plot: Annotated[
        Path | None, Option(metavar="FILE", help="draw the latencies of the last round into this file")
    ] = None,
) -> int:
    """Measure goodput, latency and refusals at twice the capacity, with and without deadlines, and at 80 %."""
    payloads = workloads.load(images)[scenario]
    requests = [workloads.request(payload) for payload in payloads]
    with ExitStack() as stack:
        aside = stack.enter_context(Aside())
        service = o.served(url, model_repository, service_flag, stack)
        setup = Setup(
            requests=requests,
            deadlined=[workloads.request(payload, timeout_ms=timeout_ms) for payload in payloads],
            right=[answers.likely_indices(ask(service.address, request)) for request in requests],
            warm_seconds=seconds / 5,
            seconds=seconds,
            connections=connections,
            timeout_seconds=timeout_ms / 1e3,
            rounds=rounds,
            seed=seed,
        )
        phases = []
        for phase in Overload(service, setup, aside=aside).phases():
            phases.append(phase)
            print(f"round {phase.round + 1}  {phase.name:16}{v.line(phase)}", file=sys.stderr)
    if plot:
        shown = {phase.name: phase.answers for phase in phases if phase.round == rounds - 1 and phase.answers}
        timeline.draw_latencies(shown, plot)
    environment = {"scenario": scenario, "flags": service_flag, **machine.environment([])}
    document = {"environment": environment, "phases": phases}
    return report.finish(v.checks(phases), v.faults(phases), shown=[v.markdown(phases)], json=json, document=document)
