"""The closed loop: a fixed number of connections, each sending its next request after the answer to its last.

Requests are rendered before the window and answers judged after it, so that neither costs CPU within it.
(`loadtests.closed_loop` does the same with Locust, whose users judge each answer at once.)
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from topfive_loadgen.http1 import Response
from topfive_loadgen.lines import ClientConnection, message
from topfive_loadgen.plan import Request
from topfive_loadgen.pool import Pool
from topfive_loadgen.sockets import Address

STALL_SECONDS: Final = 20.0
"""After so long without any answer the server counts as dead."""
AGAIN_SECONDS: Final = 0.1
"""How long a load that `goes_on` waits after a failure: who asks again at once is mostly refused again."""
GONE: Final = os.strerror(errno.ECONNREFUSED)
_FAILED: Final = 400


@dataclass(frozen=True, slots=True)
class Exchange:
    """One measured request, from its first byte sent to the last byte of its answer received.

    Without an answer, the status of `response` is 0, and its body the reason.
    """

    connection: int
    request: int
    started: float
    ended: float
    response: Response


@dataclass(frozen=True, slots=True)
class Load:
    """A window of steady load; and the rates of all meters and of the client's own CPU time, per second."""

    exchanges: Sequence[Exchange]
    cpu_rates: Sequence[float]
    client_cpu_rate: float

    @property
    def requests_per_second(self) -> float:
        """The sum over the connections of (answers / the time that exactly these answers took).

        Counting the answers within fixed bounds would be wrong by up to a batch at either end.
        """
        spans: dict[int, tuple[int, float, float]] = {}
        for one in self.exchanges:
            count, started, _ = spans.get(one.connection, (0, one.started, 0.0))
            spans[one.connection] = (count + 1, started, one.ended)
        return sum(count / (ended - started) for count, started, ended in spans.values())


def drive(
    url: str,
    requests: Sequence[Request],
    *,
    connections: int,
    warm_seconds: float,
    window_seconds: float,
    meters: Sequence[Callable[[], float]] = (),
    goes_on: bool = False,
) -> Load:
    """Send the requests in turn over all connections; measure those that begin within the window.

    The load goes on until the last measured request is answered. Raises `OSError` if a connection ends, and
    `TimeoutError` if the server no longer answers. If it `goes_on`, requests without an answer are measured too, as
    failures, and only a server that accepts no connection any more ends the load.
    """
    address = Address.of(url, cafile=None)
    span = _Span(meters, warm_seconds=warm_seconds, seconds=window_seconds)
    with asyncio.Runner() as runner:
        exchanges = runner.run(_Generator(requests, span, connections=connections, goes_on=goes_on).run(address))
    client, *rates = span.rates()
    return Load(exchanges, rates, client)


class _Span:
    """The measured window: it opens when the load is warm, and reads the meters at both ends."""

    def __init__(self, meters: Sequence[Callable[[], float]], *, warm_seconds: float, seconds: float) -> None:
        self._meters = (time.perf_counter, time.process_time, *meters)
        self._opens = time.perf_counter() + warm_seconds
        self._seconds = seconds
        self._first: list[float] = []
        self._last: list[float] = []

    def tick(self) -> None:
        """Open or close the window if it is time."""
        now = time.perf_counter()
        if not self._first and now >= self._opens:
            self._first = [read() for read in self._meters]
        elif self._first and not self._last and now >= self._first[0] + self._seconds:
            self._last = [read() for read in self._meters]

    @property
    def is_open(self) -> bool:
        return bool(self._first) and not self._last

    @property
    def is_over(self) -> bool:
        return bool(self._last)

    def rates(self) -> list[float]:
        """The growth per second of the client's own CPU time and of each meter."""
        seconds, *gains = (last - first for first, last in zip(self._first, self._last, strict=True))
        return [gain / seconds for gain in gains]


@dataclass(slots=True)
class _Turn:
    """The state of a connection."""

    connection: int
    request: int = 0
    started: float = 0.0
    measured: bool = False


class _Generator:
    """A running load."""

    def __init__(self, requests: Sequence[Request], span: _Span, *, connections: int, goes_on: bool) -> None:
        self._turns = itertools.cycle([(number, message(request)) for number, request in enumerate(requests)])
        self._span = span
        self._busy = connections
        self._goes_on = goes_on
        self._owed = 0  # measured requests that are not answered
        self._at: dict[ClientConnection, _Turn] = {}
        self._exchanges: list[Exchange] = []
        self._answered = 0.0

    async def run(self, address: Address) -> list[Exchange]:
        self._loop = loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = loop.create_future()
        loop.set_exception_handler(self._break_off)
        self._pool = pool = Pool(address, limit=self._busy, ended=self._settle, freed=lambda: None)
        self._answered = loop.time()
        watch = loop.call_later(STALL_SECONDS, self._watch)
        for number in range(self._busy):
            line = pool.take()
            assert line is not None
            self._at[line] = _Turn(number)
            self._send(line)
        try:
            await self._over
        finally:
            watch.cancel()
            await pool.close()
        return self._exchanges

    def _send(self, line: ClientConnection) -> None:
        turn = self._at[line]
        turn.request, request = next(self._turns)
        turn.measured = self._span.is_open
        self._owed += turn.measured
        turn.started = time.perf_counter()
        line.send(request)

    def _settle(self, line: ClientConnection, response: Response | None, reason: str) -> None:
        if self._over.done():
            return
        lost = response is None or line.over
        if lost and (not self._goes_on or reason == GONE):
            self._over.set_exception(ConnectionError(f"a connection ended under load: {response or reason}"))
            return
        turn, ended = self._at[line], time.perf_counter()
        if response is not None:
            self._answered = self._loop.time()
        self._span.tick()
        if turn.measured:
            answer = response or Response(0, reason.encode())
            self._exchanges.append(Exchange(turn.connection, turn.request, turn.started, ended, answer))
            self._owed -= 1
        if self._span.is_over and not self._owed:
            self._busy -= 1
            if not self._busy:
                self._over.set_result(None)
        elif self._goes_on and (response is None or response.status >= _FAILED):
            self._loop.call_later(AGAIN_SECONDS, self._send_again, line)
        elif lost:
            self._send_again(line)
        else:
            self._send(line)

    def _send_again(self, line: ClientConnection) -> None:
        """Send the next request on `line`, or on another in its place if it is over."""
        if self._over.done():
            return
        if line.over:
            another = self._pool.take()
            if another is None:  # the end of `line` is not told yet
                self._loop.call_later(AGAIN_SECONDS, self._send_again, line)
                return
            self._at[another] = self._at.pop(line)
            line = another
        self._send(line)

    def _watch(self) -> None:
        """Fail if the last answer was too long ago; otherwise check again later."""
        due = self._answered + STALL_SECONDS
        if self._loop.time() < due:
            self._loop.call_at(due, self._watch)
        elif not self._over.done():
            self._over.set_exception(TimeoutError(f"no answer from the server for {STALL_SECONDS:g} s"))

    def _break_off(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End the load because of a fault in this program."""
        error = context.get("exception") or RuntimeError(context["message"])
        if not self._over.done():
            self._over.set_exception(error)
