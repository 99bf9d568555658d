"""The parts of a `multipart/form-data` body, as browsers, curl, and programs that write it by hand send it.

What lives here: where parts begin and end, and what their headers say; parts are views of the body. What does not:
which of them are images (`routes.uploads`).

Senders are read as they are: text before the first boundary and after the last is skipped, lines may end in a bare LF
(as the first boundary's does), headers may be absent. A closing boundary must be there: without it a body that was cut
short would be answered as if it were whole. A parser of our own, because python-multipart knows neither text before
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
"""As RFC 2046 has it."""
_MAX_HEAD_BYTES: Final = 8192
"""Headers of one part; browsers and clients send some hundred bytes."""
_MAX_LINES: Final = 16
"""Of the headers of one part. Senders write two or three; each costs a hundred times what its bytes do."""
_MAX_PARAMETERS: Final = 16
"""Of one header, likewise."""
_MAX_LOOKALIKES: Final = 1000
"""Lines that begin with the boundary and go on otherwise: each is looked at by itself."""
_WINDOW: Final = 1 << 18
"""Bytes that are searched in one go, during which no other thread runs."""
_FIRST_WINDOW: Final = 1 << 12
_AFTER_BOUNDARY: Final = 256
"""Bytes in which the rest of a boundary's line must end."""
_BLANK_LINE: Final = re.compile(rb"(?:\A|\r?\n)\r?\n")
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# The closing quote may be absent, so that nothing is ever tried twice.
_PARAMETER: Final = re.compile(rb""";\s*([!#$%&'*+.^_`|~\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^;]*))""", re.DOTALL)
_REST_OF_LINE: Final = re.compile(rb"(--)?[ \t]*(\r?\n|\Z)")

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its place from 1, its field's name, its file's name (None if it is none), its media type, its bytes."""

    number: int
    name: str
    filename: str | None
    media_type: str
    data: Buffer

    def __str__(self) -> str:
        names = ", ".join(repr(name[:50]) for name in (self.name, self.filename) if name)
        return f"part {self.number} ({names})" if names else f"part {self.number}"


def read_form(body: Buffer, content_type: bytes, *, max_parts: int) -> list[Part]:
    """The parts of `body`; raises `MalformedRequest`, and `TooLarge` at the part too many."""
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
    """Where the headers of each part begin and its data end."""
    opened = _opening(view, delimiter)
    if opened is None:
        raise MalformedRequest(
            "the multipart body cannot be read: no line of it is the boundary that its Content-Type announces"
        )
    begin, is_last, newline = opened
    lookalikes = 0
    while not is_last:
        # The newline before the boundary belongs to it; that of the last boundary may be the same one.
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
    """Where the first boundary's line ends, whether it is the last one too, and how its line ends."""
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
    """Where `wanted` next begins, -1 if nowhere: what `bytes.find` says, for a view, and in pieces."""
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
    """The first line of each name, continued lines joined."""
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
    """Names, in lower case, and values of a header's parameters."""
    for number, found in enumerate(_PARAMETER.finditer(header)):
        if number == _MAX_PARAMETERS:
            raise TooLarge(f"a header of the form has more than {_MAX_PARAMETERS} parameters; send fewer")
        quoted = found[2]
        yield found[1].lower(), found[3].strip() if quoted is None else _unquoted(quoted)


def _unquoted(value: bytes) -> bytes:
    r"""`value` with \" and \\ for what they stand for; not by a pattern, which would take as long as it has of them."""
    return b"\\".join(piece.replace(b'\\"', b'"') for piece in value.split(b"\\\\"))


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _extended(value: str) -> str:
    """A file's name after RFC 5987's charset and language; it is only shown."""
    return value.rpartition("'")[2]


def _transferred(data: memoryview, coding: bytes, number: int) -> Buffer:
    """RFC 7578 has senders leave codings out, but mail libraries write forms in base64 all the same."""
    if coding in (b"binary", b"8bit", b"7bit", b""):
        return data
    if coding == b"base64":
        return decoded(str(data, "latin-1"), name=f"part {number}")
    raise MalformedRequest(
        f"part {number} has the Content-Transfer-Encoding '{_text(coding[:50])}'; send its bytes as they are, or base64"
    )
