"""What passes between the batcher and those around it: a batch in a backend's hands, an outcome, the hooks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.backends.base import Row, Tensor
from service.batching_queue import Item
from service.clock import Clock


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item: its outputs and where its time went, in seconds."""

    row: Row
    queue_seconds: float
    inference_seconds: float
    batch_size: int


@dataclass(frozen=True, slots=True)
class BatcherHooks:
    """Who is told what, as it happens. All are called on the event loop and must not block."""

    on_batch: Callable[[int, float], None]
    """(batch size, inference seconds) of a batch that ran."""
    on_batch_failure: Callable[[int, BaseException], None]
    """(batch size, error) of a batch that failed."""
    on_discard: Callable[[str], None]
    """Reason for which an item left without running: `cancelled`, `expired` or `abandoned`."""
    on_failure: Callable[[BaseException], None]
    """The batcher itself failed and takes no more work."""


class HandedBatch:
    """A batch in the backend's hands; `claim` is the moment at which it starts to run."""

    __slots__ = ("_clock", "items", "late", "started", "wanted")

    def __init__(self, items: list[Item], clock: Clock) -> None:
        self.items = items
        self.wanted = items
        self.late: list[Item] = []
        self.started = clock.now()
        self._clock = clock

    def claim(self) -> list[Tensor]:
        """The tensors to run, less those that expired or were cancelled since; may be called on any thread."""
        self.started = now = self._clock.now()
        self.late = [item for item in self.items if item.deadline <= now]
        self.wanted = [item for item in self.items if item.deadline > now and not item.waiter.done()]
        return [item.payload for item in self.wanted]
