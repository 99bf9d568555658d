"""Load that does not wait for answers: Poisson arrivals at a fixed rate, on asyncio.

A closed loop sends less when the server is slow, and so hides what its users would suffer ("coordinated omission").
Here the schedule is fixed before the first request, and latency counts from the scheduled time, whatever held the
request up. If what held it up was the generator itself, the run is INVALID. Answers are kept, and judged after the run,
so that judging one cannot make the next late.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from loadtests import open_plan as plans
from loadtests.aside import Aside
from loadtests.event_loop import punctual
from loadtests.http1 import Response, render_head
from loadtests.lines import PIECE, Line, Message
from loadtests.open_plan import Done, Plan, Sample
from loadtests.poisson import arrivals
from loadtests.pool import Pool
from loadtests.queries import Query, order
from loadtests.results import OpenRun
from loadtests.sockets import Address

PATIENCE_SECONDS: Final = 20.0
"""After the last arrival, for whatever is not answered."""
BURST: Final = 8  # requests sent before answers are looked at, so that a late generator does not make answers late too
NO_ANSWER: Final = f"no answer within {PATIENCE_SECONDS:g} s of the last arrival"
NOT_SENT: Final = "not sent: no connection became free"


def run(plan: Plan, *, stop: Connection | None = None) -> OpenRun:
    """Do it in this process, which should have nothing else to do; see `drive`."""
    return plans.conclude(plan, drive(plan, stop=stop))


class OpenLoop:
    """A process that runs one plan, as it is or with other rates; the queries go there once. For use in `with`."""

    def __init__(self, plan: Plan) -> None:
        self._aside = Aside()
        self._aside.run(_hold, plan=plan)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._aside.__exit__(kind, error, trace)

    def run(self, **changes: Any) -> OpenRun:
        """Run it and wait; `rate=…`, `seconds=…`, `seed=…` in place of the plan's."""
        self.start(**changes)
        return self.result()

    def start(self, **changes: Any) -> None:
        """Let it begin; `result` waits for it."""
        self._aside.start(_run_held, changes=changes)

    def stop(self) -> None:
        """Ask the run under way to end early; what it has sent it still waits for."""
        self._aside.stop()

    def result(self) -> OpenRun:
        """What it found; what it raised is raised here."""
        found: OpenRun = self._aside.result()
        return found


_held: list[Plan] = []


def _hold(*, plan: Plan, stop: Connection) -> None:
    _held[:] = [plan]


def _run_held(*, changes: dict[str, Any], stop: Connection) -> OpenRun:
    return run(replace(_held[0], **changes), stop=stop)


def drive(plan: Plan, *, stop: Connection | None = None) -> Done:
    """Send everything that is due, until `stop` can be read or the schedule ends, and wait for what is under way."""
    address = Address.of(plan.url, cafile=plan.cafile)
    messages = [_message(plan.url, query) for query in plan.queries]
    gc.collect()
    gc.disable()  # a collection in the middle would be the generator's own lag
    try:
        with asyncio.Runner(loop_factory=punctual) as runner:
            return runner.run(_Generator(plan, messages).run(address, stop))
    finally:
        gc.enable()


def _message(url: str, query: Query) -> Message:
    parts = urlsplit(url)
    head = render_head("POST", parts.path.rstrip("/") + query.path, len(query.body), Host=parts.netloc, **query.headers)
    return head + query.body[:PIECE], memoryview(query.body)[PIECE:]


class _Generator:
    """One run under way."""

    def __init__(self, plan: Plan, messages: Sequence[Message]) -> None:
        self._plan = plan
        self._messages = messages
        self._schedule = zip(
            arrivals(plan.rate, plan.seconds, seed=plan.seed), order(len(messages), seed=plan.seed), strict=False
        )
        self._due = next(self._schedule, None)
        self._under_way: dict[Line, tuple[int, float, float, float]] = {}  # query, scheduled, sent, held
        self._samples: list[Sample] = []
        self._seconds = plan.seconds
        self._waits = False  # for a connection
        self._freed_at = 0.0  # the end of the last such wait
        self._starved = 0

    async def run(self, address: Address, stop: Connection | None) -> Done:
        self._loop = loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = loop.create_future()
        loop.set_exception_handler(self._break_off)
        self._pool = Pool(address, limit=self._plan.max_connections, ended=self._settle, freed=self._on_free)
        if stop is not None:
            loop.add_reader(stop.fileno(), self._end_early, stop)
        cpu = time.process_time()
        self._began = loop.time()
        self._patience = loop.call_at(self._began + self._plan.seconds + PATIENCE_SECONDS, self._give_up)
        self._send_due()
        try:
            await self._over
        finally:
            self._patience.cancel()
            elapsed, cpu = self._now(), time.process_time() - cpu
            if stop is not None:
                loop.remove_reader(stop.fileno())
            await self._pool.close()
        return Done(
            samples=sorted(self._samples, key=lambda sample: sample.scheduled),
            began=self._began,
            seconds=self._seconds,
            elapsed=elapsed,
            connections=self._pool.most,
            starved=self._starved,
            cpu_seconds=cpu,
        )

    def _now(self) -> float:
        return self._loop.time() - self._began

    def _send_due(self) -> None:
        """Send what is due; it comes again when more is, or when a connection is free for it."""
        for _ in range(BURST):
            if self._due is None:
                self._end_if_over()
                return
            scheduled, query = self._due
            if scheduled > (now := self._now()):
                self._loop.call_at(self._began + scheduled, self._send_due)
                return
            line = self._pool.take()
            if line is None:
                self._waits = True
                return
            self._due = next(self._schedule, None)
            self._under_way[line] = (query, scheduled, now, max(0.0, self._freed_at - scheduled))
            line.send(self._messages[query])
        self._loop.call_soon(self._send_due)

    def _on_free(self) -> None:
        if self._waits:
            self._waits = False
            self._starved += 1
            self._freed_at = self._now()
            self._loop.call_soon(self._send_due)

    def _settle(self, line: Line, response: Response | None, reason: str) -> None:
        """The end of a request: its answer, or why there is none."""
        query, scheduled, sent, held = self._under_way.pop(line)
        self._samples.append(Sample(query, scheduled, sent, self._now(), response, reason, held))
        self._pool.put(line)
        self._end_if_over()

    def _end_if_over(self) -> None:
        if self._due is None and not self._under_way and not self._over.done():
            self._over.set_result(None)

    def _give_up(self) -> None:
        """What is not answered by now is an error, and so is what could not be sent; nothing is lost."""
        for line, (query, scheduled, sent, held) in self._under_way.items():
            self._samples.append(Sample(query, scheduled, sent, self._now(), None, NO_ANSWER, held))
            line.abort()
        self._under_way.clear()
        while self._due is not None:
            scheduled, query = self._due
            self._samples.append(Sample(query, scheduled, None, self._now(), None, NOT_SENT))
            self._starved += 1
            self._due = next(self._schedule, None)
        self._end_if_over()

    def _end_early(self, stop: Connection) -> None:
        self._loop.remove_reader(stop.fileno())
        with suppress(EOFError):  # who could ask has died; nobody waits for the rest then either
            stop.recv()
        self._due, self._seconds = None, min(self._plan.seconds, self._now())
        self._patience.cancel()
        self._patience = self._loop.call_later(PATIENCE_SECONDS, self._give_up)
        self._end_if_over()

    def _break_off(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A fault of this program: the run must not go on as if there were none."""
        error = context.get("exception") or RuntimeError(context["message"])
        if not self._over.done():
            self._over.set_exception(error)
