"""Keep-alive connections for load that does not wait for answers.

What lives here: one connection, which may be refused, answered early or dropped, and the pool that lends them out. What
does not: when to send (`open_loop`), what an answer means (`answers`).
"""

import select
import socket
from contextlib import suppress
from time import monotonic

from loadtests import sockets
from loadtests.http1 import Response, ResponseParser

PIECE = 65536
FRESH_SECONDS = 1.0  # idle for longer it is not used again: a server may be about to close it


class Line:
    """One connection, and the request under way on it."""

    def __init__(self, address: tuple[str, int], *, epoll: select.epoll) -> None:
        self.waiting = False
        self.closed = False
        self.idle_since = 0.0
        self._parser = ResponseParser()
        self._unsent = memoryview(b"")
        self._hears_only = False
        self._writing = False
        self._epoll = epoll
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        sockets.prepare(self._socket)
        self._socket.connect_ex(address)  # its outcome shows in the first send or receive
        self.file = self._socket.fileno()
        epoll.register(self._socket, select.EPOLLIN)

    @property
    def is_idle(self) -> bool:
        """Whether it can take a request."""
        return not (self.waiting or self._unsent or self.is_over)

    @property
    def is_over(self) -> bool:
        """Whether nothing more can come of it."""
        return self.closed or (self._hears_only and not self.waiting)

    def send(self, message: memoryview) -> None:
        """Begin a request; what the kernel does not take now goes out in `flush`."""
        self.waiting, self._unsent = True, message
        self.flush()

    def flush(self) -> None:
        """Send what the kernel takes of the rest of the request."""
        try:
            with suppress(BlockingIOError):
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except (BrokenPipeError, ConnectionResetError):
            # The server has hung up; what it said before that is still to be read.
            self._unsent, self._hears_only = memoryview(b""), True
        if self._writing != bool(self._unsent):
            self._writing = not self._writing
            self._epoll.modify(self._socket, select.EPOLLIN | (select.EPOLLOUT if self._writing else 0))

    def receive(self) -> Response | None:
        """The answer, if what there is to read completes it; closes the connection where the server does.

        Raises `ConnectionError` if the connection ends before the answer, `ValueError` if it is not an answer.
        """
        try:
            piece = self._socket.recv(PIECE)
        except BlockingIOError:
            return None
        if not piece:
            self.close()
            if self.waiting:
                raise ConnectionResetError("the connection was closed before the answer")
            return None
        if not self.waiting:
            raise ValueError(f"an answer to no request: {piece[:80]!r}")
        response = self._parser.feed(piece)
        if response is not None:
            self.waiting = False
            if self._hears_only or (response.header("connection") or "").lower() == "close":
                self.close()
        return response

    def close(self) -> None:
        """End the connection, whatever is under way."""
        self.closed = True
        self._unsent = memoryview(b"")
        self._socket.close()


class Pool:
    """Connections to one address, made as they are needed, never more than `limit`."""

    def __init__(self, address: tuple[str, int], *, limit: int, epoll: select.epoll) -> None:
        self.most = 0
        self._address = address
        self._limit = limit
        self._epoll = epoll
        self._lines: dict[int, Line] = {}
        self._idle: list[Line] = []

    def take(self) -> Line | None:
        """An idle connection, the one used last first, or a new one; None if all are busy and no more are allowed."""
        while self._idle:
            line = self._idle.pop()
            if line.is_over:
                continue
            if monotonic() - line.idle_since < FRESH_SECONDS:
                return line
            self.drop(line)
        if len(self._lines) >= self._limit:
            return None
        line = Line(self._address, epoll=self._epoll)
        self._lines[line.file] = line
        self.most = max(self.most, len(self._lines))
        return line

    def put(self, line: Line) -> None:
        """Give an idle connection back."""
        line.idle_since = monotonic()
        self._idle.append(line)

    def at(self, file: int) -> Line | None:
        """The connection with this file descriptor."""
        return self._lines.get(file)

    def drop(self, line: Line) -> None:
        """Close a connection and forget it."""
        if self._lines.get(line.file) is line:
            del self._lines[line.file]
        line.close()

    def close(self) -> None:
        """Close all."""
        for line in list(self._lines.values()):
            self.drop(line)
