"""uvicorn's HTTP/1.1 protocol: leaner on the hot path, and bounded whatever a client does.

What lives here: how bytes become requests, one at a time (what a client sends beyond the request that is being answered
stays bytes, and is not read on); how bytes of a body reach `receive` (as they came from the parser, one by one, instead
of being gathered in an array and copied out of it); how an answer is written (head and body at once); and in which line
of `service.connections` a connection stands. The rest is uvicorn's. It has no hook for these, so this file knows its
internals; pyproject.toml holds uvicorn to the series that it was written for.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.refusals import (
    HEAD_TOO_LARGE,
    MALFORMED,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    NO_TUNNEL,
    UNKNOWN_CODING,
    Refusal,
    too_slow,
)

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Transport
    from collections.abc import Callable

    from uvicorn import Config
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
    from uvicorn.server import ServerState

    from service.connections import Connections, Line

_AHEAD_BYTES: Final = 1 << 20
"""How much of a body is taken in before the application asks for it; a connection's bound. A photo fits."""
_PART_OVERHEAD_BYTES: Final = 64
"""What a part costs beside its bytes, so that a body of one-byte chunks is bounded too."""
_CHUNKED: Final = -1
_BLANK_LINE: Final = b"\r\n\r\n"
"""The parser takes nothing else as the end of a head, or of a chunked body."""


