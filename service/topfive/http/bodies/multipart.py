"""A parser of `multipart/form-data` bodies, as browsers, curl, and programs that write them by hand send them.

What lives here: where parts begin and end, and what their headers say; a part's data are a view of the body. What does
not: which of the parts are images (`http.bodies.uploads`).

The parser is lenient: it skips text before the first boundary and after the last, lines may end in a bare LF (if the
first boundary's line does), and headers may be absent. But the closing boundary must be there: without it a body that
was cut short would be answered as if it were whole. It is our own, because python-multipart accepts neither text before
the first boundary nor bare LF, calls back for each piece, and takes ten times as long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from topfive.ground.errors import MalformedRequest, TooLarge
from topfive.http.parameters import media_type_of
from topfive.images.files.base64_text import decoded

_MAX_BOUNDARY_BYTES: Final = 70
"""The bound of RFC 2046."""
_MAX_HEAD_BYTES: Final = 8192
"""The most bytes of one part's headers; browsers and other clients send some hundred."""
_MAX_LINES: Final = 16
"""The most header lines of one part. Clients send two or three; a line costs a hundred times what its bytes cost."""
_MAX_PARAMETERS: Final = 16
"""The most parameters of one header, for the same reason."""
_MAX_LOOKALIKES: Final = 1000
"""The most lines that begin like the boundary but are not it: each is looked at by itself."""
_WINDOW: Final = 1 << 18
"""Bytes that are searched in one step, during which no other thread runs."""
_FIRST_WINDOW: Final = 1 << 12
_AFTER_BOUNDARY: Final = 256
"""Within this many bytes after the boundary its line must end."""
_BLANK_LINE: Final = re.compile(rb"(?:\A|\r?\n)\r?\n")
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# The closing quote is optional, so that the pattern never backtracks.
_PARAMETER: Final = re.compile(rb""";\s*([!#$%&'*+.^_`|~\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^;]*))""", re.DOTALL)
_REST_OF_LINE: Final = re.compile(rb"(--)?[ \t]*(\r?\n|\Z)")

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its number, from 1, the names of its field and its file (None if it has none), its type, its bytes."""

    number: int
    name: str
    filename: str | None
    media_type: str
    data: Buffer

    def __str__(self) -> str:
        names = ", ".join(repr(name[:50]) for name in (self.name, self.filename) if name)
        return f"part {self.number} ({names})" if names else f"part {self.number}"


def read_form(body: Buffer, content_type: bytes, *, max_parts: int) -> list[Part]:
    """The parts of `body`; raises `MalformedRequest`, and `TooLarge` if there are more than `max_parts`."""
    boundary = dict(_parameters(content_type)).get(b"boundary", b"")
    if not 0 < len(boundary) <= _MAX_BOUNDARY_BYTES:
        raise MalformedRequest("multipart/form-data needs a boundary of 1 to 70 bytes in its Content-Type")
    parts: list[Part] = []
    view = memoryview(body)
    for begin, end in _extents(view, b"--" + boundary):
        if len(parts) == max_parts:
            raise TooLarge(f"the form has more than {max_parts} parts, the most that are accepted; send fewer")
        parts.append(_part(view[begin:end], len(parts) + 1))
    return parts


def _extents(view: memoryview, delimiter: bytes) -> Iterator[tuple[int, int]]:
    """For each part, where its headers begin and where its data end."""
    opened = _opening(view, delimiter)
    if opened is None:
        raise MalformedRequest(
            "the multipart body cannot be read: no line of it is the boundary that its Content-Type announces"
        )
    begin, is_last, newline = opened
    lookalikes = 0
    while not is_last:
        # The newline before a boundary belongs to it; it may be the same that ends the last boundary's line.
        search = begin - len(newline)
        while True:
            at = _find(view, newline + delimiter, search)
            if at < 0:
                raise MalformedRequest("the multipart body is cut short: its closing boundary is missing")
            line = _REST_OF_LINE.match(view[(after := at + len(newline) + len(delimiter)) : after + _AFTER_BOUNDARY])
            if line is not None and (line[1] or line[2]):
                break
            search = at + 1
            lookalikes += 1
            if lookalikes > _MAX_LOOKALIKES:
                raise TooLarge("the multipart body has too many lines that begin like its boundary; choose another one")
        yield begin, max(begin, at)
        begin, is_last = after + line.end(), line[1] is not None


def _opening(view: memoryview, delimiter: bytes) -> tuple[int, bool, bytes] | None:
    """Where the first boundary's line ends, whether it is also the closing one, and its newline; None without one."""
    search, lookalikes = 0, 0
    while lookalikes <= _MAX_LOOKALIKES:
        if search == 0 and view[: len(delimiter)] == delimiter:
            after = len(delimiter)
        else:
            at = _find(view, b"\n" + delimiter, search)
            if at < 0:
                return None
            after = at + 1 + len(delimiter)
        line = _REST_OF_LINE.match(view[after : after + _AFTER_BOUNDARY])
        if line is not None and (line[1] or line[2]):
            return after + line.end(), line[1] is not None, bytes(line[2])
        search = after
        lookalikes += 1
    return None


