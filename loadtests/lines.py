"""Keep-alive connections of the open loop, on asyncio.

What lives here: one connection with at most one request under way, and the pool that lends connections out. What does
not: when to send (`open_loop`), what an answer means (`queries`).
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import SplitResult, urlsplit

from loadtests import sockets
from loadtests.http1 import Response, ResponseParser

PIECE: Final = 262_144
TURN: Final = 4  # pieces written before other connections have their turn
FRESH_SECONDS: Final = 1.0  # idle for longer it is not used again: a server may be about to close it
PROBE_SECONDS: Final = 5.0
PORTS: Final = {"http": 80, "https": 443}
CLOSED: Final = "connection closed before the answer"

Message = tuple[bytes, memoryview]
"""What is written at once, the head and the first of the body; and the rest, which is never copied."""
Ended = Callable[["Line", Response | None, str], None]
"""What became of the request under way: an answer, or none and why."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where connections go."""

    family: socket.AddressFamily
    address: tuple[str, int]
    name: str
    context: ssl.SSLContext | None

    @classmethod
    def of(cls, url: str, *, cafile: str | None) -> Target:
        """Looked up once, so that no request waits for it: the first address that takes a connection, if one does."""
        parts = urlsplit(url)
        found = [
            (family, cast("tuple[str, int]", address))
            for family, _, _, _, address in socket.getaddrinfo(parts.hostname, _port(parts), type=socket.SOCK_STREAM)
        ]
        context = ssl.create_default_context(cafile=cafile) if parts.scheme == "https" else None
        for family, address in found:
            with suppress(OSError), socket.create_connection(address[:2], PROBE_SECONDS):
                return cls(family, address, parts.hostname or "", context)
        return cls(*found[0], parts.hostname or "", context)


def _port(parts: SplitResult) -> int:
    return parts.port or PORTS[parts.scheme]