class LeanHttpProtocol(HttpToolsProtocol):
    """One connection: reads a request, has it answered, reads the next."""

    line: Line

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
        *,
        connections: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._books = connections
        self._stop_handshake: Callable[[], object] | None = None
        self._head_bytes = 0  # received of a head that is not complete
        self._body_left = 0  # bytes to come of a body, or _CHUNKED
        self._tail = b""  # the end of what the parser has got, where a blank line may have begun
        self._owes_answer = False  # a head is complete, the answer is not
        self._answering = False  # a whole request is complete, the answer is not
        self._ahead = b""  # received beyond that request
        self._deaf = False  # whatever comes now is discarded
        self._closes_after_body = False
        self._refusal: Refusal | None = None
        self._plain_head: bytes | None = None

    # Coming and going

    def accepted(self, stop_handshake: Callable[[], object]) -> None:
        """Count from now on, before the handshake that `connection_made` comes after."""
        self._stop_handshake = stop_handshake
        self._books.open(self)

    @property
    def is_shaking_hands(self) -> bool:
        """Whether `connection_made` is still to come."""
        return self._stop_handshake is not None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Start to wait for a request."""
        super().connection_made(transport)
        self._flow = self.flow = _Flow(transport)
        if self._stop_handshake is None:
            self._books.open(self)
        self._stop_handshake = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application."""
        super().connection_lost(exc)
        self._deaf, self._ahead = True, b""
        self._books.lost(self)

    def shutdown(self) -> None:
        """Close, after what has been received is answered."""
        self._books.closing = True
        if not self._owes_answer:
            self._close()

    def abort(self) -> None:
        """Close at once."""
        self._deaf = True
        if self._stop_handshake is not None:
            self._stop_handshake()
        else:
            self.transport.abort()

    def expire(self, line: Line) -> None:
        """Tell a client that is too slow with its request, if it can be told, and close."""
        books = self._books
        if line is books.head or line is books.body:
            limits = books.limits
            self._refuse(too_slow(head_seconds=limits.head_seconds, body_seconds=limits.body_seconds))
        else:
            self.abort()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer what is just coming in with `refusal`, and close."""
        self._deaf = True
        if refusal.reason is not None:
            self._books.count(refusal.reason)
        if self._owes_answer or self._body_left:
            cycle = self.cycle
            if cycle.response_started:
                self.abort()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.write(refusal.answer)
        self.flow.resume_reading()
        self._half_close()
        self._books.move(self, self._books.farewell)

    def _half_close(self) -> None:
        """Say that nothing follows, and go on reading: who is cut off while it sends may never read the answer."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:  # TLS, whose close does the same
            self.transport.close()

    def _stand_in_line(self) -> None:
        """Enter in the books what this connection waits for now."""
        if self._deaf:
            return
        books = self._books
        if self.flow.write_paused:
            line = books.reader
        elif self._answering:
            line = books.answering
        elif self._body_left:
            line = books.body
        elif self._head_bytes:
            line = books.head
        else:
            line = books.fresh if self.line is books.fresh else books.idle
        if line is not self.line:
            books.move(self, line)

    def pause_writing(self) -> None:
        """The client does not read its answers."""
        super().pause_writing()
        self._stand_in_line()

    def resume_writing(self) -> None:
        """It does."""
        super().resume_writing()
        self._stand_in_line()

    # From bytes to requests

    def data_received(self, data: bytes) -> None:
        """Take in what has come."""
        if self._deaf:
            return
        if self._ahead:
            self._ahead += data
        else:
            self._parse(data)
            self._stand_in_line()

    def _parse(self, data: bytes) -> None:
        """Give `data` to the parser up to the end of a request, and keep the rest until that is answered."""
        at = 0
        while at < len(data):
            if self._answering:
                self._ahead = data[at:]
                self._flow.hold()
                return
            between = not (self._head_bytes or self._body_left)
            if between and data[at] in b"\r\n":  # empty lines before a request do not begin it
                data, at = data[at:].lstrip(b"\r\n"), 0
                continue
            end = self._next_boundary(data, at)
            if self._body_left > 0:
                self._body_left -= end - at
            elif self._body_left == 0:
                self._head_bytes += end - at
                if self._head_bytes > MAX_HEAD_BYTES:
                    self._refuse(HEAD_TOO_LARGE)
                    return
            self._feed(data if end - at == len(data) else memoryview(data)[at:end])
            if self._deaf:
                return
            at = end

    def _next_boundary(self, data: bytes, at: int) -> int:
        """Where in `data` the head or body that goes on at `at` may end; what comes after must not be parsed yet."""
        if self._body_left > 0:
            return min(len(data), at + self._body_left)
        tail = self._tail
        if tail and (found := (tail + data[at : at + 3]).find(_BLANK_LINE)) >= 0:
            self._tail = b""
            return at + found + len(_BLANK_LINE) - len(tail)
        found = data.find(_BLANK_LINE, at)
        if found >= 0:
            self._tail = b""
            return found + len(_BLANK_LINE)
        self._tail = (tail + data[max(at, len(data) - 3) :])[-3:]
        return len(data)

    def _feed(self, data: bytes | memoryview) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._go_on_without_upgrade()
        except httptools.HttpParserError:
            self._refuse(self._refusal or MALFORMED)

    def _go_on_without_upgrade(self) -> None:
        """Parse the head again as if no upgrade had been offered: the parser would take the body for something else."""
        head, self._plain_head = self._plain_head, None
        assert head is not None
        if head.startswith(b"CONNECT "):
            self._refuse(NO_TUNNEL)
            return
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._feed(head)

    def on_headers_complete(self) -> None:
        """Let uvicorn make the request's cycle and its task, which runs later, and make the cycle one of ours."""
        assert not self._answering, "the parser has found the end of a head where there is no blank line"
        headers = self.headers
        if len(headers) > MAX_HEADERS:
            self._refusal = HEAD_TOO_LARGE
            raise ValueError("too many headers")
        body = 0
        for name, value in headers:
            if name == b"content-length":
                body = int(value)
            elif name == b"transfer-encoding":
                # The parser also takes codings before it, which nobody here undoes, and HTTP/1.0, which has none.
                if value.lower() != b"chunked" or self.parser.get_http_version() == "1.0":
                    self._refusal = UNKNOWN_CODING
                    raise ValueError("unknown transfer coding")
                body = _CHUNKED
        if self.parser.should_upgrade():
            self._plain_head = self._head_without_upgrade()
            return
        super().on_headers_complete()
        _LeanCycle.adopt(self.cycle, self)
        self._owes_answer = True
        self._head_bytes = 0
        self._body_left = body

    def _head_without_upgrade(self) -> bytes:
        line = b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        return line + b"".join(b"%s: %s\r\n" % each for each in self.headers if each[0] != b"upgrade") + b"\r\n"

    def on_body(self, body: bytes) -> None:
        """Keep `body` as it is, for `receive`."""
        cycle = cast("_LeanCycle", self.cycle)
        if cycle.response_complete:
            return
        cycle.parts.append(body)
        cycle.ahead += len(body) + _PART_OVERHEAD_BYTES
        if cycle.ahead > _AHEAD_BYTES:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Wait for the answer; if that went out before the request was complete, for the next request."""
        if self._plain_head is not None:
            return
        self._body_left = 0
        cycle = self.cycle
        if self._owes_answer:
            self._answering = True
            cycle.more_body = False
            cycle.message_event.set()
        elif self._closes_after_body:
            self._close()
        else:
            self._books.move(self, self._books.idle)

    # From answers to bytes

    @property
    def is_last(self) -> bool:
        """Whether the connection closes with the answer: the service drains, and nothing has come after its request."""
        return self._books.closing and not self._ahead

    def on_response_complete(self) -> None:
        """Count; the answer may not have been written yet."""
        self.server_state.total_requests += 1

    def on_answered(self) -> None:
        """The answer is written: go on with what has come meanwhile."""
        self._owes_answer = self._answering = False
        if self.transport.is_closing():
            self._close()
            return
        cast("_LeanCycle", self.cycle).parts.clear()
        data, self._ahead = self._ahead, b""
        self._parse(data)
        if not self._ahead:
            self._flow.release()
        self._stand_in_line()

    def close(self) -> None:
        """Close once the answer is sent; but first let the client finish the body that it is still sending."""
        if self._body_left:
            self._closes_after_body = True
            self._half_close()
        else:
            self._close()

    def _close(self) -> None:
        books, transport = self._books, self.transport
        self._deaf = True
        transport.close()
        # Over TLS a close waits for the client's. A service that drains must not wait long for who never closes.
        books.move(self, books.farewell if books.closing and not transport.get_write_buffer_size() else books.reader)


class _Flow(FlowControl):
    """uvicorn's, which can hold reading back against whoever would resume it."""

    _held = False

    def hold(self) -> None:
        """Do not read until `release`."""
        self._held = True
        self.pause_reading()

    def release(self) -> None:
        """Read on."""
        self._held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        if not self._held:
            super().resume_reading()


