"""The parser of a request's head: where it ends, its bounds, and what it may contain.

Each head gets a new httptools parser, which never sees the body.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote

import httptools

from topfive.http.server.refusals import (
    HEAD_TOO_LARGE,
    MALFORMED,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    NO_HOST,
    NO_TUNNEL,
    UNKNOWN_CODING,
    Unreadable,
)

CHUNKED: Final = -1
"""Stands for the length of a body that comes in chunks."""
_BLANK_LINE: Final = b"\r\n\r\n"
"""The only end of a head that the parser accepts."""
_SMALL_BYTES: Final = 1 << 12
"""A head up to this size cannot have too many headers, so they are not counted before parsing."""
_MAX_LINES: Final = MAX_HEADERS + 2
_EMPTY_LINES: Final = re.compile(rb"[\r\n]{0,64}")
"""Some clients send an empty line after a body. A client that sends more than these at once is refused."""
_HOST: Final = re.compile(rb"(?:\[[0-9a-f:.]+(?:%25[0-9a-z._~-]+)?\]|[0-9a-z._~!$&'()*+,;=%-]*)(?::[0-9]{0,5})?")
_TELLING: Final = frozenset((b"content-length", b"transfer-encoding", b"expect", b"host"))


class Head:
    """The head of one request. `take` reads it; its other attributes are valid once `is_complete`."""

    __slots__ = (
        "_has_host",
        "_nbytes",
        "_parser",
        "_refusal",
        "_tail",
        "_url",
        "began",
        "body_bytes",
        "expects_continue",
        "headers",
        "http_version",
        "is_complete",
        "keeps_alive",
        "method",
    )

    def __init__(self, began: float) -> None:
        self.began = began
        """When its first byte was read, in monotonic seconds."""
        self.is_complete = False
        self.method = ""
        self.http_version = ""
        self.headers: list[tuple[bytes, bytes]] = []
        """In the order of arrival, names in lower case."""
        self.body_bytes = 0
        """The length of the body, or `CHUNKED`."""
        self.expects_continue = False
        """Whether the client waits for `100 Continue` before it sends the body."""
        self.keeps_alive = False
        """Whether the client wants the connection to stay open."""
        self._url = b""
        self._has_host = False
        self._refusal = MALFORMED  # what to answer if the parser fails
        self._nbytes = 0  # bytes received
        self._tail = b""  # the last bytes received: a blank line may have begun in them
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)

    def take(self, data: bytes, at: int) -> int:
        """Read `data` from `at` on, up to the end of the head; return the position reached. Raises `Unreadable`."""
        parser = self._parser
        assert parser is not None
        found = data.find(_BLANK_LINE, at)
        if not self._nbytes and 0 <= found < at + _SMALL_BYTES:  # nearly always: the whole head at once, and small
            end, is_whole = found + len(_BLANK_LINE), True
        else:
            end, is_whole = self._end(data, at, found)
        try:
            parser.feed_data(data[at:end])
        except httptools.HttpParserUpgrade:
            pass  # the client offers an upgrade, which is ignored; the head has been read
        except httptools.HttpParserError as error:
            raise Unreadable(self._refusal) from error
        if self.is_complete is not is_whole:  # for example, the preface of HTTP/2 has a blank line in its middle
            raise Unreadable(MALFORMED)
        if is_whole:
            self._parser = None  # breaks the reference cycle of head and parser
            self._conclude(parser)
        return end

    def scope(self) -> dict[str, Any]:
        """The part of the ASGI scope that the head decides. Raises `Unreadable`."""
        url = self._url
        if url.startswith(b"/") and b"#" not in url:
            raw_path, _, query = url.partition(b"?")
        else:
            try:
                parsed = httptools.parse_url(url)
            except httptools.HttpParserError as error:
                raise Unreadable(MALFORMED) from error
            if parsed.path is None:
                raise Unreadable(MALFORMED)
            raw_path, query = parsed.path, parsed.query or b""
        path = raw_path.decode("ascii")
        return {
            "http_version": self.http_version,
            "method": self.method,
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self.headers,
        }

    def _end(self, data: bytes, at: int, found: int) -> tuple[int, bool]:
        """How far `data` belongs to the head, and whether it ends there. `found`: a blank line's position, or -1."""
        end, is_whole = (len(data), False) if found < 0 else (found + len(_BLANK_LINE), True)
        tail = self._tail
        if tail:
            split = (tail + data[at : at + 3]).find(_BLANK_LINE)
            if split >= 0:
                end, is_whole = at + split + len(_BLANK_LINE) - len(tail), True
        if not is_whole:
            self._tail = (tail + data[max(at, end - 3) :])[-3:]
        self._nbytes += end - at
        many = end - at > _SMALL_BYTES and data.count(b"\n", at, end) > _MAX_LINES
        if many or self._nbytes > MAX_HEAD_BYTES:
            raise Unreadable(HEAD_TOO_LARGE)
        return end, is_whole

    def _conclude(self, parser: httptools.HttpRequestParser) -> None:
        """Check what can be checked only on a complete head."""
        self.http_version = version = parser.get_http_version()
        if len(self.headers) > MAX_HEADERS:
            raise Unreadable(HEAD_TOO_LARGE)
        if version == "1.0":
            self.keeps_alive = False
            if self.body_bytes == CHUNKED:  # HTTP/1.0 has no chunks
                raise Unreadable(UNKNOWN_CODING)
        elif not self._has_host:
            raise Unreadable(NO_HOST)
        self.method = parser.get_method().decode("ascii")
        if self.method == "CONNECT":
            raise Unreadable(NO_TUNNEL)

    # Called by the parser; an exception stops it

    def on_url(self, url: bytes) -> None:
        """Add a piece of the request's target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; evaluate Host and those about the body."""
        name = name.lower()
        if name in _TELLING:
            self._on_telling(name, value.lower())
        self.headers.append((name, value))

    def _on_telling(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            # With two Host headers, or a malformed one, this service and a proxy could understand different hosts.
            if self._has_host or _HOST.fullmatch(value) is None:
                self._refusal = NO_HOST
                raise ValueError
            self._has_host = True
        elif name == b"content-length":
            self.body_bytes = int(value)
        elif name == b"transfer-encoding":
            if value != b"chunked":  # the parser also accepts codings before it, which are not supported
                self._refusal = UNKNOWN_CODING
                raise ValueError
            self.body_bytes = CHUNKED
        elif value == b"100-continue":
            self.expects_continue = True

    def on_headers_complete(self) -> None:
        """The blank line has arrived."""
        assert self._parser is not None
        self.keeps_alive = self._parser.should_keep_alive()  # the parser knows this only now
        self.is_complete = True


def end_of_empty_lines(data: bytes, at: int) -> int:
    """The position after the empty lines that may precede a request; raises `Unreadable` if there are too many."""
    found = _EMPTY_LINES.match(data, at)
    assert found is not None
    end = found.end()
    if end < len(data) and data[end] in b"\r\n":
        raise Unreadable(MALFORMED)
    return end
