"""What bounds a model's queue: the places in it, the expected wait, and the count of requests inside.

What lives here: every refusal on arrival, and the measured cost of an image, from which the wait is estimated. What
does not: what happens to an item in the queue (`batching.batcher`).

A request is *inside* from the moment at which it found the model until it has its answer, with or without places;
a model is retired only when no request is inside. *Places* in the queue are held for images that are being prepared, so
that no request is refused after its image was decoded. A request whose body is still coming holds none. Images that
take long to decode hold places but do not count in the estimated wait: a request that comes now is done before them.

A wrong estimate does not last: a request is never refused by it when nothing waits, and each batch that runs corrects
it.
"""

from __future__ import annotations

import asyncio
from typing import Final

from topfive.access.tenants import Tenant
from topfive.batching.queue import BatchingQueue
from topfive.batching.retries import Retries
from topfive.batching.sharing import Sharer
from topfive.ground.clock import Clock
from topfive.ground.errors import BackendUnreachable, DeadlineExceeded, NotReady, QueueFull, TooLarge

_NEVER: Final = float("inf")
_RATE_SMOOTHING: Final = 0.1
"""Weight of the newest batch in the average cost per image, which so covers about the last ten batches."""


class Room:
    """Bounds what waits for a model: the items in `queue` and `retries`, and the places held for images to come."""

    def __init__(self, queue: BatchingQueue, retries: Retries, clock: Clock) -> None:
        self.inside = 0
        self.seconds_per_image = 0.0
        self._queue = queue
        self._sharing = queue.sharing
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
        """Count one more request inside; raises `NotReady` if no request is let in."""
        if self._failed or self._suspended is not None or self._queue.closed:
            self.check_places(0, 0)
        self.inside += 1

    def leave(self) -> None:
        """Count one request less inside."""
        self.inside -= 1
        if not self.inside:
            for waiter in self._waiting_for_all_out:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiting_for_all_out.clear()

    async def all_out(self) -> None:
        """Return when no request is inside."""
        while self.inside:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting_for_all_out.append(waiter)
            await waiter

    def suspend(self, reason: BackendUnreachable | None) -> None:
        """Refuse every request for `reason`; None lets requests in again."""
        self._suspended = reason

    def fail(self) -> None:
        """Refuse every request from now on, because the batcher failed."""
        self._failed = True

    def level(self, priority: int, tenant: Tenant | None = None) -> int:
        """The level of a request that asks for `priority`, or for none with 0; never better than `tenant` may have."""
        limits = self._queue.limits
        if tenant is None or not tenant.limits.priority:
            return limits.level(priority)
        return tenant.bounded_priority(limits.level(priority or tenant.limits.priority), limits.priority_levels)

    def hold(self, images: int, level: int | None, tenant: Sharer | None = None) -> None:
        """Hold so many places more, or less if negative; `level` None leaves them out of the estimated wait."""
        self._held += images
        if tenant is not None:
            self._sharing.hold(tenant, level, images)
        if level is None:
            return
        held = self._held_by_level.get(level, 0) + images
        if held:
            self._held_by_level[level] = held
        else:
            self._held_by_level.pop(level, None)  # clients choose levels, so unused ones must not pile up

    def ran(self, images: int, seconds: float) -> None:
        """Learn from a batch that ran that so many images cost `seconds`."""
        cost = seconds / images
        before = self.seconds_per_image or cost
        self.seconds_per_image = before + _RATE_SMOOTHING * (cost - before)

    def estimated_wait_seconds(self, priority: int = 0) -> float:
        """How long an image of `priority` would wait for the images ahead of it."""
        return self._ahead(self.level(priority)) * self.seconds_per_image

    def check(self, images: int, *, deadline: float = _NEVER, priority: int = 0, tenant: Tenant | None = None) -> int:
        """Raise an error if a request of so many images would be refused now; change nothing. Returns its level.

        Raises `NotReady`; `TooLarge` if the queue could never hold them all; `QueueFull` if they have no place or would
        wait too long; `DeadlineExceeded` if they would wait beyond `deadline`. While `tenant` shares the service with
        others, its images wait for their turn, and it has no place beyond its share when places are short.
        """
        limits = self._queue.limits
        if images > limits.max_items:
            raise TooLarge(
                f"the request has {images} images, and at most {limits.max_items} may wait for this model; send fewer"
            )
        self.check_places(images, 0)
        if tenant is None:
            shares, level = None, limits.level(priority)
        else:
            shares, level = tenant.shares, self.level(priority, tenant)
            if shares is not None:
                self._check_share(images, shares)
        ahead = self._ahead(level, shares)
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
        return level

    def check_places(self, images: int, nbytes: int) -> None:
        """Raise `NotReady`, `TooLarge` or `QueueFull` if the queue has no place for so much; the wait is not judged."""
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

    def _check_share(self, images: int, tenant: Tenant) -> None:
        most, taken = self._queue.limits.max_items, self._queue.items + self._held
        if not self._sharing.places.allows(tenant, images, free=most - taken):
            raise QueueFull(
                f"the queue is short of places, {taken} of {most} are taken, and your key has its share of them; retry "
                "later",
                retry_after_seconds=taken * self.seconds_per_image,
            )

    def _ahead(self, level: int, tenant: Sharer | None = None) -> int:
        ahead = len(self._retries.items)
        if tenant is not None:
            return ahead + round(self._sharing.ahead(tenant, level))
        if self._queue.items:
            ahead += self._queue.ahead(level)
        if self._held:
            for its, held in self._held_by_level.items():
                if its <= level:
                    ahead += held
        return ahead