def _find(view: memoryview, wanted: bytes, start: int) -> int:
    """Where `wanted` next begins, -1 if nowhere: `bytes.find` for a view, done in steps."""
    size = _FIRST_WINDOW
    while start < len(view):
        found = bytes(view[start : start + size + len(wanted) - 1]).find(wanted)
        if found >= 0:
            return start + found
        start += size
        size = min(2 * size, _WINDOW)
    return -1


def _part(part: memoryview, number: int) -> Part:
    head = bytes(part[:_MAX_HEAD_BYTES])
    blank = _BLANK_LINE.search(head)
    if blank is None:
        raise MalformedRequest(
            f"the multipart body cannot be read: part {number} has no blank line after its headers, which may have "
            f"{_MAX_HEAD_BYTES} bytes"
        )
    headers = _headers(head[: blank.start()], number)
    given = {name: _text(value) for name, value in _parameters(headers.get(b"content-disposition", b""))}
    filename = _extended(given[b"filename*"]) if b"filename*" in given else given.get(b"filename")
    name = given.get(b"name", "")
    media_type = media_type_of(headers.get(b"content-type", b""))
    coding = headers.get(b"content-transfer-encoding", b"binary").lower()
    data = _transferred(part[blank.end() :], coding, number)
    return Part(number, name, filename, media_type, data)


def _headers(head: bytes, number: int) -> dict[bytes, bytes]:
    """The headers by name; of several lines with one name the first counts, and continued lines are joined."""
    headers: dict[bytes, bytes] = {}
    if head.count(b"\n") >= _MAX_LINES:
        raise TooLarge(f"part {number} of the form has more than {_MAX_LINES} lines of headers; send fewer")
    unfolded = re.sub(rb"\r?\n[ \t]+", b" ", head)
    for line in filter(None, re.split(rb"\r?\n", unfolded)):
        name, colon, value = line.partition(b":")
        if not colon or _TOKEN.fullmatch(name.strip()) is None:
            raise MalformedRequest(f"the multipart body cannot be read: part {number} has a line that is no header")
        headers.setdefault(name.strip().lower(), value.strip())
    return headers


def _parameters(header: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The names, in lower case, and the values of a header's parameters."""
    for number, found in enumerate(_PARAMETER.finditer(header)):
        if number == _MAX_PARAMETERS:
            raise TooLarge(f"a header of the form has more than {_MAX_PARAMETERS} parameters; send fewer")
        quoted = found[2]
        yield found[1].lower(), found[3].strip() if quoted is None else _unquoted(quoted)


def _unquoted(value: bytes) -> bytes:
    r"""`value` with \" and \\ replaced by what they stand for; a pattern would take longer with each that it finds."""
    return b"\\".join(piece.replace(b'\\"', b'"') for piece in value.split(b"\\\\"))


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _extended(value: str) -> str:
    """A file's name without the charset and language of RFC 5987; it is only shown in messages."""
    return value.rpartition("'")[2]


def _transferred(data: memoryview, coding: bytes, number: int) -> Buffer:
    """`data` decoded. RFC 7578 deprecates transfer codings, but mail libraries still write forms in base64."""
    if coding in (b"binary", b"8bit", b"7bit", b""):
        return data
    if coding == b"base64":
        return decoded(str(data, "latin-1"), name=f"part {number}")
    raise MalformedRequest(
        f"part {number} has the Content-Transfer-Encoding '{_text(coding[:50])}'; send its bytes as they are, or base64"
    )
