"""HTTP/1.1 for generators of load: rendering requests beforehand, and reading answers with little work. Pure.

Sockets are in `lines` and `asking`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

CONTENT_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
HEAD_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer."""

    status: int
    body: bytes
    head: bytes = field(default=b"", compare=False, repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        """All headers by their names in lower case; parsed on demand, because most answers need none."""
        lines = (line.partition(":") for line in self.head.decode("latin-1").split("\r\n")[1:])
        return {name.lower(): value.strip() for name, _, value in lines}

    def header(self, name: str) -> str | None:
        """The value of a header, whatever the case of its name."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.lower() == name.lower().encode():
                return value.strip().decode("latin-1")
        return None


def render(method: str, target: str, body: bytes = b"", /, **headers: str) -> bytes:
    """A whole HTTP request; `Content_Type="image/jpeg"` gives a header."""
    return render_head(method, target, len(body), **headers) + body


def render_head(method: str, target: str, length: int, /, **headers: str) -> bytes:
    """The head of an HTTP request with a body of `length` bytes."""
    fields = {"Host": "127.0.0.1", **headers, "Content-Length": str(length)}
    lines = (f"{name.replace('_', '-')}: {value}" for name, value in fields.items())
    return "\r\n".join((f"{method} {target} HTTP/1.1", *lines, "", "")).encode()


class ResponseParser:
    """Puts one answer at a time together from pieces of bytes. Content-Length framing only, no pipelining."""

    def __init__(self) -> None:
        self._received = b""
        self._body = 0
        self._end: float = math.inf

    def feed(self, piece: bytes) -> Response | None:
        """The answer, if this piece completes it; the parser is then ready for the next."""
        self._received = received = self._received + piece if self._received else piece
        if self._end == math.inf:
            head = received.find(HEAD_END)
            if head < 0:
                return None
            length = CONTENT_LENGTH.search(received, 0, head)
            if length is None or not received.startswith(b"HTTP/1.1 "):
                raise ValueError(f"not an HTTP/1.1 answer with a Content-Length: {received[:head]!r}")
            self._body = head + len(HEAD_END)
            self._end = self._body + int(length[1])
        if len(received) < self._end:
            return None
        if len(received) > self._end:
            raise ValueError("the server sent more than one answer")
        response = Response(int(received[9:12]), received[self._body :], received[: self._body - len(HEAD_END)])
        self._received, self._end = b"", math.inf
        return response
