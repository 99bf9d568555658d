"""Who may come in to a batcher: places in its queue, the wait to be expected, and who is inside.

What lives here: the refusals on arrival, all of them, and the measured cost of an image that they are judged by. What
does not: what becomes of those who came in (`batcher`).

Somebody is *inside* from the moment at which they found the model until they have their answer, with or without places:
who retires a model waits for them. *Places* are held for images that are on their way to the queue, so that nobody is
refused after their image was decoded. A body that is still being received holds none. Images that take long to decode
hold places, but are in nobody's estimate: who comes now will be gone before they come.

The estimate can be wrong, but not for ever: whoever finds nothing waiting is never refused by it, and each batch that
runs corrects it.
"""

from __future__ import annotations

import asyncio
from typing import Final

from topfive.batching.queue import BatchingQueue
from topfive.batching.retries import Retries
from topfive.ground.clock import Clock
from topfive.ground.errors import BackendUnreachable, DeadlineExceeded, NotReady, QueueFull, TooLarge

_NEVER: Final = float("inf")
_RATE_SMOOTHING: Final = 0.1
"""Weight of the newest batch in the running cost per image: remembers about the last ten batches."""


class Room:
    """The room in `queue`, behind what waits in it, in `retries`, and in the hands of those who hold places."""

    def __init__(self, queue: BatchingQueue, retries: Retries, clock: Clock) -> None:
        self.inside = 0
        self.seconds_per_image = 0.0
        self._queue = queue
        self._retries = retries
        self._clock = clock
        self._held = 0
        self._held_by_level: dict[int, int] = {}
        self._failed = False
        self._suspended: BackendUnreachable | None = None
        self._waiting_for_all_out: list[asyncio.Future[None]] = []

    def __repr__(self) -> str:
        return f"<Room {self.inside} inside, {self._held} places held, {self.seconds_per_image:.6f} s an image>"

    def enter(self) -> None:
        """Count one more inside; raises `NotReady` if nobody is let in any more."""
        if self._failed or self._suspended is not None or self._queue.closed:
            self.check_places(0, 0)
        self.inside += 1

    def leave(self) -> None:
        """Count one less."""
        self.inside -= 1
        if not self.inside:
            for waiter in self._waiting_for_all_out:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiting_for_all_out.clear()

    async def all_out(self) -> None:
        """Return at a moment at which nobody is inside."""
        while self.inside:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting_for_all_out.append(waiter)
            await waiter

    def suspend(self, reason: BackendUnreachable | None) -> None:
        """Let nobody in for now, for `reason`; None lets them in again."""
        self._suspended = reason

    def fail(self) -> None:
        """Let nobody in any more, because of a failure."""
        self._failed = True

    def level(self, priority: int) -> int:
        """The level of a request that asks for `priority`."""
        return self._queue.limits.level(priority)

    def hold(self, images: int, level: int | None) -> None:
        """Hold so many places more, or less if negative; None: for images that come too late to be waited for."""
        self._held += images
        if level is None:
            return
        held = self._held_by_level.get(level, 0) + images
        if held:
            self._held_by_level[level] = held
        else:
            self._held_by_level.pop(level, None)  # levels are the clients' choice: none is remembered

    def ran(self, images: int, seconds: float) -> None:
        """Learn from a batch that so many images cost `seconds`."""
        cost = seconds / images
        before = self.seconds_per_image or cost
        self.seconds_per_image = before + _RATE_SMOOTHING * (cost - before)

    def estimated_wait_seconds(self, priority: int = 0) -> float:
        """How long what waits, or is on its way, will take to leave: what is ahead of an image of `priority`."""
        return self._ahead(self.level(priority)) * self.seconds_per_image

    def check(self, images: int, *, deadline: float = _NEVER, priority: int = 0) -> None:
        """Raise what speaks against so many images coming now; change nothing.

        `NotReady`; `TooLarge` if they could never wait together; `QueueFull` if they have no place or would wait too
        long; `DeadlineExceeded` if they would wait beyond `deadline`.
        """
        limits = self._queue.limits
        if images > limits.max_items:
            raise TooLarge(
                f"the request has {images} images, and at most {limits.max_items} may wait for this model; send fewer"
            )
        self.check_places(images, 0)
        ahead = self._ahead(limits.level(priority))
        wait = ahead * self.seconds_per_image
        if self._clock.now() + wait > deadline:
            raise DeadlineExceeded(
                f"{ahead} images wait and would take {wait:.3f} s, which is beyond the deadline; allow more time, or "
                "send less load"
            )
        if wait > limits.max_wait_seconds and ahead >= limits.graph_batch_size:
            raise QueueFull(
                f"the queue is too long: {ahead} images wait and would take {wait:.3f} s, of at most "
                f"{limits.max_wait_seconds:g} s; retry later",
                retry_after_seconds=wait,
            )

    def check_places(self, images: int, nbytes: int) -> None:
        """Raise `NotReady`, `TooLarge` or `QueueFull` if so much has no place now, however short the wait is."""
        if self._failed:
            raise NotReady("the batcher has failed and this process is about to be replaced; retry later")
        if self._suspended is not None:
            raise BackendUnreachable(str(self._suspended), retry_after_seconds=self._suspended.retry_after_seconds)
        if nbytes > self._queue.limits.max_bytes:
            raise TooLarge(
                f"the images have {nbytes} bytes, and at most {self._queue.limits.max_bytes} may wait for this model; "
                "send fewer or smaller ones"
            )
        try:
            self._queue.check_room(images, nbytes, held=self._held)
        except QueueFull as full:
            full.retry_after_seconds = (
                self._queue.items + self._held + len(self._retries.items)
            ) * self.seconds_per_image
            raise

    def _ahead(self, level: int) -> int:
        ahead = len(self._retries.items)
        if self._queue.items:
            ahead += self._queue.ahead(level)
        if self._held:
            for its, held in self._held_by_level.items():
                if its <= level:
                    ahead += held
        return ahead