class Line(asyncio.Protocol):
    """One connection, and the request under way on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, ended: Ended, lost: Callable[[Line], None]) -> None:
        self.over = False  # nothing more can come of it
        self.idle_since = 0.0
        self._waiting: Message | None = None
        self._loop = loop
        self._ended = ended
        self._lost = lost
        self._parser = ResponseParser()
        self._socket: socket.socket | None = None
        self._transport: asyncio.Transport | None = None
        self._unsent = memoryview(b"")
        self._paused = False
        self._pumping = False

    @property
    def is_made(self) -> bool:
        """Whether `lost` will be told of its end."""
        return self._transport is not None

    async def connect(self, target: Target) -> None:
        """Make it; what `send` was given meanwhile goes out then."""
        try:
            line = socket.socket(target.family, socket.SOCK_STREAM)
        except OSError as error:
            self._fail(in_words(error))
            return
        line.setblocking(False)
        sockets.prepare(line)
        try:
            await self._loop.sock_connect(line, target.address)
        except BaseException as error:
            line.close()
            if not isinstance(error, OSError):
                raise
            self._fail(in_words(error))
            return
        if target.context is None:
            self._socket = line
        name = target.name if target.context else None
        try:
            await self._loop.create_connection(lambda: self, sock=line, ssl=target.context, server_hostname=name)
        except OSError as error:  # of TLS; asyncio has closed the socket
            self._fail(in_words(error))

    def send(self, message: Message) -> None:
        """Begin a request."""
        self._waiting = message
        if self._transport is not None:
            self._begin(self._transport)

    def abort(self) -> None:
        """End the connection, whatever is under way; nobody is told."""
        self.over, self._waiting = True, None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._waiting is not None:
            self._begin(transport)
        elif self.over:
            transport.abort()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._pump()

    def data_received(self, data: bytes) -> None:
        if self._waiting is None:  # an answer to no request
            self.abort()
            return
        try:
            response = self._parser.feed(data)
        except ValueError:
            self._fail("not an HTTP/1.1 answer with a Content-Length")
            return
        if response is None:
            return
        self._waiting = None
        if self._is_sending or (response.header("connection") or "").lower() == "close":
            # With an answer before the whole body was sent nobody can say whether the server will read the rest.
            self.abort()
        self._ended(self, response, "")

    def connection_lost(self, exc: Exception | None) -> None:
        self.over = True
        if self._waiting is not None and self._socket is not None:
            self._read_the_rest(self._socket)
        if self._waiting is not None:
            self._fail(in_words(exc) if isinstance(exc, OSError) else CLOSED)
        self._socket = None
        self._lost(self)

    @property
    def _is_sending(self) -> bool:
        assert self._transport is not None
        return bool(self._unsent) or self._transport.get_write_buffer_size() > 0

    def _begin(self, transport: asyncio.Transport) -> None:
        assert self._waiting is not None
        first, self._unsent = self._waiting
        transport.write(first)
        if self._unsent:
            self._pump()

    def _pump(self) -> None:
        """Write what the transport takes, and not for so long that others wait."""
        if self._pumping or self._transport is None:
            return
        for _ in range(TURN):
            if not self._unsent or self._paused or self._transport.is_closing():
                return
            piece, self._unsent = self._unsent[:PIECE], self._unsent[PIECE:]
            self._transport.write(piece)
        self._pumping = True
        self._loop.call_soon(self._pump_on)

    def _pump_on(self) -> None:
        self._pumping = False
        self._pump()

    def _read_the_rest(self, line: socket.socket) -> None:
        """What a server said before it hung up on a body: asyncio forgets it when a write fails."""
        with suppress(OSError):
            while self._waiting is not None and (piece := line.recv(PIECE)):
                self.data_received(piece)

    def _fail(self, reason: str) -> None:
        waited = self._waiting is not None
        self.abort()
        if waited:
            self._ended(self, None, reason)
        if not self.is_made:
            self._lost(self)


def in_words(error: OSError) -> str:
    """The same words for the same fault, whatever the address."""
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or type(error).__name__}"
    return os.strerror(error.errno) if error.errno else type(error).__name__


class Pool:
    """Connections to one target, made as they are needed, never more than `limit`."""

    def __init__(self, target: Target, *, limit: int, ended: Ended, freed: Callable[[], None]) -> None:
        self.most = 0
        self._loop = asyncio.get_running_loop()
        self._target = target
        self._limit = limit
        self._ended = ended
        self._freed = freed
        self._lines: set[Line] = set()
        self._idle: list[Line] = []
        self._making: set[asyncio.Task[None]] = set()
        self._dropped = asyncio.Event()

    def take(self) -> Line | None:
        """An idle connection, the one used last first, or a new one; None if all are busy and no more are allowed."""
        while self._idle:
            line = self._idle.pop()
            if line.over:
                continue
            if self._loop.time() - line.idle_since < FRESH_SECONDS:
                return line
            line.abort()
            self._lines.discard(line)
        if len(self._lines) >= self._limit:
            return None
        line = Line(self._loop, ended=self._ended, lost=self._drop)
        self._lines.add(line)
        self.most = max(self.most, len(self._lines))
        task = self._loop.create_task(line.connect(self._target))
        self._making.add(task)
        task.add_done_callback(self._made)
        return line

    def put(self, line: Line) -> None:
        """Give a connection back, whatever its state."""
        if not line.over:
            line.idle_since = self._loop.time()
            self._idle.append(line)
            self._freed()

    async def close(self) -> None:
        """End all connections, and wait until they are."""
        for task in self._making:
            task.cancel()
        await asyncio.gather(*self._making, return_exceptions=True)
        for line in self._lines:
            line.abort()
        while any(line.is_made for line in self._lines):
            self._dropped.clear()
            await self._dropped.wait()

    def _made(self, task: asyncio.Task[None]) -> None:
        self._making.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._loop.call_exception_handler({"message": "a connection", "exception": error})

    def _drop(self, line: Line) -> None:
        self._lines.discard(line)
        self._dropped.set()
        self._freed()
