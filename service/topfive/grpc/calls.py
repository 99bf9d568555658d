"""The RPCs that are held: how many at once, and how long each may take to send its message.

gRPC holds a message until it is whole, so each call can cost `grpc_max_message_bytes`, and a quarter more so that a
message that is a little too long can be refused in words of ours. Whether there is a place is asked before any of the
message is read. A client that is slow with its messages cannot keep others out: when all places are taken, one call
whose message is waited for is ended; first one of the address that has most of them. For an address that has fewer this
happens at once, so that each can have its share however fast another comes again; else after a second, which is longer
than a client in a hurry takes. Behind a proxy all clients have one address, and only that time counts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, NamedTuple, Self

from topfive.ground.errors import DeadlineExceeded, MalformedRequest, MessageTooLarge, NotReady, QueueFull

_PATIENCE_SECONDS: Final = 1.0
"""How long a message may take where others wait for its place: on any fair link it is here by then."""

_CUT_OFF_SECONDS: Final = 0.1
"""How soon gRPC cancels the task of a stream that is cut off."""


class _Wait(NamedTuple):
    """For whose message, and since when."""

    address: str
    began: float


class Calls:
    """At most so many RPCs at once, each of which has `seconds` for its message of at most `max_bytes`.

    Made and used on one event loop.
    """

    def __init__(
        self, most: int, *, seconds: float, max_bytes: int, patience_seconds: float = _PATIENCE_SECONDS
    ) -> None:
        self._most = most
        self.max_bytes = max_bytes
        self._seconds = seconds
        self._patience_seconds = patience_seconds
        self._stopping = False
        self._taken = 0
        self._waited_for: dict[asyncio.Timeout, _Wait] = {}  # in the order in which they began

    def __repr__(self) -> str:
        return f"<Calls {self._taken}/{self._most} taken, {len(self._waited_for)} waited for>"

    def of(self, peer: str) -> Call:
        """An RPC of `peer`, as gRPC names it, which a `with` block holds."""
        return Call(self, peer.rpartition(":")[0])

    def take(self, address: str) -> None:
        """Take a place; raises `QueueFull`."""
        if self._taken >= self._most and not self._make_room(address):
            raise QueueFull(
                f"too many gRPC requests: {self._taken} are held, the most at once (grpc_max_requests); retry later"
            )
        self._taken += 1

    def give_back(self) -> None:
        """Give it back."""
        self._taken -= 1

    @property
    def taken(self) -> bool:
        """Whether any is."""
        return self._taken > 0

    def hurry(self, seconds: float) -> None:
        """The service stops: no message has more than `seconds` from now on."""
        self._stopping = True
        self._seconds = min(self._seconds, seconds)
        latest = asyncio.get_running_loop().time() + seconds
        for bound in self._waited_for:
            when = bound.when()
            if not bound.expired() and (when is None or when > latest):
                bound.reschedule(latest)

    async def wait(self, read: Callable[[], Awaitable[object]], address: str) -> object:
        """What `read` gives in time; raises `DeadlineExceeded`, or `NotReady` while the service stops."""
        try:
            async with asyncio.timeout(self._seconds) as bound:
                self._waited_for[bound] = _Wait(address, asyncio.get_running_loop().time())
                try:
                    return await read()
                finally:
                    self._waited_for.pop(bound, None)
        except TimeoutError:
            if self._stopping:
                raise NotReady("the service is stopping, and the message did not come in time; send it again") from None
            raise DeadlineExceeded(
                f"the message did not come within {self._seconds:g} s, or kept others waiting; send it faster, and "
                "fewer at once"
            ) from None

    def _make_room(self, address: str) -> bool:
        """Give up on a message that is waited for, if one has had its time, or its address more than its share."""
        now = asyncio.get_running_loop().time()
        held = Counter(wait.address for wait in self._waited_for.values())
        own = held[address]

        def makes_room(wait: _Wait) -> bool:
            its = held[wait.address]
            return its > own + 1 or (its >= own and now - wait.began >= self._patience_seconds)

        slow = [bound for bound, wait in self._waited_for.items() if makes_room(wait)]
        if not slow:
            return False
        bound = max(slow, key=lambda each: held[self._waited_for[each].address])  # the first of these: the oldest
        del self._waited_for[bound]
        if not bound.expired():
            bound.reschedule(now)
        return True


class Call:
    """One RPC of a client at `address`, held while its `with` block lasts."""

    def __init__(self, calls: Calls, address: str) -> None:
        self._calls = calls
        self._address = address

    def __enter__(self) -> Self:
        """Take it; raises `QueueFull`."""
        self._calls.take(self._address)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._calls.give_back()

    async def receive(self, read: Callable[[], Awaitable[object]]) -> bytes:
        """The message that `read` gives; raises as `receive_next`, and `MalformedRequest` if there is none.

        Raises `NotReady` if it is slow while the service stops.

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
        message = await self._calls.wait(read, self._address)
        if not isinstance(message, bytes):
            return None
        most = self._calls.max_bytes
        if len(message) > most:
            raise MessageTooLarge(
                f"the message has {len(message)} bytes, and gRPC takes at most {most}: send the image "
                "smaller, or as a file (JPEG, PNG) rather than as pixels, or over HTTP, which takes more; or have the "
                "setting grpc_max_message_bytes raised"
            )
        return message
