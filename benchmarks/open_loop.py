"""Load that does not wait for answers: Poisson arrivals at a fixed rate, `python -m benchmarks.open_loop`.

A closed loop sends less when the server is slow, and so hides what its users would suffer. Here the schedule is fixed
before the first request; latency counts from the scheduled time, whatever held the request up. If what held it up was
the generator itself, the run is INVALID. One thread, epoll, requests rendered beforehand, as in `client`.
"""

import argparse
import gc
import json
import select
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks import load_figures, verdict, workloads
from benchmarks.pool import Line, Pool
from benchmarks.schedule import MAX_CONNECTIONS, Answer, Plan, Run, faults
from benchmarks.server import Endpoint
from loadtests.http1 import Response
from loadtests.poisson import arrivals

PATIENCE_SECONDS = 20.0  # after the last arrival, for whatever is not answered
BURST = 8  # requests sent before answers are looked at, so that a late generator does not make answers late too


def run(plan: Plan, *, stop: Connection | None = None) -> Run:
    """Send everything that is due, until `stop` can be read or the schedule ends, and wait for what is under way."""
    gc.disable()  # a collection in the middle would be the generator's own lag
    try:
        with select.epoll() as epoll, closing(Pool(plan.address, limit=plan.max_connections, epoll=epoll)) as pool:
            return _Generator(plan, epoll=epoll, pool=pool, stop=stop).run()
    finally:
        gc.enable()


class _Generator:
    """One run under way."""

    def __init__(self, plan: Plan, *, epoll: select.epoll, pool: Pool, stop: Connection | None) -> None:
        self._read = plan.read
        self._messages = [memoryview(request) for request in plan.requests]
        self._schedule = enumerate(arrivals(plan.rate, plan.seconds, seed=plan.seed))
        self._due = next(self._schedule, None)
        self._under_way: dict[Line, tuple[int, float, float]] = {}  # request, scheduled, sent
        self._answers: list[Answer] = []
        self._starved: set[int] = set()
        self._epoll = epoll
        self._pool = pool
        self._stop = stop
        if stop is not None:
            epoll.register(stop.fileno(), select.EPOLLIN)
        self._gives_up = plan.seconds + PATIENCE_SECONDS
        self._cpu = time.process_time()
        self._began = time.monotonic()

    def run(self) -> Run:
        while (self._due or self._under_way) and self._now() < self._gives_up:
            free = self._send_due()
            for file, event in self._events(free=free):
                if self._stop is not None and file == self._stop.fileno():
                    self._end_early(self._stop)
                elif line := self._pool.at(file):
                    self._on_event(line, event)
        for line in list(self._under_way):
            self._lose(line, "no answer")
        answered = sorted(self._answers, key=lambda answer: answer.scheduled)
        cpu = time.process_time() - self._cpu
        return Run(answered, self._began, self._now(), self._pool.most, len(self._starved), cpu)

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _events(self, *, free: bool) -> list[tuple[int, int]]:
        """What happened on the connections, or nothing if the next request is due before anything does."""
        until = self._due[1] if self._due and free else self._gives_up if self._under_way else 0.0
        # epoll's own timeout counts in milliseconds; that of select in microseconds.
        select.select([self._epoll], [], [], max(0.0, min(PATIENCE_SECONDS, until - self._now())))
        return self._epoll.poll(0)

    def _send_due(self) -> bool:
        """Send what is due; False if no connection is free for it."""
        for _ in range(BURST):
            if not self._due or self._due[1] > (now := self._now()):
                break
            turn, scheduled = self._due
            line = self._pool.take()
            if line is None:
                self._starved.add(turn)
                return False
            self._due = next(self._schedule, None)
            request = turn % len(self._messages)
            self._under_way[line] = (request, scheduled, now)
            try:
                line.send(self._messages[request])
            except OSError as error:
                self._lose(line, str(error))
        return True

    def _on_event(self, line: Line, event: int) -> None:
        try:
            if event & select.EPOLLOUT:
                line.flush()
            response = line.receive() if event & ~select.EPOLLOUT else None
        except (OSError, ValueError) as error:
            self._lose(line, str(error))
            return
        if response is not None:
            self._settle(line, response)
        if line.is_idle and (response is not None or event & select.EPOLLOUT):
            self._pool.put(line)
        elif line.is_over:
            self._pool.drop(line)

    def _settle(self, line: Line, response: Response) -> None:
        done = self._now()
        after = response.header("retry-after")
        seconds = float(after) if after else None
        self._answers.append(
            Answer(*self._under_way.pop(line), done, response.status, self._read(response), retry_after=seconds)
        )

    def _lose(self, line: Line, reason: str) -> None:
        """Give a connection up, and with it the request under way on it, if there is one."""
        if line in self._under_way:
            self._answers.append(Answer(*self._under_way.pop(line), self._now(), 0, reason))
        self._pool.drop(line)

    def _end_early(self, stop: Connection) -> None:
        self._epoll.unregister(stop.fileno())
        self._stop = None
        stop.recv()
        self._due = None
        self._gives_up = self._now() + PATIENCE_SECONDS


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: send, print what came back, 1 for a run that is INVALID or has a request without an answer."""
    options = _parser().parse_args(arguments)
    plan = Plan(
        address=Endpoint.at(options.url).address,
        requests=[*map(workloads.request, workloads.load(options.images)[options.scenario])],
        rate=options.rate,
        seconds=options.seconds,
        seed=options.seed,
        max_connections=options.connections,
    )
    done = run(plan)
    measured = load_figures.summarise(done.answers, after=0.0, until=plan.seconds)
    print(load_figures.markdown({f"{plan.rate:g}/s": measured}))
    print(f"{done.connections} connections, {done.cpu_seconds / done.seconds:.2f} cores for the generator")
    if options.json:
        options.json.write_text(json.dumps({"figures": measured, "run": done}, default=asdict) + "\n")
    unanswered = [str(answer.seen) for answer in done.answers if not answer.status]
    checks = [verdict.none_of("requests without an answer", unanswered)]
    print(verdict.conclude(checks, faults(done)))
    return verdict.exit_code(checks, faults(done))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.open_loop", description=__doc__.partition(":")[0])
    add = parser.add_argument
    add("--url", required=True, help="the service, http://host:port")
    add("--rate", type=float, required=True, metavar="N", help="requests per second")
    add("--seconds", type=float, default=10.0)
    add("--seed", type=int, default=1)
    add("--scenario", choices=workloads.SCENARIOS, default=workloads.RAW224)
    add("--images", type=Path, metavar="DIR", help="JPEG photos to send (default: photos of installed packages)")
    add("--connections", type=int, default=MAX_CONNECTIONS, metavar="N", help="the most at once")
    add("--json", type=Path, metavar="FILE", help="write every answer")
    return parser


if __name__ == "__main__":
    sys.exit(main())
