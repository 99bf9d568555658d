"""One request and its answer: what uvicorn calls a cycle, less two copies of each body and one system call an answer.

What lives here: how bytes of a body reach `receive` (as they came from the parser, one by one, instead of being
gathered in an array and copied out of it), how far reading runs ahead of it, and how an answer is written (head and
body at once). What does not: the connection.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from topfive.ground.types import LET_GO

if TYPE_CHECKING:
    from asyncio import Transport

    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent

AHEAD_BYTES: Final = 1 << 20
"""How much of a body is taken in before the application asks for it; a connection's bound. A photo fits."""
_PART_OVERHEAD_BYTES: Final = 64
"""What a part costs beside its bytes, so that a body of one-byte chunks is bounded too."""


class Connection(Protocol):
    """What a cycle asks of its connection."""

    @property
    def is_last(self) -> bool:
        """Whether the connection closes with the answer."""

    def on_answered(self) -> None:
        """The answer is written."""

    def close_after_answer(self) -> None:
        """Close once the answer is sent."""

    def wait_turn(self) -> None:
        """Read on only in a later turn of the loop."""

    def let_go(self) -> None:
        """End a request whose body keeps others waiting."""


class LeanCycle(RequestResponseCycle):
    """One request and its answer."""

    parts: deque[bytes]
    ahead: int
    start: ASGISendEvent | None
    connection: Connection

    @classmethod
    def adopt(cls, cycle: RequestResponseCycle, connection: Connection) -> None:
        """Make `cycle` one of this class, before anything has been received or sent on it."""
        cycle.__class__ = cls
        lean = cast("LeanCycle", cycle)
        cast("dict[str, Any]", lean.scope)[LET_GO] = connection.let_go
        lean.parts, lean.ahead, lean.start, lean.connection = deque(), 0, None, connection

    def take(self, part: bytes) -> None:
        """Keep a part of the body, as it is, for `receive`."""
        if self.response_complete:
            self.connection.wait_turn()
            return
        self.parts.append(part)
        self.ahead += len(part) + _PART_OVERHEAD_BYTES
        if self.ahead > AHEAD_BYTES:
            self.flow.pause_reading()
        self.message_event.set()

    def take_end(self) -> None:
        """The body is complete."""
        self.more_body = False
        self.message_event.set()

    def give_up(self) -> None:
        """Tell the application that its client is gone."""
        self.disconnected = True
        self.message_event.set()

    async def receive(self) -> ASGIReceiveEvent:
        """The next part of the body, the disconnect, or an empty last part."""
        if not self.parts:
            message = await super().receive()
            if not self.parts or message["type"] == "http.disconnect":
                return message
        part = self.parts.popleft()
        self.ahead -= len(part) + _PART_OVERHEAD_BYTES
        if self.ahead <= AHEAD_BYTES:
            self.flow.resume_reading()
        return {"type": "http.request", "body": part, "more_body": self.more_body or bool(self.parts)}

    async def send(self, message: ASGISendEvent) -> None:
        """Hold the head back until the first of the body is there, and write both at once."""
        if message["type"] == "http.response.start" and not self.response_started and self.start is None:
            self.start = message
            return
        if self.start is None:
            await super().send(message)
        else:
            start, self.start = self.start, None
            if self.connection.is_last:
                self.keep_alive = False
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
                    self.connection.close_after_answer()
        if self.response_complete:
            self.parts.clear()
            self.connection.on_answered()


class _Cork:
    """Stands in for a transport while it is held back."""

    def __init__(self) -> None:
        self.written: list[Any] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True


class Flow(FlowControl):
    """uvicorn's, which can hold reading back against whoever would resume it: a request's cycle, that takes more."""

    _held = False
    _paused = False  # by the cycle

    def hold(self) -> None:
        """Do not read until `release`."""
        self._held = True
        super().pause_reading()

    def release(self) -> None:
        """Read on, unless the cycle has enough."""
        self._held = False
        if not self._paused:
            super().resume_reading()

    def pause_reading(self) -> None:
        self._paused = True
        super().pause_reading()

    def resume_reading(self) -> None:
        self._paused = False
        if not self._held:
            super().resume_reading()
