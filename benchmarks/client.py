"""A closed-loop HTTP client light enough to share the machine with the server that it drives.

One thread, epoll, requests rendered beforehand; each connection sends its next request as soon as its last answer
is complete. Answers are kept, and judged after the window, so that judging costs nothing within it. Knows nothing
of images, models or the service.
"""

import itertools
import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass

from loadtests import sockets
from loadtests.http1 import Response, ResponseParser

PIECE = 16384
STALL_SECONDS = 20.0  # without any answer for so long the server is taken for dead


@dataclass(frozen=True, slots=True)
class Exchange:
    """One measured request, from its first byte sent to the last byte of its answer received."""

    connection: int
    request: int
    started: float
    ended: float
    response: Response


@dataclass(frozen=True, slots=True)
class Load:
    """A window of steady load, and how much CPU each meter and the client itself used per second of it."""

    exchanges: Sequence[Exchange]
    cpu_rates: Sequence[float]
    client_cpu_rate: float

    @property
    def requests_per_second(self) -> float:
        """Each connection's answers over the time that exactly these took, summed over the connections.

        To count the answers within fixed bounds instead would be off by a batch at either end.
        """
        spans: dict[int, tuple[int, float, float]] = {}
        for one in self.exchanges:
            count, started, _ = spans.get(one.connection, (0, one.started, 0.0))
            spans[one.connection] = (count + 1, started, one.ended)
        return sum(count / (ended - started) for count, started, ended in spans.values())


def ask(address: tuple[str, int], message: bytes) -> Response:
    """One request on a connection of its own, and its answer."""
    with socket.create_connection(address, STALL_SECONDS) as connection:
        connection.sendall(message)
        parser = ResponseParser()
        while piece := connection.recv(PIECE):
            if response := parser.feed(piece):
                return response
    raise ConnectionResetError("the connection was closed before the answer")


class Connection:
    """One connection, and the request under way on it."""

    def __init__(self, address: tuple[str, int], *, number: int, epoll: select.epoll) -> None:
        self.number = number
        self.request = 0
        self.started = 0.0
        self.measured = False
        self._parser = ResponseParser()
        self._unsent = memoryview(b"")
        self._writing = False
        self._epoll = epoll
        self._socket = socket.create_connection(address)
        sockets.prepare(self._socket)
        self._socket.setblocking(False)
        self.fileno, self.close = self._socket.fileno, self._socket.close
        epoll.register(self._socket, select.EPOLLIN)

    def send(self, request: int, message: memoryview, *, measured: bool) -> None:
        """Begin a request; what the kernel does not take now goes out in `flush`."""
        self.request, self.measured, self._unsent = request, measured, message
        self.started = time.perf_counter()
        self.flush()

    def flush(self) -> None:
        """Send what the kernel takes of the rest of the request."""
        with suppress(BlockingIOError):
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        if self._writing != bool(self._unsent):
            self._writing = not self._writing
            self._epoll.modify(self._socket, select.EPOLLIN | (select.EPOLLOUT if self._writing else 0))

    def receive(self) -> Response | None:
        """The answer, if what there is to read completes it."""
        piece = self._socket.recv(PIECE)
        if not piece:
            raise ConnectionError("the server closed a connection in the middle of the benchmark")
        response = self._parser.feed(piece)
        if response and self._unsent:
            raise ConnectionError(f"answered before the whole request was sent: {response}")
        return response


class Span:
    """The stretch of the load that is measured: it opens when the load is warm and reads the meters at both ends."""

    def __init__(self, meters: Sequence[Callable[[], float]], *, warm_seconds: float, seconds: float) -> None:
        self._meters = (time.perf_counter, time.process_time, *meters)
        self._opens = time.perf_counter() + warm_seconds
        self._seconds = seconds
        self._first: list[float] = []
        self._last: list[float] = []

    def tick(self) -> None:
        """Open or close it when the time has come."""
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
        """What the client's own CPU time and each meter gained per second."""
        seconds, *gains = (last - first for first, last in zip(self._first, self._last, strict=True))
        return [gain / seconds for gain in gains]


def drive(
    port: int,
    requests: Sequence[bytes],
    *,
    connections: int,
    warm_seconds: float,
    window_seconds: float,
    meters: Sequence[Callable[[], float]],
    host: str = "127.0.0.1",
) -> Load:
    """Send the requests in turn over so many connections; those begun within the window are measured.

    The load goes on until the last of them is answered; then all connections fall silent.
    """
    turns = itertools.cycle([(number, memoryview(request)) for number, request in enumerate(requests)])
    exchanges: list[Exchange] = []
    with select.epoll() as epoll, ExitStack() as stack:
        lines = [Connection((host, port), number=number, epoll=epoll) for number in range(connections)]
        by_file = {line.fileno(): stack.enter_context(closing(line)) for line in lines}
        for line in lines:
            line.send(*next(turns), measured=False)
        span = Span(meters, warm_seconds=warm_seconds, seconds=window_seconds)
        busy, owed = connections, 0
        while busy:
            events = epoll.poll(STALL_SECONDS)
            if not events:
                raise TimeoutError(f"no answer from the server for {STALL_SECONDS:g} s")
            span.tick()
            for file, event in events:
                line = by_file[file]
                if event & select.EPOLLOUT:
                    line.flush()
                if event == select.EPOLLOUT or (response := line.receive()) is None:
                    continue
                if line.measured:
                    ended = time.perf_counter()
                    exchanges.append(Exchange(line.number, line.request, line.started, ended, response))
                    owed -= 1
                if span.is_over and not owed:
                    busy -= 1
                else:
                    line.send(*next(turns), measured=span.is_open)
                    owed += line.measured
    client, *rates = span.rates()
    return Load(exchanges, rates, client)
