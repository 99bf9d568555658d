"""Places for RPCs: how many are held at once, and how long one may take to send its message.

gRPC holds a message until it is whole, so each place can cost `grpc_max_message_bytes`, and a quarter more so that what
is a little too long can be told so in words of ours. Room is asked for before any of
the message is read. A client that is slow with its message is not let to keep others out: when all places are taken,
the one that has been waited for longest, if that is longer than anyone in a hurry takes, makes room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self

from service.errors import DeadlineExceeded, MalformedRequest, MessageTooLarge, QueueFull

_PATIENCE_SECONDS: Final = 1.0
"""How long a message may take where others wait for its place: on any fair link it is here by then."""

_CUT_OFF_SECONDS: Final = 0.1
"""How soon gRPC cancels the task of a stream that is cut off."""


class Places:
    """At most so many RPCs at once, each of which has `seconds` for its message of at most `max_bytes`.

    Made and used on one event loop.
    """

    def __init__(
        self, most: int, *, seconds: float, max_bytes: int, patience_seconds: float = _PATIENCE_SECONDS
    ) -> None:
        self._most = most
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._patience_seconds = patience_seconds
        self._taken = 0
        self._waited_for: dict[asyncio.Timeout, float] = {}  # in the order in which they began

    def __repr__(self) -> str:
        return f"<Places {self._taken}/{self._most} taken, {len(self._waited_for)} waited for>"

    def __enter__(self) -> Self:
        """Take a place; raises `QueueFull`."""
        if self._taken >= self._most and not self._make_room():
            raise QueueFull(
                f"too many gRPC requests: {self._taken} are held, the most at once (grpc_max_requests); retry later"
            )
        self._taken += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._taken -= 1

    async def receive(self, read: Callable[[], Awaitable[object]]) -> bytes:
        """The message that `read` gives; raises as `receive_next`, and `MalformedRequest` if there is none.

        Of a stream that gRPC has cut off, because its client has left or its message is too long, it first says that
        it has ended, and then cancels the task; an end that stays without that is one without a message.
        """
        message = await self.receive_next(read)
        if message is None:
            await asyncio.sleep(_CUT_OFF_SECONDS)
            raise MalformedRequest("the RPC has no message; send one, if only an empty one")
        return message

    async def receive_next(self, read: Callable[[], Awaitable[object]]) -> bytes | None:
        """The next message of a stream, None at its end; raises `DeadlineExceeded` or `MessageTooLarge`."""
        try:
            async with asyncio.timeout(self._seconds) as bound:
                self._waited_for[bound] = asyncio.get_running_loop().time()
                try:
                    message = await read()
                finally:
                    self._waited_for.pop(bound, None)
        except TimeoutError:
            raise DeadlineExceeded(
                f"the message did not come within {self._seconds:g} s, or kept others waiting; send it faster"
            ) from None
        if not isinstance(message, bytes):
            return None
        if len(message) > self._max_bytes:
            raise MessageTooLarge(
                f"the message has {len(message)} bytes, and gRPC takes at most {self._max_bytes}: send the image "
                "smaller, or as a file (JPEG, PNG) rather than as pixels, or over HTTP, which takes more; or have the "
                "setting grpc_max_message_bytes raised"
            )
        return message

    def _make_room(self) -> bool:
        """Give up on the message that has been waited for longest, if it has had its time."""
        now = asyncio.get_running_loop().time()
        for bound, began in self._waited_for.items():
            if now - began < self._patience_seconds:
                break
            del self._waited_for[bound]
            if not bound.expired():
                bound.reschedule(now)
            return True
        return False
