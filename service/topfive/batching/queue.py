"""The queue from which batches are formed: a pure class, with no clock, no asyncio and no I/O.

Invariants (property-tested against a list model in `tests/batching/test_queue.py`):

1. Items of one key that are not discarded leave by priority, items of one priority in order of arrival, or in fair
   turns of their tenants (`batching.sharing`), each tenant's in order of arrival. A batch holds items of one key and of
   any priorities. If several keys may leave, the key whose first item has the best priority goes first; among equal
   priorities, the key whose first item has the first turn, or came first. So no key starves.
2. Every accepted item leaves exactly once: in a batch, or discarded (cancelled, expired).
3. 1 <= len(batch) <= min(limit, max_batch_size).
4. Waiting items and bytes never exceed their bounds; a refusal changes nothing.
5. A batch below the cap leaves only if the oldest item of its key waited out the delay, or after `hurry` or `close`.
6. After `close` no item enters, and every item present can leave at once.

An item's key is the shape of its tensor: only items of one key can be stacked into a batch. Its priority is a level;
the lowest number is the best. Times are monotonic seconds, which the caller passes as `now`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from itertools import chain
from typing import Any, Final

from topfive.batching.items import Item, ItemState, QueueLimits
from topfive.batching.sharing import Sharing
from topfive.ground.errors import NotReady, QueueFull

_NEVER: Final = float("inf")


class BatchingQueue:
    """Bounded queue of items by priority, then by turns or first come, first served; taken in batches of one key."""

    def __init__(self, limits: QueueLimits) -> None:
        self.limits = limits
        self.sharing = Sharing()
        self.items = 0
        self.nbytes = 0
        self.closed = False
        self._hurried = False
        self._lanes: dict[Any, deque[Item]] = {}  # by key; each in the order in which it leaves
        self._accepted = 0
        self._with_deadline = 0

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<BatchingQueue {state} {self.items}/{self.limits.max_items} items, {self.nbytes} bytes>"

    def check_room(self, items: int, nbytes: int, *, held: int = 0) -> None:
        """Raise `NotReady` or `QueueFull` if so much could not enter now, with `held` places held for other items."""
        if self.closed:
            raise NotReady("the service is draining and takes no new work; send the request to another replica")
        if self.items + held + items > self.limits.max_items:
            raise QueueFull(
                f"the queue is full: {self.items + held} of at most {self.limits.max_items} images wait; retry later"
            )
        if self.nbytes + nbytes > self.limits.max_bytes:
            raise QueueFull(
                f"the queue is full: {self.nbytes} of at most {self.limits.max_bytes} bytes wait; retry later"
            )

    def ahead(self, level: int) -> int:
        """How many items would leave before a new one of this level, if all had the same key."""
        ahead = 0
        for lane in self._lanes.values():
            ahead += len(lane) if lane[-1].priority <= level else bisect_right(lane, level, key=_priority)
        return ahead

    def put(self, item: Item, *, now: float) -> None:
        """Add `item` where it is its turn; the caller has just called `check_room` for its request."""
        item.arrived = now
        if item.tenant is not None:
            item.tag = self.sharing.put(item.tenant, item.priority)
        self._accepted += 1
        item.sequence = self._accepted
        lane = self._lanes.get(item.key)
        if lane is None:
            self._lanes[item.key] = deque((item,))
        elif (last := lane[-1]).priority < item.priority or (last.priority == item.priority and last.tag <= item.tag):
            lane.append(item)
        else:
            lane.insert(bisect_right(lane, _turn(item), key=_turn), item)
        self.items += 1
        self.nbytes += item.nbytes
        self._with_deadline += item.deadline != _NEVER

    def cancel(self, item: Item) -> bool:
        """Remove `item` as cancelled; False if it has left the queue already."""
        if item.state is not ItemState.QUEUED:
            return False
        self._remove(item, ItemState.CANCELLED)
        return True

    def expire(self, *, now: float) -> list[Item]:
        """Remove and return, in order of arrival, the items whose deadline has passed."""
        if not self._with_deadline:
            return []
        late = [item for lane in self._lanes.values() for item in lane if item.deadline <= now]
        for item in late:
            self._remove(item, ItemState.EXPIRED)
        return sorted(late, key=_arrival)

    def ready(self, *, now: float) -> bool:
        """Whether a batch may leave now."""
        return any(self._lane_ready(lane, now) for lane in self._lanes.values())

    def next_event(self, *, now: float) -> float:
        """The next second after `now` at which an item has waited out the delay or expires; infinity if none."""
        delay = self.limits.max_queue_delay_seconds
        if not delay and not self._with_deadline:
            return _NEVER
        waited_out = (_oldest_arrival(lane) + delay for lane in self._lanes.values())
        deadlines = (item.deadline for lane in self._lanes.values() for item in lane)
        return min((when for when in chain(waited_out, deadlines) if when > now), default=_NEVER)

    def take(self, limit: int, *, now: float) -> list[Item]:
        """Remove and return the next batch; empty if none may leave now.

        `limit` is the taker's share. It does not apply to a key that may leave before its delay is out because it
        reached the cap: that leaves as a full batch.
        """
        ready = [lane for lane in self._lanes.values() if self._lane_ready(lane, now)]
        if not ready:
            return []
        lane = ready[0] if len(ready) == 1 else min(ready, key=_rank)
        cap = self.limits.max_batch_size
        return self._pop(lane, min(limit, cap, len(lane)) if self._waited_out(lane, now) else cap)

    def take_full(self) -> list[Item]:
        """Remove and return the first batch that has reached the cap; empty if none has."""
        cap = self.limits.max_batch_size
        full = [lane for lane in self._lanes.values() if len(lane) >= cap]
        return self._pop(min(full, key=_rank), cap) if full else []

    def hurry(self) -> None:
        """From now on, let every item leave without delay."""
        self._hurried = True

    def close(self) -> None:
        """Take no more items, and let every item leave without delay."""
        self.closed = True
        self.hurry()

    def drain(self) -> list[Item]:
        """Remove and return everything as failed, in order of arrival: for an owner that gives up."""
        left = sorted((item for lane in self._lanes.values() for item in lane), key=_arrival)
        for item in left:
            self._forget(item, ItemState.FAILED)
        self._lanes.clear()
        return left

    def _pop(self, lane: deque[Item], size: int) -> list[Item]:
        batch = [lane.popleft() for _ in range(size)]
        for item in batch:
            if item.tenant is not None:
                self.sharing.served(item.priority, item.tag)
            self._forget(item, ItemState.DISPATCHED)
        if not lane:
            del self._lanes[batch[0].key]
        return batch

    def _lane_ready(self, lane: deque[Item], now: float) -> bool:
        return len(lane) >= self.limits.max_batch_size or self._waited_out(lane, now)

    def _waited_out(self, lane: deque[Item], now: float) -> bool:
        delay = self.limits.max_queue_delay_seconds
        return self._hurried or not delay or now >= _oldest_arrival(lane) + delay

    def _remove(self, item: Item, state: ItemState) -> None:
        lane = self._lanes[item.key]
        lane.remove(item)
        if not lane:
            del self._lanes[item.key]
        self._forget(item, state)

    def _forget(self, item: Item, state: ItemState) -> None:
        item.state = state
        self.items -= 1
        self.nbytes -= item.nbytes
        self._with_deadline -= item.deadline != _NEVER
        if item.tenant is not None:
            self.sharing.gone(item.tenant, item.priority)


def _arrival(item: Item) -> int:
    return item.sequence


def _priority(item: Item) -> int:
    return item.priority


def _turn(item: Item) -> tuple[int, float]:
    return item.priority, item.tag


def _rank(lane: deque[Item]) -> tuple[int, float, int]:
    first = lane[0]
    return first.priority, first.tag, first.sequence


def _oldest_arrival(lane: deque[Item]) -> float:
    if _turn(lane[0]) == _turn(lane[-1]):
        return lane[0].arrived
    return min(item.arrived for item in lane)
