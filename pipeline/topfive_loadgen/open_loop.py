"""Load that does not wait for answers: Poisson arrivals at a fixed rate, on asyncio.

A closed loop sends less when the server is slow, and so hides the delays of its users ("coordinated omission"). Here
the schedule is fixed before the first request, and latency counts from the scheduled time. If the generator itself
sends late, the run is INVALID. Answers are judged after the run, so that judging one cannot make the next late.

asyncio provides TLS, name look-up and flow control. Why there is only one engine: decision 19.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any, Final

from topfive_loadgen.event_loop import punctual
from topfive_loadgen.http1 import Response
from topfive_loadgen.lines import ClientConnection, Message, message
from topfive_loadgen.plan import Done, OpenLoad, Sample
from topfive_loadgen.pool import Pool
from topfive_loadgen.schedule import arrivals, order
from topfive_loadgen.sockets import Address

PATIENCE_SECONDS: Final = 20.0
"""How long to wait for answers after the last arrival."""
BURST: Final = 8  # requests sent before answers are looked at, so that a late generator does not make answers late too
NO_ANSWER: Final = f"no answer within {PATIENCE_SECONDS:g} s of the last arrival"
BROKEN_OFF: Final = "no answer when the run was broken off"
NOT_SENT: Final = "not sent: no connection became free"


def drive(plan: OpenLoad, *, stop: Connection | None = None) -> Done:
    """Send each request when it is due, until `stop` is readable or the schedule ends; then wait for the answers.

    What can be read from `stop` a second time ends the wait, too.
    """
    address = Address.of(plan.url, cafile=plan.cafile)
    messages = [message(request) for request in plan.requests]
    gc.collect()
    gc.disable()  # a garbage collection would make the generator late
    try:
        with asyncio.Runner(loop_factory=punctual) as runner:
            done = runner.run(_Generator(plan, messages).run(address, stop))
    finally:
        gc.enable()
    return replace(done, samples=[_read(sample, plan.read) for sample in done.samples]) if plan.read else done


def _read(sample: Sample, read: Callable[[Response], object]) -> Sample:
    return replace(sample, seen=read(sample.response) if sample.response else sample.reason)


class _Generator:
    """A running open loop."""

    def __init__(self, plan: OpenLoad, messages: Sequence[Message]) -> None:
        self._plan = plan
        self._messages = messages
        self._schedule = zip(
            arrivals(plan.rate, plan.seconds, seed=plan.seed), order(len(messages), seed=plan.seed), strict=False
        )
        self._due = next(self._schedule, None)
        self._under_way: dict[ClientConnection, tuple[int, float, float, float]] = {}  # request, scheduled, sent, held
        self._samples: list[Sample] = []
        self._seconds = plan.seconds
        self._waits = False  # whether a due request waits for a connection
        self._freed_at = 0.0  # the end of the last such wait
        self._starved = 0
        self._ends_early = False

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
        """Send all due requests; called again when the next is due, or when a connection becomes free."""
        for _ in range(BURST):
            if self._due is None:
                self._end_if_over()
                return
            scheduled, request = self._due
            if scheduled > (now := self._now()):
                self._loop.call_at(self._began + scheduled, self._send_due)
                return
            line = self._pool.take()
            if line is None:
                self._waits = True
                return
            self._due = next(self._schedule, None)
            self._under_way[line] = (request, scheduled, now, max(0.0, self._freed_at - scheduled))
            line.send(self._messages[request])
        self._loop.call_soon(self._send_due)

    def _on_free(self) -> None:
        if self._waits:
            self._waits = False
            self._starved += 1
            self._freed_at = self._now()
            self._loop.call_soon(self._send_due)

    def _settle(self, line: ClientConnection, response: Response | None, reason: str) -> None:
        """Record the end of a request: its answer, or the reason why there is none."""
        request, scheduled, sent, held = self._under_way.pop(line)
        self._samples.append(Sample(request, scheduled, sent, self._now(), response, reason, held))
        self._pool.put(line)
        self._end_if_over()

    def _end_if_over(self) -> None:
        if self._due is None and not self._under_way and not self._over.done():
            self._over.set_result(None)

    def _give_up(self, reason: str = NO_ANSWER) -> None:
        """Record requests that are unanswered or unsent as errors."""
        for line, (request, scheduled, sent, held) in self._under_way.items():
            self._samples.append(Sample(request, scheduled, sent, self._now(), None, reason, held))
            line.abort()
        self._under_way.clear()
        now = self._now()
        while self._due is not None:
            scheduled, request = self._due
            self._samples.append(Sample(request, scheduled, now, now, None, NOT_SENT, now - scheduled))
            self._starved += 1
            self._due = next(self._schedule, None)
        self._end_if_over()

    def _end_early(self, stop: Connection) -> None:
        """Send no more; asked again, wait for no answer either."""
        try:
            stop.recv()
        except EOFError:  # the parent process has died, so no process waits for the rest
            self._loop.remove_reader(stop.fileno())
        if self._ends_early:
            self._give_up(BROKEN_OFF)
            return
        self._ends_early = True
        self._due, self._seconds = None, min(self._plan.seconds, self._now())
        self._patience.cancel()
        self._patience = self._loop.call_later(PATIENCE_SECONDS, self._give_up)
        self._end_if_over()

    def _break_off(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End the run because of a fault in this program."""
        error = context.get("exception") or RuntimeError(context["message"])
        if not self._over.done():
            self._over.set_exception(error)
