"""The HTTP client connection of both loops: keep-alive, on asyncio, with at most one request under way.

`pool` lends connections out; `open_loop` and `closed_loop` decide when to send.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from topfive_loadgen import sockets
from topfive_loadgen.http1 import Response, ResponseParser
from topfive_loadgen.plan import Request
from topfive_loadgen.sockets import Address

PIECE: Final = 262_144
TURN: Final = 4  # pieces written before other connections have their turn
CLOSED: Final = "connection closed before the answer"

Message = tuple[bytes, memoryview]
"""A request in two parts: the bytes written at once, and the rest of the body, which is never copied."""
Ended = Callable[["ClientConnection", Response | None, str], None]
"""Called when a request ends: with its answer, or with None and the reason."""


def message(request: Request) -> Message:
    """Split a request into the two parts in which it is written."""
    head, body = (b"", request) if isinstance(request, bytes) else request
    return head + body[:PIECE], memoryview(body)[PIECE:]


class ClientConnection(asyncio.Protocol):
    """One connection, and the request under way on it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, ended: Ended, lost: Callable[[ClientConnection], None]
    ) -> None:
        self.over = False  # the connection can no longer be used
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

    async def connect(self, address: Address) -> None:
        """Connect; a request given to `send` meanwhile goes out then."""
        try:
            line = socket.socket(address.family, socket.SOCK_STREAM)
        except OSError as error:
            self._fail(in_words(error))
            return
        line.setblocking(False)
        sockets.prepare(line)
        try:
            await self._loop.sock_connect(line, address.where)
        except BaseException as error:
            line.close()
            if not isinstance(error, OSError):
                raise
            self._fail(in_words(error))
            return
        if address.context is None:
            self._socket = line
        name = address.name if address.context else None
        try:
            await self._loop.create_connection(lambda: self, sock=line, ssl=address.context, server_hostname=name)
        except OSError as error:  # an error of TLS; asyncio has closed the socket
            self._fail(in_words(error))

    def send(self, message: Message) -> None:
        """Begin a request."""
        self._waiting = message
        if self._transport is not None:
            self._begin(self._transport)

    def abort(self) -> None:
        """Close at once; a request under way ends without a report."""
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
            # After an answer to a half-sent body it is unknown whether the server will read the rest.
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
        """Write what the transport takes, at most `TURN` pieces, so that other connections need not wait."""
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
        """Read what the server answered before it hung up on a body: asyncio drops it when a write fails."""
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
    """The fault in words that do not depend on the address, so that equal faults can be counted."""
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or type(error).__name__}"
    return os.strerror(error.errno) if error.errno else type(error).__name__
