"""What passes between the batcher and those around it: payloads, reservations, batches, outcomes, hooks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from service.backends.base import PerImageGraph, Row, Tensor
from service.batching_queue import Item, ItemState
from service.clock import Clock
from service.errors import BackendFailure, TopfiveError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item: its outputs and where its time went, in seconds."""

    row: Row
    queue_seconds: float
    resize_seconds: float
    inference_seconds: float
    batch_size: int


@dataclass(frozen=True, slots=True)
class BatcherHooks:
    """Who is told what, as it happens. All are called on the event loop and must not block."""

    on_batch: Callable[[int, float, float], None]
    """(batch size, seconds of preparing its images, inference seconds) of a batch that ran."""
    on_batch_failure: Callable[[int, BaseException], None]
    """(batch size, error) of a batch that failed."""
    on_discard: Callable[[str], None]
    """Reason for which an item left without running: `cancelled`, `expired` or `abandoned`."""
    on_failure: Callable[[BaseException], None]
    """The batcher itself failed and takes no more work."""


@dataclass(frozen=True, slots=True, eq=False)
class Unprepared:
    """A small image whose per-image graph is run when its batch starts, on the slot's own thread.

    `shape`: what it will have then, which is what it is batched by.
    """

    pixels: Tensor
    per_image: PerImageGraph
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """What waits with it."""
        return self.pixels.nbytes

    def prepare(self) -> Tensor:
        """The tensor that the batch takes."""
        tensor: Tensor = self.per_image(self.pixels[np.newaxis])[0]
        return tensor


Payload = Tensor | Unprepared
"""What is submitted: a tensor as the batched graph takes it, or an image still to be made one."""


class HandedBatch:
    """A batch in the backend's hands; `claim` is the moment at which it starts to run."""

    __slots__ = ("_clock", "failed", "items", "late", "prepared", "started", "wanted")

    def __init__(self, items: list[Item], clock: Clock) -> None:
        self.items = items
        self.wanted = items
        self.late: list[Item] = []
        self.failed: list[tuple[Item, Exception]] = []
        self.started = self.prepared = clock.now()
        self._clock = clock

    def claim(self) -> list[Tensor]:
        """The tensors to run, less those that expired or were cancelled since; may be called on any thread.

        An image that its per-image graph fails on is left out too, and costs only itself.
        """
        self.started = now = self._clock.now()
        self.late = [item for item in self.items if item.deadline <= now]
        self.wanted, tensors = [], []
        for item in self.items:
            if item.deadline > now and not item.waiter.done():
                try:
                    tensors.append(item.payload.prepare() if isinstance(item.payload, Unprepared) else item.payload)
                except Exception as error:  # noqa: BLE001  # the runtime raises its own types
                    self.failed.append((item, error))
                else:
                    self.wanted.append(item)
        self.prepared = self._clock.now()
        return tensors


class Reservation:
    """Places in the queue for images that are on their way to it; given back at the end of the `with` block."""

    __slots__ = ("_extend", "_images", "_release")

    def __init__(self, extend: Callable[[int, float, int], None], release: Callable[[int], None]) -> None:
        self._images = 0
        self._extend = extend
        self._release = release

    def extend(self, images: int, *, deadline: float = float("inf"), priority: int = 0) -> None:
        """Take places."""
        self._extend(images, deadline, priority)
        self._images += images

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the places back, for the images themselves or for others; a second time does nothing."""
        self._release(self._images)
        self._images = 0


def fail_all(items: Sequence[Item], cause: BaseException, message: str) -> None:
    """Tell those who wait for `items` that ours is the fault: `BackendFailure`, with `cause` for the log."""
    for item in items:
        item.state = ItemState.FAILED
        failure = BackendFailure(message)
        failure.__cause__ = cause
        refuse(item, failure)


def refuse(item: Item, error: TopfiveError) -> None:
    """Give `error` to who waits for `item`, unless they have gone."""
    waiter: asyncio.Future[Outcome] = item.waiter
    if not waiter.done():
        waiter.set_exception(error)
