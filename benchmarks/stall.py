"""What a stall looks like to a closed and to an open loop: `python -m benchmarks.stall`.

The service is stopped (SIGSTOP) for 200 ms every 2 s. A closed loop of one connection has one request under way then,
so one latency of hundreds is long and p99 hides it; in the open loop all that were due meanwhile are late, as they
would be for the service's users. Both send the same photos; the open loop half as many per second as the closed one
did.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from benchmarks import machine, report, verdict, workloads
from benchmarks.client import ask, drive
from benchmarks.overhead import PHOTOS
from benchmarks.plot import STYLE
from benchmarks.server import ROOT, Address, Service
from benchmarks.verdict import Check
from loadtests import open_loop, open_plan
from loadtests.aside import Aside
from loadtests.open_plan import Plan
from loadtests.percentiles import summarise
from loadtests.queries import Query, top_label
from loadtests.results import Latencies

CLOSED, OPEN = "closed loop", "open loop"
COLOURS = {CLOSED: "#e8590c", OPEN: "#0b7285"}
WARM_SECONDS = 0.5

Span = tuple[float, float]
"""From when to when, on the clock of `time.monotonic`, which on Linux `time.perf_counter` is too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one of the loops saw: its latencies, and how many requests waited through at least half a stall."""

    latency: Latencies
    stalled: int
    stalls: int
    per_second: float


def seen(waits: Sequence[Span], stalls: Sequence[Span]) -> Seen:
    """`waits`: of each request, from when its latency counts to its answer."""
    latency = summarise(ended - began for began, ended in waits)
    if latency is None:
        raise SystemExit("not one request was answered")
    began, ended = min(wait[0] for wait in waits), max(wait[1] for wait in waits)
    within = [(first, last) for first, last in stalls if first < ended and last > began]
    stalled = sum(
        any(min(end, last) - max(start, first) >= (last - first) / 2 for first, last in within) for start, end in waits
    )
    return Seen(latency=latency, stalled=stalled, stalls=len(within), per_second=len(waits) / (ended - began))


@contextmanager
def stalling(send: Callable[[signal.Signals], None], *, seconds: float, every: float) -> Iterator[list[Span]]:
    """Stop what `send` reaches for so long every so often; yields when that was."""
    stalls: list[Span] = []
    over = threading.Event()

    def stall() -> None:
        while not over.wait(every - seconds):
            began = time.monotonic()
            send(signal.SIGSTOP)
            try:
                over.wait(seconds)
            finally:
                send(signal.SIGCONT)
            stalls.append((began, time.monotonic()))

    thread = threading.Thread(target=stall)
    thread.start()
    try:
        yield stalls
    finally:
        over.set()
        thread.join()


def closed_loop(address: Address, requests: Sequence[bytes], *, seconds: float, stop: Connection) -> list[Span]:
    """One connection that sends its next request with each answer."""
    host, port = address
    load = drive(port, requests, connections=1, warm_seconds=WARM_SECONDS, window_seconds=seconds, meters=[], host=host)
    return [(one.started, one.ended) for one in load.exchanges]


def query(address: Address, request: bytes) -> Query:
    """The same request for the open loop; what is right is what the service says when nothing disturbs it."""
    head, _, body = request.partition(b"\r\n\r\n")
    start, *fields = head.decode().split("\r\n")
    headers = dict(field.split(": ", 1) for field in fields)
    return Query(
        mix="random",
        scenario="raw",
        kind="photo",
        path=start.split()[1],
        headers={"Content-Type": headers["Content-Type"]},
        body=body,
        expected=top_label(ask(address, request).body, json_length=None),
    )


def checks(loops: Mapping[str, Seen], *, stall_seconds: float) -> list[Check]:
    """That the open loop's p99 shows the stall, and the closed loop's does not."""
    half = stall_seconds * 1e3 / 2
    return [
        verdict.at_least("p99 of the open loop, of the stall at least half", loops[OPEN].latency.p99 * 1e3, half),
        verdict.at_most("p99 of the closed loop, of the stall at most half", loops[CLOSED].latency.p99 * 1e3, half),
    ]


def markdown(loops: Mapping[str, Seen]) -> str:
    """Both beside one another; times in ms."""
    rows: list[tuple[str, ...]] = [
        ("", "requests/s", "p50, ms", "p99, ms", "max, ms", "stalls", "saw a stall", "of all")
    ]
    for name, found in loops.items():
        latency = found.latency
        times = (f"{seconds * 1e3:.1f}" for seconds in (latency.p50, latency.p99, latency.max))
        share = f"{100 * found.stalled / latency.count:.2f} %"
        rows.append((name, f"{found.per_second:.0f}", *times, str(found.stalls), str(found.stalled), share))
    return report.table(rows)


def draw(loops: Mapping[str, Seen], path: Path) -> None:
    """Both as percentile curves, each further nine as wide as the one before."""
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(8, 4.4), layout="constrained")
        axes = canvas.subplots()
        axes.set_title("The same stalls: latency by percentile, ms")
        for name, found in loops.items():
            points = [
                (1 / (1 - percent / 100), seconds * 1e3) for percent, seconds in found.latency.curve if percent < 100
            ]
            axes.plot(*zip(*points, strict=True), color=COLOURS[name], label=name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks([1, 2, 10, 100, 1000], ["0", "50", "90", "99", "99.9"])
        axes.minorticks_off()
        axes.yaxis.set_major_formatter("{x:g}")
        axes.axvline(100, color="#495057", linewidth=1)
        axes.set_xlabel("percentile")
        axes.legend(frameon=False, loc="upper left")
        canvas.savefig(path, dpi=150)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: stall the service under both loops, print what each saw; 1 if they saw the same."""
    options = _parser().parse_args(arguments)
    payloads = workloads.load(options.images or (PHOTOS if PHOTOS.is_dir() else None))[options.scenario]
    requests = [workloads.request(payload) for payload in payloads]
    # However long the queue is after a stall: a request that is refused has no latency.
    flags = (f"--max-queue-wait-seconds={options.seconds}", *options.service_flag)
    with Aside() as aside, closing(Service(options.model_repository.resolve(), *flags)) as service:
        queries = [query(service.address, request) for request in requests]
        with stalling(service.signal, seconds=options.stall_seconds, every=options.stall_every) as stalls:
            waits = aside.run(closed_loop, address=service.address, requests=requests, seconds=options.seconds)
            closed = seen(waits, stalls)
            planned = Plan(
                url=f"http://127.0.0.1:{service.port}",
                queries=queries,
                rate=closed.per_second / 2,
                seconds=options.seconds,
                seed=options.seed,
            )
            done = aside.run(open_loop.drive, plan=planned)
        answered = [one for one in done.samples if one.response is not None]
        opened = seen([(done.began + one.scheduled, done.began + one.done) for one in answered], stalls)
    ran = open_plan.conclude(planned, done)
    loops = {CLOSED: closed, OPEN: opened}
    judged, faults = checks(loops, stall_seconds=options.stall_seconds), [*ran.faults, *ran.errors]
    print(markdown(loops), verdict.conclude(judged, faults), sep="\n\n")
    if options.json:
        document = {"environment": machine.environment([]), "loops": loops, "checks": judged, "faults": faults}
        options.json.write_text(json.dumps(document, default=asdict, ensure_ascii=False) + "\n")
    if options.plot:
        draw(loops, options.plot)
    return verdict.exit_code(judged, faults)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.stall", description=__doc__.partition(":")[0])
    add = parser.add_argument
    add("--model-repository", type=Path, default=ROOT / "model_repository", metavar="DIR")
    add("--service-flag", action="append", default=[], metavar="FLAG", help="passed on: --service-flag=--workers=2")
    add("--scenario", choices=workloads.SCENARIOS, default=workloads.RAW224)
    add("--images", type=Path, metavar="DIR", help="JPEG photos to send (default: photos of installed packages)")
    add("--seconds", type=float, default=20.0, help="how long each loop is counted")
    add("--stall-seconds", type=float, default=0.2)
    add("--stall-every", type=float, default=2.0)
    add("--seed", type=int, default=1)
    add("--json", type=Path, metavar="FILE", help="write all figures")
    add("--plot", type=Path, metavar="FILE", help="draw both percentile curves")
    return parser


if __name__ == "__main__":
    sys.exit(main())
