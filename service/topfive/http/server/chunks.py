"""The parser of bodies with `Transfer-Encoding: chunked` (RFC 9112, 7.1).

It replaces httptools' parser for two reasons. That one cannot stop in the middle of its input, so chunks of one byte
would keep all other connections waiting. And it turns trailers into headers, without a bound on their number.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

from topfive.http.server.refusals import (
    CHUNKS_MALFORMED,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    TRAILERS_TOO_LARGE,
    Unreadable,
)

MAX_LINE_BYTES: Final = 256
"""The longest line with a chunk's size and its extensions; extensions are ignored, and rare."""
LINES_AT_ONCE: Final = 256
"""How many lines (sizes and ends of chunks) are read in one go: a fifth of a millisecond's work. With chunks of two
kilobytes or more, one read from the socket never holds that many."""
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_TRAILER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t\x20-\x7e\x80-\xff]*\r\n")
_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding"))
_EMPTY: Final = b"\r\n"


class _Next(Enum):
    """The kind of line that comes next."""

    SIZE = auto()
    END_OF_CHUNK = auto()
    TRAILER = auto()


class Chunks:
    """Reads the chunks of one body; `over` is true after the last one."""

    def __init__(self) -> None:
        self.over = False
        self._left = 0  # bytes of the current chunk still to come
        self._next = _Next.SIZE
        self._line = bytearray()  # an incomplete line
        self._trailer_bytes = 0
        self._trailers = 0

    def read(self, data: bytes, at: int) -> tuple[bytes, int]:
        """Read `data` from `at` on; return the bytes of the body, and the position where reading stopped.

        It stops at the end of `data`, at the end of the body, or after `LINES_AT_ONCE` lines. Raises `Unreadable`.
        """
        view, found, size, lines = memoryview(data), [], len(data), 0
        while at < size and lines < LINES_AT_ONCE and not self.over:
            left = self._left
            if left:
                end = min(size, at + left)
                found.append(view[at:end])
                self._left = left - (end - at)
            else:
                end = data.find(b"\n", at) + 1 or size
                self._take_line(data[at:end])
                lines += 1
            at = end
        return b"".join(found), at

    def _take_line(self, piece: bytes) -> None:
        """Take a line, or a piece of one; raises `Unreadable`."""
        if self._next is _Next.TRAILER:
            self._trailer_bytes += len(piece)
            if self._trailer_bytes > MAX_HEAD_BYTES:
                raise Unreadable(TRAILERS_TOO_LARGE)
        elif len(self._line) + len(piece) > MAX_LINE_BYTES:
            raise Unreadable(CHUNKS_MALFORMED)
        if not piece.endswith(b"\n"):
            self._line += piece
            return
        if self._line:
            piece = bytes(self._line) + piece
            self._line.clear()
        if self._next is _Next.SIZE:
            self._begin_chunk(piece)
        elif self._next is _Next.TRAILER:
            self._drop_trailer(piece)
        elif piece == _EMPTY:
            self._next = _Next.SIZE
        else:
            raise Unreadable(CHUNKS_MALFORMED)

    def _begin_chunk(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if found is None:
            raise Unreadable(CHUNKS_MALFORMED)
        self._left = int(found[1], 16)
        self._next = _Next.END_OF_CHUNK if self._left else _Next.TRAILER

    def _drop_trailer(self, line: bytes) -> None:
        """Check a trailer and drop it: it comes too late to be a header. An empty line ends the body."""
        if line == _EMPTY:
            self.over = True
            return
        self._trailers += 1
        if self._trailers > MAX_HEADERS:
            raise Unreadable(TRAILERS_TOO_LARGE)
        found = _TRAILER.fullmatch(line)
        if found is None or found[1].lower() in _FRAMING:
            raise Unreadable(CHUNKS_MALFORMED)
