"""One cycle: a request and its answer, between the connection and the ASGI application.

It passes the parts of a body to `receive`, limits how much is read ahead, and writes the answer.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from topfive.http.server.connection import Connection
    from topfive.http.server.heads import Head

logger = logging.getLogger("topfive")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An ASGI 3 application."""

AHEAD_BYTES: Final = 1 << 20
"""How much of a body is read before the application asks for it. A photo fits."""
_PART_OVERHEAD_BYTES: Final = 64
"""Memory that a part costs beside its bytes; counted, so that a body of one-byte chunks is bounded too."""
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_BAD_IN_NAMES: Final = re.compile(rb'[\x00-\x1f\x7f()<>@,;:\[\]={} \t\\"]')
_BAD_IN_VALUES: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_BODILESS: Final = (204, 304)


class Cycle:
    """One request and its answer."""

    __slots__ = (
        "_ahead",
        "_changed",
        "_chunked",
        "_connection",
        "_default_headers",
        "_expects_continue",
        "_is_head",
        "_is_whole",
        "_left",
        "_parts",
        "_start",
        "_told_whole",
        "is_complete",
        "is_disconnected",
        "is_started",
        "keeps_alive",
        "scope",
    )

    def __init__(
        self, connection: Connection, head: Head, scope: Scope, *, default_headers: list[tuple[bytes, bytes]]
    ) -> None:
        self.scope = scope
        self.keeps_alive = head.keeps_alive
        """Whether the connection stays open after the answer."""
        self.is_started = False
        """Whether a part of the answer has been written."""
        self.is_complete = False
        """Whether all of the answer has been written."""
        self.is_disconnected = False
        self._connection = connection
        self._expects_continue = head.expects_continue
        self._default_headers = default_headers
        self._is_head = head.method == "HEAD"
        self._parts: deque[bytes] = deque()  # parts of the body that the application has not asked for yet
        self._ahead = 0  # the bytes of `_parts`, with `_PART_OVERHEAD_BYTES` for each
        self._is_whole = not head.body_bytes  # whether all of the body has arrived
        self._told_whole = False  # whether the application knows that
        self._changed: asyncio.Event | None = None  # set when `receive` may go on
        self._start: Message | None = None  # the head of the answer, until it is written
        self._chunked = False  # whether the answer is sent in chunks
        self._left = 0  # bytes of the answer's Content-Length that are not written yet

    # What the connection tells

    def take(self, part: bytes, *, is_last: bool) -> None:
        """Keep a part of the body for `receive`."""
        self._is_whole = is_last
        if part:  # the end of a chunked body may come without bytes
            self._parts.append(part)
            self._ahead += len(part) + _PART_OVERHEAD_BYTES
            if self._ahead > AHEAD_BYTES:
                self._connection.flow.pause_body()
        if self._changed is not None:
            self._changed.set()

    def give_up(self) -> None:
        """Tell the application that its client is gone."""
        self.is_disconnected = True
        if self._changed is not None:
            self._changed.set()

    # What the application calls

    async def run(self, application: Application) -> None:
        """Let the application answer; answer 500 if it fails."""
        has_raised = False
        try:
            await application(self.scope, self.receive, self.send)
        except BaseException as error:  # a task cancelled at the stop also answers its client
            logger.error("Exception in ASGI application", exc_info=error)
            has_raised = True
        if self.is_complete or self.is_disconnected:
            return
        if not has_raised:
            logger.error("ASGI application returned without completing its answer")
        if self.is_started:
            self._connection.close()
        else:
            await self._fail()

    async def receive(self) -> Message:
        """The next part of the body; after the last one, wait until the client is gone or the answer complete."""
        connection = self._connection
        while not self._parts:
            if self.is_disconnected or self.is_complete:
                return {"type": "http.disconnect"}
            if self._is_whole and not self._told_whole:
                self._told_whole = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if self._expects_continue:
                self._expects_continue = False
                connection.transport.write(_CONTINUE)
            changed = self._changed
            if changed is None:
                changed = self._changed = asyncio.Event()
            changed.clear()
            await changed.wait()
        part = self._parts.popleft()
        ahead, self._ahead = self._ahead, self._ahead - len(part) - _PART_OVERHEAD_BYTES
        if self._ahead <= AHEAD_BYTES < ahead:
            connection.flow.resume_body()
        self._told_whole = self._is_whole and not self._parts
        return {"type": "http.request", "body": part, "more_body": not self._told_whole}

    async def send(self, message: Message) -> None:
        """Write a part of the answer. The head waits for the first part of the body, to be written with it."""
        if message["type"] == "http.response.start":
            if self._start is not None or self.is_started:
                raise RuntimeError("the answer has a head already")
            self._start = message
            return
        connection = self._connection
        drained = connection.flow.drained
        if drained is not None:
            await drained.wait()
        if self.is_disconnected:
            return
        start = self._start
        if message["type"] != "http.response.body" or start is None or self.is_complete:
            raise RuntimeError(f"{message['type']!r} is not the next part of the answer")
        more = message.get("more_body", False)
        head = b"" if self.is_started else self._head(start)
        body = self._body(message.get("body", b""), more=more)
        self.is_started, self._expects_continue = True, False
        connection.transport.write(head + body)
        if not more:
            self.is_complete = True
            self._parts.clear()
            if self._changed is not None:
                self._changed.set()
            connection.on_answered(keeps_alive=self.keeps_alive)

    # How an answer is written

    def _head(self, start: Message) -> bytes:
        """The bytes of the answer's head; remembers how the body is to be written."""
        status: int = start["status"]
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
        self._chunked = not self._is_head and status not in _BODILESS
        closes = False
        for name, value in (*self._default_headers, *start.get("headers", ())):
            if _BAD_IN_NAMES.search(name) or _BAD_IN_VALUES.search(value):
                raise RuntimeError(f"no header can be {name!r}: {value!r}")
            if name == b"content-length":
                self._chunked, self._left = False, int(value)
            elif name == b"connection":
                closes = b"close" in value.lower()
            lines += (name, b": ", value, b"\r\n")
        if closes or self._connection.is_last:
            self.keeps_alive = False
        if not (closes or self.keeps_alive):
            lines.append(b"connection: close\r\n")
        lines.append(b"transfer-encoding: chunked\r\n\r\n" if self._chunked else b"\r\n")
        return b"".join(lines)

    def _body(self, body: bytes, *, more: bool) -> bytes:
        """A part of the answer's body as bytes for the wire; `more`: whether another part follows."""
        if self._is_head:
            return b""
        if self._chunked:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return chunk if more else chunk + b"0\r\n\r\n"
        self._left -= len(body)
        if self._left < 0 or (self._left and not more):
            raise RuntimeError("the answer is longer or shorter than its Content-Length")
        return body

    async def _fail(self) -> None:
        """Answer 500 without details."""
        self._start = None
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"21"),
            (b"connection", b"close"),
        ]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": b"Internal Server Error"})
