"""Where the head of a request ends, before it is parsed: the parser must not be given what comes after it.

What lives here: blank lines, bounds, and the parser to give it to. What does not: what a head says (`http_parsing`).
"""

from __future__ import annotations

import re
from typing import Final

import httptools

from topfive.http.server.refusals import MAX_HEAD_BYTES, MAX_HEADERS

SMALL_BYTES: Final = 1 << 12
"""What is no longer than this is copied sooner than viewed; nor has it so many headers that it matters."""
_BLANK_LINE: Final = b"\r\n\r\n"
"""The parser takes nothing else as the end of a head."""
_MAX_LINES: Final = MAX_HEADERS + 2
_EMPTY_LINES: Final = re.compile(rb"[\r\n]{0,64}")
"""Some clients send one after a body; who sends more than so many at once sends nothing else."""
_HOST: Final = re.compile(rb"(?:\[[0-9a-f:.]+(?:%25[0-9a-z._~-]+)?\]|[0-9a-z._~!$&'()*+,;=%-]*)(?::[0-9]{0,5})?")


class Head:
    """One that is coming in."""

    def __init__(self) -> None:
        self.nbytes = 0
        """What has come of it."""
        self.is_too_large = False
        """Found before the parser calls back for each header; their exact number is looked at when it has."""
        self._tail = b""  # the end of what has come, where a blank line may have begun

    def take(self, data: bytes, at: int) -> int:
        """Where in `data` the head that goes on at `at` may end."""
        if not self.nbytes and 0 <= (found := data.find(_BLANK_LINE, at)) < at + SMALL_BYTES:
            return found + len(_BLANK_LINE)  # whole and ordinary, as nearly all are
        end = self._end(data, at)
        self.nbytes += end - at
        many = end - at > SMALL_BYTES and data.count(b"\n", at, end) > _MAX_LINES
        self.is_too_large = many or self.nbytes > MAX_HEAD_BYTES
        return end

    def _end(self, data: bytes, at: int) -> int:
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


def end_of_empty_lines(data: bytes, at: int) -> int:
    """Where the empty lines end that may come before a request, and do not begin it; -1 if they are too many."""
    found = _EMPTY_LINES.match(data, at)
    assert found is not None
    end = found.end()
    return -1 if end < len(data) and data[end] in b"\r\n" else end


def is_host(value: bytes) -> bool:
    """Whether `value`, in lower case, is what a Host header may say (RFC 9110, 7.2); it may be empty."""
    return _HOST.fullmatch(value) is not None


def new_parser(protocol: object) -> httptools.HttpRequestParser:
    """One that calls `protocol` back, as uvicorn sets it up."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
