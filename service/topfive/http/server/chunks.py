"""The chunks of a body that comes in `Transfer-Encoding: chunked`: from their bytes to the body's (RFC 9112, 7.1).

What lives here: how chunks are written, and how much of them is read at once. What does not: whose body it is. A parser
of our own, because httptools' can neither be stopped within what it is given, so that chunks of one byte keep everybody
else waiting, nor told to drop trailers, which it makes headers of, as many as come.
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
"""A chunk's size with its extensions, which nobody here understands, nor hardly anybody sends."""
LINES_AT_ONCE: Final = 256
"""Of sizes and ends of chunks: what is read in one go, in a fifth of a millisecond, however small the chunks are. Of
chunks of two kilobytes and more it is all that one reading brings."""
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_TRAILER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t\x20-\x7e\x80-\xff]*\r\n")
_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding"))
_EMPTY: Final = b"\r\n"


class _Next(Enum):
    """The kind of line that is due."""

    SIZE = auto()
    END_OF_CHUNK = auto()
    TRAILER = auto()


class Chunks:
    """Those of one body; `over` once their end has come."""

    def __init__(self) -> None:
        self.over = False
        self._left = 0  # bytes of the chunk that are still to come
        self._next = _Next.SIZE
        self._line = bytearray()  # the beginning of one
        self._trailer_bytes = 0
        self._trailers = 0

    def read(self, data: bytes, at: int) -> tuple[bytes, int]:
        """The bytes of the body in `data` from `at` on, and how far they were looked for.

        That is the end of `data`, that of the body, or as far as is read at once. Raises `Unreadable`.
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
        """Take a line in, or the piece of one."""
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
        """Take it for what it is, and for no header: it comes after everything that headers decide."""
        if line == _EMPTY:
            self.over = True
            return
        self._trailers += 1
        if self._trailers > MAX_HEADERS:
            raise Unreadable(TRAILERS_TOO_LARGE)
        found = _TRAILER.fullmatch(line)
        if found is None or found[1].lower() in _FRAMING:
            raise Unreadable(CHUNKS_MALFORMED)
