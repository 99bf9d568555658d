"""What passes between the batcher and those around it: payloads, batches, outcomes, hooks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from topfive.backends.base import PerImageGraph, Row, Tensor
from topfive.batching.items import Item
from topfive.ground.clock import Clock
from topfive.ground.errors import BackendFailure

_NEVER: Final = float("inf")


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
    """A batch in the backend's hands; `claim` is the moment at which it starts to run.

    `submissions`: how many requests had come when it was handed over. `wanted`: the members that run. Left out at the
    start are `late`, which had expired, `gone`, for which nobody waited any more, and `failed`, which could not be
    prepared. `next_deadline`: the earliest of the members that wait for their answer. `given_up`: the error with which
    the backend was told to end it, at the monotonic second `given_up_at`.
    """

    __slots__ = (
        "_clock",
        "claimed",
        "failed",
        "given_up",
        "given_up_at",
        "gone",
        "items",
        "late",
        "next_deadline",
        "prepared",
        "started",
        "submissions",
        "wanted",
    )

    def __init__(self, items: list[Item], clock: Clock, *, submissions: int = 0) -> None:
        self.items = items
        self.submissions = submissions
        self.wanted = items
        self.late: list[Item] = []
        self.gone: list[Item] = []
        self.failed: list[tuple[Item, Exception]] = []
        self.started = self.prepared = clock.now()
        self.claimed = False
        self.next_deadline = min([item.deadline for item in items], default=_NEVER)
        self.given_up: BackendFailure | None = None
        self.given_up_at = _NEVER
        self._clock = clock

    def claim(self) -> list[Tensor]:
        """The tensors to run, less those that expired or were cancelled since; may be called on any thread.

        An image that its per-image graph fails on is left out too, and costs only itself.
        """
        self.started = now = self._clock.now()
        self.claimed = True
        wanted, tensors = [], []
        for item in self.items:
            if item.waiter.done():
                self.gone.append(item)
            elif item.deadline <= now:
                self.late.append(item)
            else:
                try:
                    tensors.append(item.payload.prepare() if isinstance(item.payload, Unprepared) else item.payload)
                except Exception as error:  # noqa: BLE001  # the runtime raises its own types
                    self.failed.append((item, error))
                else:
                    wanted.append(item)
        self.wanted = wanted
        self.prepared = self._clock.now()
        return tensors

    def expire(self, now: float) -> list[Item]:
        """The members whose deadline has passed and that have not been told so."""
        waiting = self.unanswered
        self.next_deadline = min([item.deadline for item in waiting if item.deadline > now], default=_NEVER)
        return [item for item in waiting if item.deadline <= now]

    @property
    def deadline(self) -> float:
        """The earliest of those of its members."""
        return min((item.deadline for item in self.wanted), default=_NEVER)

    @property
    def unanswered(self) -> list[Item]:
        """The members that somebody still waits for."""
        return [item for item in self.items if not item.waiter.done()]
