"""The calls: how many RPCs are held at once, and how long each may take to send its message.

gRPC holds a message until it is whole, so each call can cost `grpc_max_message_bytes`, and a quarter more: a message
that is a little too long is still received, to be refused with a message of ours. A call takes its place before any of
its message is read. A slow client cannot keep other clients out: when all places are taken, a new call ends a call
whose message is still awaited; first a call from the address with the most such calls. If the new call's address has
fewer, this happens at once, so that each address gets its share, however fast another sends new calls. Otherwise it
happens when the old call has waited a second, which is longer than a fast client takes. Behind a proxy all clients have
one address, so only the second counts. Tenants that share the service also share the places (`batching.sharing`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, NamedTuple, Self

from topfive.batching.sharing import Holdings, Sharer
from topfive.ground.errors import DeadlineExceeded, MalformedRequest, MessageTooLarge, NotReady, QueueFull

_PATIENCE_SECONDS: Final = 1.0
"""How long a message may take when another call needs its place: on any fair link it has come by then."""

_CUT_OFF_SECONDS: Final = 0.1
"""Within this time gRPC cancels the task of a stream that it has cut off."""


class _Wait(NamedTuple):
    """The wait for a message: the client's address, and the second at which it began."""

    address: str
    began: float


class Calls:
    """At most `most` calls at once; each has `seconds` for its message of at most `max_bytes`.

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
        self._taken_by = Holdings()
        self._waited_for: dict[asyncio.Timeout, _Wait] = {}  # in the order in which they began

    def __repr__(self) -> str:
        return f"<Calls {self._taken}/{self._most} taken, {len(self._waited_for)} waited for>"

    def of(self, peer: str, tenant: Sharer | None = None) -> Call:
        """A call from `peer`, as gRPC names it, of `tenant`; a `with` block holds it."""
        return Call(self, peer.rpartition(":")[0], tenant)

    def take(self, address: str, tenant: Sharer | None = None) -> None:
        """Take a place for a call from `address`; raises `QueueFull`."""
        if tenant is not None and not self._taken_by.allows(tenant, 1, free=self._most - self._taken):
            raise QueueFull(
                f"too many gRPC requests: {self._taken} of at most {self._most} are held (grpc_max_requests), and your "
                "key has its share of them; retry later"
            )
        if self._taken >= self._most and not self._make_room(address):
            raise QueueFull(
                f"too many gRPC requests: {self._taken} are held, the most at once (grpc_max_requests); retry later"
            )
        self._taken += 1
        if tenant is not None:
            self._taken_by.add(tenant, 1)

    def give_back(self, tenant: Sharer | None = None) -> None:
        """Give a place back."""
        self._taken -= 1
        if tenant is not None:
            self._taken_by.add(tenant, -1)

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return self._taken

    def hurry(self, seconds: float) -> None:
        """The service stops: from now on, no message may take more than `seconds`."""
        self._stopping = True
        self._seconds = min(self._seconds, seconds)
        latest = asyncio.get_running_loop().time() + seconds
        for bound in self._waited_for:
            when = bound.when()
            if not bound.expired() and (when is None or when > latest):
                bound.reschedule(latest)

    async def wait(self, read: Callable[[], Awaitable[object]], address: str) -> object:
        """The result of `read`; raises `DeadlineExceeded` if it comes late, `NotReady` while the service stops."""
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
        """End a call whose message is awaited, if it has had its time, or its address has more than its share."""
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
    """One RPC from a client at `address`, held while its `with` block lasts."""

    def __init__(self, calls: Calls, address: str, tenant: Sharer | None = None) -> None:
        self._calls = calls
        self._address = address
        self._tenant = tenant

    def __enter__(self) -> Self:
        """Take a place; raises `QueueFull`."""
        self._calls.take(self._address, self._tenant)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._calls.give_back(self._tenant)

    async def receive(self, read: Callable[[], Awaitable[object]]) -> bytes:
        """The message that `read` gives; raises as `receive_next`, and `MalformedRequest` if there is none.

        If gRPC cuts a stream off, because its client has left or its message is too long, it first reports the end of
        the stream and then cancels the task. So an end that no cancellation follows is a stream without a message.
        """
        message = await self.receive_next(read)
        if message is None:
            await asyncio.sleep(_CUT_OFF_SECONDS)
            raise MalformedRequest("the RPC has no message; send one, if only an empty one")
        return message

    async def receive_next(self, read: Callable[[], Awaitable[object]]) -> bytes | None:
        """The next message of a stream, None at its end; raises `MessageTooLarge`, and as `Calls.wait`."""
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
