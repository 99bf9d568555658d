"""uvicorn's HTTP/1.1 protocol, less two copies of each body and one system call for each answer.

What lives here: how bytes of a body reach `receive` (as they came from the parser, one by one, instead of being
gathered in an array and copied out of it), how far reading runs ahead of it, and how an answer is written (head and
body at once). Everything else, from parsing to timeouts, is uvicorn's. It has no hook for these, so this file knows its
internals; pyproject.toml holds uvicorn to the series that it was written for.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from asyncio import Transport

    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent

_AHEAD_BYTES: Final = 1 << 20
"""How much of a body is taken in before the application asks for it; a connection's bound. A photo fits."""
_PART_OVERHEAD_BYTES: Final = 64
"""What a part costs beside its bytes, so that a body of one-byte chunks is bounded too."""


class LeanHttpProtocol(HttpToolsProtocol):
    """One connection."""

    def on_headers_complete(self) -> None:
        """Let uvicorn make the request's cycle and its task, which runs later, and make the cycle one of ours."""
        super().on_headers_complete()
        _LeanCycle.adopt(self.cycle)

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


class _LeanCycle(RequestResponseCycle):
    """One request and its answer."""

    parts: deque[bytes]
    ahead: int
    start: ASGISendEvent | None

    @classmethod
    def adopt(cls, cycle: RequestResponseCycle) -> None:
        """Make `cycle` one of this class, before anything has been received or sent on it."""
        if not isinstance(cycle, cls):
            cycle.__class__ = cls
            lean = cast("_LeanCycle", cycle)
            lean.parts, lean.ahead, lean.start = deque(), 0, None

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
            return
        start, self.start = self.start, None
        transport, cork = self.transport, _Cork()
        self.transport = cast("Transport", cork)
        try:
            await super().send(start)
            await super().send(message)
        finally:
            self.transport = transport
            if cork.written:  # nothing is, to a client that has hung up
                transport.write(b"".join(cork.written))
            if cork.closed:
                transport.close()


class _Cork:
    """Stands in for a transport while it is held back."""

    def __init__(self) -> None:
        self.written: list[Any] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True
