"""From the bytes of a connection to its requests, one at a time.

What lives here: what is parsed when. The parser cannot be stopped within what it is given, so it never gets more than
one request: what a client sends beyond the one that is being answered stays bytes, and is not read further. What does
not: how long a connection is waited for, and how it is closed (`http_protocol`).
"""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final, cast

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.http_cycle import LeanCycle
from service.refusals import HEAD_TOO_LARGE, MALFORMED, MAX_HEAD_BYTES, MAX_HEADERS, NO_TUNNEL, UNKNOWN_CODING, Refusal

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Transport

    from uvicorn import Config
    from uvicorn.server import ServerState

_CHUNKED: Final = -1
_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding", b"expect"))
_BLANK_LINE: Final = b"\r\n\r\n"
"""The parser takes nothing else as the end of a head, or of a chunked body."""
_EMPTY_LINES: Final = re.compile(rb"[\r\n]*")
_SMALL_BYTES: Final = 1 << 12
"""What is no longer than this is copied sooner than viewed."""


class RequestReader(HttpToolsProtocol):
    """uvicorn's connection, which reads a request, has it answered, and only then reads the next."""

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], loop: AbstractEventLoop | None
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self._head_bytes = 0  # received of a head that is not complete
        self._body_declared = 0  # bytes, or _CHUNKED
        self._body_left = 0  # the same, of what is still to come
        self._tail = b""  # the end of what the parser has got, where a blank line may have begun
        self._owes_answer = False  # a head is complete, the answer is not
        self._answering = False  # a whole request is complete, the answer is not
        self._ahead = b""  # received beyond that request, from _ahead_at on
        self._ahead_at = 0
        self._deaf = False  # whatever comes now is discarded
        self._refusal: Refusal | None = None
        self._plain_head: bytes | None = None

    @abstractmethod
    def refuse(self, refusal: Refusal) -> None:
        """Answer what is just coming in with `refusal`, and go deaf."""

    @abstractmethod
    def on_progress(self) -> None:
        """Something has come or gone."""

    @abstractmethod
    def on_discarded(self) -> None:
        """The rest of a body has come whose request had been answered before."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Use our own flow control."""
        super().connection_made(transport)
        self._flow = self.flow = _Flow(transport)

    def data_received(self, data: bytes) -> None:
        """Take in what has come."""
        if self._deaf:
            return
        if self._ahead:
            self._ahead, self._ahead_at = self._ahead[self._ahead_at :] + data, 0
            return
        if len(data) <= self._body_left:
            self._body_left -= len(data)
            self._feed(data)
        else:
            self._parse(data, 0)
        self.on_progress()

    def read_on(self) -> None:
        """Now that a request is answered, take in what has come meanwhile."""
        self._owes_answer = self._answering = False
        if self._ahead:
            data, self._ahead = self._ahead, b""
            self._parse(data, self._ahead_at)
        if self._flow.read_paused and not self._ahead:
            self._flow.release()
        self.on_progress()

    def _parse(self, data: bytes, at: int) -> None:
        """Give `data` from `at` on to the parser, up to the end of a request; keep the rest until that is answered."""
        size = len(data)
        while at < size and not self._deaf:
            if self._answering:
                self._ahead, self._ahead_at = data, at
                self._flow.hold()
                return
            left = self._body_left
            if left > 0:
                end = min(size, at + left)
                self._body_left = left - (end - at)
            elif left or self._head_bytes or data[at] not in b"\r\n":
                end = self._next_boundary(data, at)
                if not left:
                    self._head_bytes += end - at
                    if self._head_bytes > MAX_HEAD_BYTES:
                        self.refuse(HEAD_TOO_LARGE)
                        return
            else:
                at = _end_of_empty_lines(data, at)
                continue
            self._feed(data[at:end] if end - at <= _SMALL_BYTES else memoryview(data)[at:end])
            at = end

    def _next_boundary(self, data: bytes, at: int) -> int:
        """Where in `data` the head or chunk that goes on at `at` may end; what comes after must not be parsed yet."""
        tail = self._tail
        if tail:
            self._tail = b""
            found = (tail + data[at : at + 3]).find(_BLANK_LINE)
            if found >= 0:
                return at + found + len(_BLANK_LINE) - len(tail)
        found = data.find(_BLANK_LINE, at)
        if found >= 0:
            return found + len(_BLANK_LINE)
        self._tail = (tail + data[max(at, len(data) - 3) :])[-3:]
        return len(data)

    def _feed(self, data: bytes | memoryview) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._go_on_without_upgrade()
        except httptools.HttpParserError:
            self.refuse(self._refusal or MALFORMED)

    def _go_on_without_upgrade(self) -> None:
        """Parse the head again as if no upgrade had been offered: the parser would take the body for something else."""
        head, self._plain_head = self._plain_head, None
        assert head is not None
        if head.startswith(b"CONNECT "):
            self.refuse(NO_TUNNEL)
            return
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._feed(head)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep it; look at those that tell how the body comes."""
        name = name.lower()
        if name in _FRAMING:
            self._on_framing(name, value.lower())
        self.headers.append((name, value))

    def _on_framing(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            self._body_declared = int(value)
        elif name == b"transfer-encoding":
            # The parser also takes codings before it, which nobody here undoes, and HTTP/1.0, which has none.
            if value != b"chunked" or self.parser.get_http_version() == "1.0":
                self._refusal = UNKNOWN_CODING
                raise ValueError("unknown transfer coding")
            self._body_declared = _CHUNKED
        elif value == b"100-continue":
            self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        """Let uvicorn make the request's cycle and its task, which runs later, and make the cycle one of ours."""
        assert not self._answering, "the parser has found the end of a head where there is no blank line"
        if len(self.headers) > MAX_HEADERS:
            self._refusal = HEAD_TOO_LARGE
            raise ValueError("too many headers")
        if self.parser.should_upgrade():
            self._plain_head = self._head_without_upgrade()
            return
        super().on_headers_complete()
        LeanCycle.adopt(self.cycle, self)  # type: ignore[arg-type]  # what is abstract here is there in the end
        self._owes_answer = True
        self._head_bytes = 0
        self._body_left = self._body_declared

    def _head_without_upgrade(self) -> bytes:
        line = b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        return line + b"".join(b"%s: %s\r\n" % each for each in self.headers if each[0] != b"upgrade") + b"\r\n"

    def on_body(self, body: bytes) -> None:
        """Pass it on."""
        cast("LeanCycle", self.cycle).take(body)

    def on_message_complete(self) -> None:
        """Wait for the answer; if that went out before the request was complete, for the next request."""
        if self._plain_head is not None:
            return
        self._body_left = self._body_declared = 0
        if self._owes_answer:
            self._answering = True
            cast("LeanCycle", self.cycle).take_end()
        else:
            self.on_discarded()


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


def _end_of_empty_lines(data: bytes, at: int) -> int:
    """Where the empty lines end that may come before a request; they do not begin it."""
    found = _EMPTY_LINES.match(data, at)
    assert found is not None
    return found.end()
