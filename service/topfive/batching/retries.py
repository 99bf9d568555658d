"""The members of batches that failed, each of which is to run once more, by itself: a pure class.

What lives here: who waits for that, and their order. What does not: when they run (`batcher`: before all that waits in
the queue, as slots become free). They left the queue when their batch was formed and count against none of its bounds;
as nothing else starts before them, there are never more than the batches of all places held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from topfive.batching.items import Item, ItemState


class Retries:
    """Items in the order in which their batches failed; `items` is for looking at."""

    def __init__(self) -> None:
        self.items: deque[Item] = deque()

    def __repr__(self) -> str:
        return f"<Retries {len(self.items)} items>"

    @property
    def nbytes(self) -> int:
        """Bytes of what waits here."""
        return sum(item.nbytes for item in self.items)

    def add(self, items: Iterable[Item]) -> None:
        """Let the members of a batch that failed wait for their own runs."""
        for item in items:
            item.state = ItemState.RETRYING
            self.items.append(item)

    def take(self) -> list[Item]:
        """Remove and return the next as a batch of its own; empty if there is none."""
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
        """The first deadline; infinity if there is none."""
        return min((item.deadline for item in self.items), default=float("inf"))

    def drain(self) -> list[Item]:
        """Remove and return everything: for when the owner gives up."""
        left = list(self.items)
        self.items.clear()
        for item in left:
            item.state = ItemState.FAILED
        return left

    def _remove(self, item: Item, state: ItemState) -> None:
        self.items.remove(item)
        item.state = state
