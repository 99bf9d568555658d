"""From the bytes of a connection to its requests, one at a time.

What lives here: what is parsed when. The parser never gets more than one request: what comes beyond the one that is
being answered stays bytes, and is not read further. Nor has a connection more than its share of the event loop: small
chunks wait for their turn (`turns`), and so does what is only discarded. What does not: how long a connection is waited
for, and how it is closed (`http_protocol`).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from topfive.http.server.chunks import Chunks, UnreadableChunks
from topfive.http.server.cycle import Flow, LeanCycle
from topfive.http.server.heads import SMALL_BYTES, Head, end_of_empty_lines, is_host, new_parser
from topfive.http.server.refusals import (
    HEAD_TOO_LARGE,
    MALFORMED,
    MAX_HEADERS,
    NO_HOST,
    NO_TUNNEL,
    TOO_MANY_CHUNKS,
    UNKNOWN_CODING,
    Refusal,
)

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Transport

    from uvicorn import Config
    from uvicorn.server import ServerState

    from topfive.machine.turns import Turns

_CHUNKED: Final = -1
_TELLING: Final = frozenset((b"content-length", b"transfer-encoding", b"expect", b"host"))


class RequestReader(HttpToolsProtocol):
    """uvicorn's connection, which reads a request, has it answered, and only then reads the next."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: AbstractEventLoop | None,
        turns: Turns,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self._turns = turns
        self._waits_turn = False
        self._chunks = Chunks()  # of the body that comes, where it comes so
        self._head = Head()  # the next, or the one that is coming in
        self._body_declared = 0  # bytes, or _CHUNKED
        self._body_left = 0  # the same, of what is still to come
        self._owes_answer = False  # a head is complete, the answer is not
        self._answering = False  # a whole request is complete, the answer is not
        self._ahead = b""  # received beyond that request, or beyond what this turn allows, from _ahead_at on
        self._ahead_at = 0
        self._has_host = False  # the head that comes in
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
        self._flow = self.flow = Flow(transport)

    def data_received(self, data: bytes) -> None:
        """Take in what has come."""
        if self._deaf:
            if not self.transport.is_closing():
                self.wait_turn()
            return
        if self._ahead:
            self._ahead, self._ahead_at = self._ahead[self._ahead_at :] + data, 0
            return
        if len(data) <= self._body_left:
            self._body_left -= len(data)
            self._feed(data)
        else:
            self._parse(data, 0)
            if self._waits_turn:
                self._check_crowd()
        self.on_progress()

    def read_on(self) -> None:
        """Now that a request is answered, take in what has come meanwhile."""
        self._owes_answer = self._answering = False
        if self._flow.read_paused:  # as it is wherever something is ahead
            self._flow.resume_reading()
            if not self._waits_turn:
                self._parse_on()
        self.on_progress()

    def wait_turn(self) -> None:
        """Read on only in a later turn of the loop."""
        if not self._waits_turn:
            self._waits_turn = True
            self._flow.hold()
            self._turns.ask(self._on_turn)

    def _check_crowd(self) -> None:
        if self._ahead and self._turns.crowded:
            self.refuse(TOO_MANY_CHUNKS)

    def _on_turn(self) -> None:
        self._waits_turn = False
        if self._deaf:
            self._flow.release()
        else:
            self._parse_on()
            self.on_progress()

    def _parse_on(self) -> None:
        if self._ahead:
            data, self._ahead = self._ahead, b""
            self._parse(data, self._ahead_at)
        if not self._ahead and not self._waits_turn:
            self._flow.release()

    def _parse(self, data: bytes, at: int) -> None:
        """Read `data` from `at` on, up to the end of a request or of what this turn allows; keep the rest."""
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
                self._feed(data[at:end] if end - at <= SMALL_BYTES else memoryview(data)[at:end])
            elif left:
                end = self._read_chunks(data, at)
                if end < size and self._body_left:
                    self._ahead, self._ahead_at = data, end
                    self.wait_turn()
                    return
            elif self._head.nbytes or data[at] not in b"\r\n":
                end = self._head.take(data, at)
                if self._head.is_too_large:
                    self.refuse(HEAD_TOO_LARGE)
                    return
                self._feed(data[at:end])
            else:
                end = end_of_empty_lines(data, at)
                if end < 0:
                    self.refuse(MALFORMED)
            at = end

    def _read_chunks(self, data: bytes, at: int) -> int:
        """Pass on what chunks hold, as far as they are read at once; how far that is."""
        try:
            body, at = self._chunks.read(data, at)
        except UnreadableChunks as error:
            self.refuse(error.refusal)
            return len(data)
        if body:
            self.on_body(body)
        if self._chunks.over:
            self.parser = new_parser(self)  # the one that read the head still waits for the body
            self.on_message_complete()
        return at

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
        self.parser = new_parser(self)
        self._feed(head)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep it; look at those that tell where the request goes and how its body comes."""
        name = name.lower()
        if name in _TELLING:
            self._on_telling(name, value.lower())
        self.headers.append((name, value))

    def _on_telling(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            # With two of them, or one that is none, this service and a proxy in front could each mean another.
            if self._has_host or not is_host(value):
                self._fail(NO_HOST)
            self._has_host = True
        elif name == b"content-length":
            self._body_declared = int(value)
        elif name == b"transfer-encoding":
            # The parser also takes codings before it, which nobody here undoes, and HTTP/1.0, which has none.
            if value != b"chunked" or self.parser.get_http_version() == "1.0":
                self._fail(UNKNOWN_CODING)
            self._body_declared = _CHUNKED
        elif value == b"100-continue":
            self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        """Let uvicorn make the request's cycle and its task, which runs later, and make the cycle one of ours."""
        assert not self._answering, "the parser has found the end of a head where there is no blank line"
        if len(self.headers) > MAX_HEADERS:
            self._fail(HEAD_TOO_LARGE)
        if not self._has_host and self.parser.get_http_version() != "1.0":
            self._fail(NO_HOST)
        self._has_host = False
        if self.parser.should_upgrade():
            self._plain_head = self._head_without_upgrade()
            return
        super().on_headers_complete()
        LeanCycle.adopt(self.cycle, self)  # type: ignore[arg-type]  # what is abstract here is there in the end
        self._owes_answer = True
        self._head.nbytes = 0
        self._body_left = self._body_declared
        if self._body_left == _CHUNKED:
            self._chunks = Chunks()

    def _fail(self, refusal: Refusal) -> NoReturn:
        self._refusal = refusal
        raise ValueError  # which stops the parser

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
