"""What happens at twice the capacity: `python -m benchmarks.overload`.

Measures the peak, then offers 80 % of it, twice of it, and twice of it with deadlines, in rounds, because machines are
noisy. This module is the command and the order of its phases; the generator is `open_loop`, in a process of its own,
the arithmetic is `load_figures`, the targets are `overload_verdict`.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks import answers, load_figures, machine, server, timeline, verdict, workloads
from benchmarks import overload_verdict as o
from benchmarks.overhead import PHOTOS
from benchmarks.overload_verdict import Phase
from benchmarks.server import Endpoint, Service
from loadgen.aside import Aside
from loadgen.asking import ask
from loadgen.closed_loop import drive
from loadgen.open_loop import drive as drive_open
from loadgen.plan import MAX_CONNECTIONS, Done, Plan, Sample

AROUND = (0.95, 1.1)  # of the closed loop's rate: where the peak is looked for in an open loop
CLOSED_CONNECTIONS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is sent, and how long each phase lasts; what is scheduled before `warm_seconds` is not counted."""

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
    """Answers per second to a few connections that wait for each."""
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
        yield Phase(o.CLOSED, turn, {load_figures.GOODPUT: closed})
        peak = closed
        for share in AROUND:
            yield (phase := self._open(f"{share:g} × closed", turn, share * closed))
            peak = max(peak, phase.figures[load_figures.GOODPUT])
        yield self._open(o.BELOW, turn, o.BELOW_SHARE * peak)
        yield self._open(o.TWICE, turn, 2 * peak)
        yield self._open(o.DEADLINES, turn, 2 * peak, deadlines=True)

    def _open(self, name: str, turn: int, rate: float, *, deadlines: bool = False) -> Phase:
        setup = self._setup
        plan = Plan(
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
        figures[o.GENERATOR_CPU] = done.cpu_seconds / seconds
        if service:
            figures[o.SERVICE_CPU] = service[0] / seconds
            figures[o.OTHERS_CPU] = (busy - service[0] - done.cpu_seconds) / seconds
        if deadlines:
            figures |= o.lateness(done.samples, timeout_seconds=setup.timeout_seconds)
        return Phase(name, turn, figures, done.faults(), _kept(done))

    def _is_right(self, answer: Sample) -> bool:
        assert isinstance(answer.seen, tuple)
        return answer.seen[0] in self._setup.right[answer.request]


def _kept(done: Done) -> list[tuple[float, float, int]]:
    """What the picture needs: when each was due, how long it took, what came."""
    return [(round(one.scheduled, 4), round(one.latency, 5), one.status) for one in done.samples]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: measure, print, write what was asked for; 1 if a target is missed or the run is invalid."""
    options = _parser().parse_args(arguments)
    payloads = workloads.load(options.images or (PHOTOS if PHOTOS.is_dir() else None))[options.scenario]
    requests = [workloads.request(payload) for payload in payloads]
    with ExitStack() as stack:
        aside = stack.enter_context(Aside())
        service = server.served(options, stack)
        setup = Setup(
            requests=requests,
            deadlined=[workloads.request(payload, timeout_ms=options.timeout_ms) for payload in payloads],
            right=[answers.likely_indices(ask(service.address, request)) for request in requests],
            warm_seconds=options.seconds / 5,
            seconds=options.seconds,
            connections=options.connections,
            timeout_seconds=options.timeout_ms / 1e3,
            rounds=options.rounds,
            seed=options.seed,
        )
        phases = []
        for phase in Overload(service, setup, aside=aside).phases():
            phases.append(phase)
            print(f"round {phase.round + 1}  {phase.name:16}{o.line(phase)}", file=sys.stderr)
    checks, faults = o.checks(phases), o.faults(phases)
    print(o.markdown(phases), verdict.markdown(checks), verdict.conclude(checks, faults), sep="\n\n")
    environment = {"scenario": options.scenario, "flags": options.service_flag, **machine.environment([])}
    if options.json:
        document = {"environment": environment, "checks": checks, "faults": faults, "phases": phases}
        options.json.write_text(json.dumps(document, default=asdict, ensure_ascii=False) + "\n")
    if options.plot:
        shown = {phase.name: phase.answers for phase in phases if phase.round == options.rounds - 1 and phase.answers}
        timeline.draw_latencies(shown, options.plot)
    return verdict.exit_code(checks, faults)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.overload", description=__doc__.partition(":")[0])
    add = parser.add_argument
    server.add_arguments(parser)
    add("--scenario", choices=workloads.SCENARIOS, default=workloads.RAW224)
    add("--images", type=Path, metavar="DIR", help="JPEG photos to send (default: photos of installed packages)")
    add("--rounds", type=int, default=3, metavar="N")
    add("--seconds", type=float, default=8.0, help="how long each phase is counted, after a fifth of it to warm up")
    add("--connections", type=int, default=MAX_CONNECTIONS, metavar="N", help="the most at once")
    add("--timeout-ms", type=int, default=100, metavar="MS", help="the deadline in the phase with deadlines")
    add("--seed", type=int, default=1)
    add("--json", type=Path, metavar="FILE", help="write all figures and when each answer came")
    add("--plot", type=Path, metavar="FILE", help="draw the latencies of the last round")
    return parser


if __name__ == "__main__":
    sys.exit(main())
