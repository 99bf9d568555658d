"""Items of failed batches that are to run once more, each by itself: a pure class.

What lives here: the items and their order. What does not: when they run (`batching.batcher`: as slots become free,
before everything in the queue). They left the queue when their batch was formed and count against none of its bounds.
No other batch starts before them, so there are never more than the members of all batches that were handed over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from topfive.batching.items import Item, ItemState


class Retries:
    """Items in the order in which their batches failed; callers may only read `items`."""

    def __init__(self) -> None:
        self.items: deque[Item] = deque()

    def __repr__(self) -> str:
        return f"<Retries {len(self.items)} items>"

    @property
    def nbytes(self) -> int:
        """Bytes of the items that wait here."""
        return sum(item.nbytes for item in self.items)

    def add(self, items: Iterable[Item]) -> None:
        """Add `items`, members of a batch that failed, to wait for their own runs."""
        for item in items:
            item.state = ItemState.RETRYING
            self.items.append(item)

    def take(self) -> list[Item]:
        """Remove and return the next item, as a batch of one; empty if there is none."""
        if not self.items:
            return []
        item = self.items.popleft()
        item.state = ItemState.DISPATCHED
        return [item]

    def cancel(self, item: Item) -> bool:
        """Drop `item`; False if it does not wait here."""
        if item.state is not ItemState.RETRYING:
            return False
        self._remove(item, ItemState.CANCELLED)
        return True

    def expire(self, *, now: float) -> list[Item]:
        """Remove and return the items whose deadline has passed."""
        late = [item for item in self.items if item.deadline <= now]
        for item in late:
            self._remove(item, ItemState.EXPIRED)
        return late

    def next_event(self) -> float:
        """The earliest deadline; infinity if no item waits here."""
        return min((item.deadline for item in self.items), default=float("inf"))

    def drain(self) -> list[Item]:
        """Remove and return everything, as failed: for an owner that gives up."""
        left = list(self.items)
        self.items.clear()
        for item in left:
            item.state = ItemState.FAILED
        return left

    def _remove(self, item: Item, state: ItemState) -> None:
        self.items.remove(item)
        item.state = state
