"""Values that the batcher exchanges with its callers and its backend: payloads, batches, outcomes, hooks."""

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
    """The result of one item: its outputs, the seconds that each stage took, and the size of its batch."""

    row: Row
    queue_seconds: float
    resize_seconds: float
    inference_seconds: float
    batch_size: int


@dataclass(frozen=True, slots=True)
class BatcherHooks:
    """Functions that the batcher calls when something happens, on the event loop; they must not block."""

    on_batch: Callable[[int, float, float], None]
    """Called with (batch size, seconds of preparing its images, inference seconds) of a batch that ran."""
    on_batch_failure: Callable[[int, BaseException], None]
    """Called with (batch size, error) of a batch that failed."""
    on_discard: Callable[[str], None]
    """Called with the reason for which an item left without running: `cancelled`, `expired` or `abandoned`."""
    on_failure: Callable[[BaseException], None]
    """Called with the error when the batcher itself failed and takes no more work."""


@dataclass(frozen=True, slots=True, eq=False)
class Unprepared:
    """A small image whose per-image graph runs when its batch starts, on the slot's own thread.

    `shape`: the shape of the prepared image. Only images of equal `shape` are batched together.
    """

    pixels: Tensor
    per_image: PerImageGraph
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes that it holds while it waits."""
        return self.pixels.nbytes

    def prepare(self, *, alone: bool) -> Tensor:
        """Run the per-image graph, if `alone` on all cores; return the tensor that the batch takes."""
        tensor: Tensor = self.per_image(self.pixels[np.newaxis], alone=alone)[0]
        return tensor


Payload = Tensor | Unprepared
"""What a caller submits: a tensor that the batched graph takes, or an image to be made into one."""


class HandedBatch:
    """A batch that was handed to the backend; it starts to run when the backend calls `claim`.

    `alone`: whether it has all slots, and so all cores. `submissions`: how many requests the batcher had got when it
    handed this batch over. `wanted`: the members that run.
    `claim` leaves out `late` (expired), `gone` (already answered or cancelled) and `failed` (could not be prepared).
    `next_deadline`: the earliest deadline of the members without an answer. `given_up`: the error with which the
    backend was told to end the batch, at the monotonic second `given_up_at`.
    """

    __slots__ = (
        "_clock",
        "alone",
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

    def __init__(self, items: list[Item], clock: Clock, *, submissions: int = 0, alone: bool = False) -> None:
        self.items = items
        self.alone = alone
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
        """Start the batch; return the tensors of the members to run. May be called on any thread.

        Members that expired or were cancelled are left out. So is an image on which its per-image graph fails; the
        other members still run.
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
                    payload = item.payload
                    tensors.append(payload.prepare(alone=self.alone) if isinstance(payload, Unprepared) else payload)
                except Exception as error:  # noqa: BLE001  # the runtime raises its own types
                    self.failed.append((item, error))
                else:
                    wanted.append(item)
        self.wanted = wanted
        self.prepared = self._clock.now()
        return tensors

    def expire(self, now: float) -> list[Item]:
        """Return the members without an answer whose deadline has passed; update `next_deadline`."""
        waiting = self.unanswered
        self.next_deadline = min([item.deadline for item in waiting if item.deadline > now], default=_NEVER)
        return [item for item in waiting if item.deadline <= now]

    @property
    def deadline(self) -> float:
        """The earliest deadline of the members in `wanted`."""
        return min((item.deadline for item in self.wanted), default=_NEVER)

    @property
    def unanswered(self) -> list[Item]:
        """The members that have no answer yet and were not cancelled."""
        return [item for item in self.items if not item.waiter.done()]