class _LeanCycle(RequestResponseCycle):
    """One request and its answer."""

    parts: deque[bytes]
    ahead: int
    start: ASGISendEvent | None
    protocol: LeanHttpProtocol

    @classmethod
    def adopt(cls, cycle: RequestResponseCycle, protocol: LeanHttpProtocol) -> None:
        """Make `cycle` one of this class, before anything has been received or sent on it."""
        cycle.__class__ = cls
        lean = cast("_LeanCycle", cycle)
        lean.parts, lean.ahead, lean.start, lean.protocol = deque(), 0, None, protocol

    async def receive(self) -> ASGIReceiveEvent:
        """The next part of the body, the disconnect, or an empty last part."""
        if not self.parts:
            message = await super().receive()
            if not self.parts or message["type"] == "http.disconnect":
                return message
        part = self.parts.popleft()
        self.ahead -= len(part) + _PART_OVERHEAD_BYTES
        if self.ahead <= _AHEAD_BYTES:
            self.flow.resume_reading()
        return {"type": "http.request", "body": part, "more_body": self.more_body or bool(self.parts)}

    async def send(self, message: ASGISendEvent) -> None:
        """Hold the head back until the first of the body is there, and write both at once."""
        if message["type"] == "http.response.start" and not self.response_started and self.start is None:
            self.start = message
            return
        if self.start is None:
            await super().send(message)
        else:
            await self._send_with_head(message)
        if self.response_complete:
            self.protocol.on_answered()

    async def _send_with_head(self, message: ASGISendEvent) -> None:
        start, self.start = self.start, None
        if self.protocol.is_last:
            self.keep_alive = False
        transport, cork = self.transport, _Cork()
        self.transport = cast("Transport", cork)
        try:
            await super().send(cast("ASGISendEvent", start))
            await super().send(message)
        finally:
            self.transport = transport
            if cork.written:  # nothing is, to a client that has hung up
                transport.write(b"".join(cork.written))
            if cork.closed:
                self.protocol.close()


class _Cork:
    """Stands in for a transport while it is held back."""

    def __init__(self) -> None:
        self.written: list[Any] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True
