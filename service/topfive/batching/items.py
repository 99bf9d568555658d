"""Items that wait in a queue, their states, and the queue's bounds: values without behaviour."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from topfive.batching.sharing import Sharer

_NEVER: Final = float("inf")


class ItemState(enum.Enum):
    """QUEUED -> DISPATCHED -> DONE; after a batch that failed also DISPATCHED -> RETRYING -> DISPATCHED.

    QUEUED, DISPATCHED and RETRYING -> FAILED | CANCELLED | EXPIRED; no other state is left again.
    """

    QUEUED = "queued"
    DISPATCHED = "dispatched"
    RETRYING = "retrying"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(slots=True, eq=False)
class Item:
    """One image on its way to a batch.

    `key`: only items of equal key are batched together. `payload`: the tensor, opaque to the queue. `nbytes`: what it
    counts against the byte bound. `deadline`: the monotonic second by which its caller must have an answer; it is not
    dispatched after that. `priority`: its level, as `QueueLimits.level` gives it. `tenant`: with whom it shares the
    queue, None without others; its `tag` says when it is its turn (`batching.sharing`). The batcher uses `waiter`, the
    future of the outcome, `abandoned`, which says whether the client has hung up, and `in_background`, which says that
    no client waits; the queue does not.
    """

    key: Any
    payload: Any
    nbytes: int
    deadline: float = _NEVER
    priority: int = 0
    tenant: Sharer | None = None
    arrived: float = 0.0
    sequence: int = 0
    tag: float = 0.0
    state: ItemState = ItemState.QUEUED
    waiter: Any = field(default=None, repr=False)
    abandoned: Callable[[], bool] = field(default=bool, repr=False)
    in_background: bool = field(default=False, repr=False)


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Bounds and batching rule of one queue; sizes in items, bytes and seconds.

    `max_batch_size` is the size that pays, at most the model's cap `graph_batch_size`. A request that would wait longer
    than `max_wait_seconds`, behind at least `graph_batch_size` items, is refused. Priority level 1 is the best; with 0
    `priority_levels` all items are equal.
    """

    max_batch_size: int
    max_items: int
    max_bytes: int
    max_queue_delay_seconds: float = 0.0
    graph_batch_size: int = 1
    max_wait_seconds: float = _NEVER
    priority_levels: int = 0
    default_priority_level: int = 0

    def level(self, priority: int) -> int:
        """The level of a request that asks for `priority`, as on Triton: the default if that is not a level."""
        return priority if 0 < priority <= self.priority_levels else self.default_priority_level
