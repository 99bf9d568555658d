"""The queue keeps its six invariants under any sequence of calls: a stateful machine against a plain list."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from topfive.batching.items import Item, ItemState, QueueLimits
from topfive.batching.queue import BatchingQueue
from topfive.ground.errors import NotReady, QueueFull

_NEVER = float("inf")


@dataclass(eq=False)
class Somebody:
    """A tenant."""

    weight: int = 1


def item(
    key: str = "a", nbytes: int = 1, deadline: float = _NEVER, priority: int = 0, tenant: Somebody | None = None
) -> Item:
    return Item(key=key, payload=None, nbytes=nbytes, deadline=deadline, priority=priority, tenant=tenant)


def queue(max_batch_size: int = 4, max_items: int = 100, max_bytes: int = 1000, delay: float = 0.0) -> BatchingQueue:
    return BatchingQueue(QueueLimits(max_batch_size, max_items, max_bytes, delay))


class QueueMachine(RuleBasedStateMachine):
    """Drives a queue with items of three keys and three levels against `self.model`, the items in order of arrival."""

    @initialize(
        cap=st.integers(1, 4),
        items=st.integers(1, 12),
        nbytes=st.integers(1, 30),
        delay=st.sampled_from([0.0, 2.0]),
        tenant=st.sampled_from([None, Somebody()]),
    )
    def start(self, cap: int, items: int, nbytes: int, delay: float, tenant: Somebody | None) -> None:
        """Without tenants, or with a single one, which must make no difference."""
        self.tenant = tenant
        self.limits = QueueLimits(cap, items, nbytes, delay)
        self.queue = BatchingQueue(self.limits)
        self.now = 0.0
        self.model: list[Item] = []
        self.left: set[int] = set()
        self.accepted: dict[int, Item] = {}

    def _leave(self, gone: Item, state: ItemState) -> None:
        assert id(gone) not in self.left, "an item left twice"
        assert gone.state is state
        self.left.add(id(gone))
        self.model.remove(gone)

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 3.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(
        key=st.sampled_from("abc"),
        nbytes=st.integers(0, 5),
        allowed=st.sampled_from([0.5, 2.0, _NEVER]),
        priority=st.integers(1, 3),
    )
    def put(self, key: str, nbytes: int, allowed: float, priority: int) -> None:
        new = item(key, nbytes, self.now + allowed, priority, self.tenant)
        total = sum(other.nbytes for other in self.model)
        fits = len(self.model) < self.limits.max_items and total + nbytes <= self.limits.max_bytes
        before = repr(self.queue)
        if self.queue.closed or not fits:
            with pytest.raises(NotReady if self.queue.closed else QueueFull):
                self.queue.check_room(1, nbytes)
            assert repr(self.queue) == before, "a refusal changed the queue"
        else:
            self.queue.check_room(1, nbytes)
            self.queue.put(new, now=self.now)
            self.model.append(new)
            self.accepted[id(new)] = new

    @rule(limit=st.integers(1, 6))
    def take(self, limit: int) -> None:
        could = self.queue.ready(now=self.now)
        batch = self.queue.take(limit, now=self.now)
        assert bool(batch) == could
        if not batch:
            return
        assert len(batch) <= self.limits.max_batch_size
        lane = self._lane(batch[0].key)
        assert batch == lane[: len(batch)], "out of order, or of several keys"
        if self._waited_out(lane) or self.queue.closed:
            assert len(batch) <= limit
            ripe = [o for o in self._firsts() if self.queue.closed or self._may_leave(o)]
            assert batch[0] is min(ripe, key=self._rank), "a key was passed over"
        else:
            assert len(batch) == self.limits.max_batch_size, "left early without being full"
        for gone in batch:
            self._leave(gone, ItemState.DISPATCHED)

    @rule()
    def take_full(self) -> None:
        batch = self.queue.take_full()
        cap = self.limits.max_batch_size
        full = [first for first in self._firsts() if len(self._lane(first.key)) >= cap]
        assert len(batch) == (cap if full else 0)
        if batch:
            assert batch[0] is min(full, key=self._rank), "a key was passed over"
            assert batch == self._lane(batch[0].key)[:cap]
        for gone in batch:
            self._leave(gone, ItemState.DISPATCHED)

    def _rank(self, one: Item) -> tuple[int, int]:
        return one.priority, self.model.index(one)

    def _lane(self, key: str) -> list[Item]:
        """What waits of `key`, in the order in which it should leave."""
        return sorted((other for other in self.model if other.key == key), key=self._rank)

    def _firsts(self) -> list[Item]:
        return [self._lane(key)[0] for key in {other.key for other in self.model}]

    def _waited_out(self, lane: list[Item]) -> bool:
        return self.now >= min(other.arrived for other in lane) + self.limits.max_queue_delay_seconds

    def _may_leave(self, first: Item) -> bool:
        lane = self._lane(first.key)
        return self._waited_out(lane) or len(lane) >= self.limits.max_batch_size

    @rule(level=st.integers(1, 3))
    def ahead(self, level: int) -> None:
        assert self.queue.ahead(level) == sum(other.priority <= level for other in self.model)

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def cancel_any_ever_accepted(self, data: st.DataObject) -> None:
        victim = data.draw(st.sampled_from(list(self.accepted.values())))
        was_queued = any(victim is other for other in self.model)
        assert self.queue.cancel(victim) == was_queued
        if was_queued:
            self._leave(victim, ItemState.CANCELLED)

    @rule()
    def expire(self) -> None:
        late = [other for other in self.model if other.deadline <= self.now]
        assert self.queue.expire(now=self.now) == late
        for gone in late:
            self._leave(gone, ItemState.EXPIRED)

    @rule()
    def close(self) -> None:
        self.queue.close()

    @rule()
    def drain(self) -> None:
        present = list(self.model)
        assert self.queue.drain() == present
        for gone in present:
            self._leave(gone, ItemState.FAILED)

    @invariant()
    def bounds_and_counts_hold(self) -> None:
        assert self.queue.items == len(self.model) <= self.limits.max_items
        assert self.queue.nbytes == sum(other.nbytes for other in self.model) <= self.limits.max_bytes
        assert all(other.state is ItemState.QUEUED for other in self.model)
        assert self.queue.sharing.places.total == (len(self.model) if self.tenant else 0)

    @invariant()
    def the_next_event_is_the_next_that_can_happen(self) -> None:
        """Nothing becomes ready or expires strictly before `next_event`, and something does at it."""
        when = self.queue.next_event(now=self.now)
        assert when > self.now
        if when != _NEVER:
            at_event = any(other.deadline <= when for other in self.model) or self.queue.ready(now=when)
            assert at_event
        pending = [other.deadline for other in self.model if other.deadline > self.now]
        assert when <= min(pending, default=_NEVER)

    @invariant()
    def a_closed_queue_lets_everything_out(self) -> None:
        if self.queue.closed:
            assert self.queue.ready(now=self.now) == bool(self.model)


QueueMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestQueueMachine = QueueMachine.TestCase


@dataclass(frozen=True)
class Case:
    """Waiting items, and the batch sizes that leave at once with shares of `limit`."""

    delay: float
    waiting: int
    limit: int
    batches: list[int]


@pytest.mark.parametrize(
    "case",
    [
        Case(delay=0.0, waiting=5, limit=2, batches=[2, 2, 1]),
        Case(delay=0.0, waiting=9, limit=100, batches=[4, 4, 1]),
        Case(delay=1.0, waiting=3, limit=100, batches=[]),
        Case(delay=1.0, waiting=9, limit=1, batches=[4, 4]),
    ],
)
def test_without_a_delay_shares_leave_at_once_and_with_one_only_full_batches(case: Case) -> None:
    full = queue(delay=case.delay)
    for _ in range(case.waiting):
        full.put(item(), now=0.0)
    batches = iter(lambda: len(full.take(case.limit, now=0.0)), 0)
    assert list(batches) == case.batches


def test_a_refusal_says_how_full_the_queue_is() -> None:
    full = queue(max_items=1, max_bytes=10)
    full.put(item(nbytes=8), now=0.0)
    with pytest.raises(QueueFull, match="1 of at most 1 images"):
        full.check_room(1, 1)
    roomy = queue(max_bytes=10)
    roomy.put(item(nbytes=8), now=0.0)
    with pytest.raises(QueueFull, match="8 of at most 10 bytes"):
        roomy.check_room(1, 3)


def test_a_better_priority_leaves_first_and_equals_in_their_order() -> None:
    """A batch may hold several priorities."""
    mixed = queue(max_batch_size=3)
    waiting = [item(priority=priority) for priority in (2, 1, 3, 1, 2)]
    for one in waiting:
        mixed.put(one, now=0.0)
    batches = [mixed.take(100, now=0.0), mixed.take(100, now=0.0)]
    assert batches == [[waiting[1], waiting[3], waiting[0]], [waiting[4], waiting[2]]]


def test_the_key_with_the_best_priority_goes_first() -> None:
    mixed = queue()
    old, better = item("a", priority=2), item("b", priority=1)
    mixed.put(old, now=0.0)
    mixed.put(better, now=1.0)
    assert [mixed.take(100, now=1.0), mixed.take(100, now=1.0)] == [[better], [old]]


def test_who_is_overtaken_still_ends_the_wait_for_company() -> None:
    """The delay counts from the oldest item, whoever goes first."""
    delayed = queue(delay=2.0)
    delayed.put(item(priority=2), now=0.0)
    delayed.put(item(priority=1), now=1.5)
    assert delayed.next_event(now=1.5) == 2.0
    assert delayed.take(100, now=1.9) == []
    assert len(delayed.take(100, now=2.0)) == 2


@pytest.mark.parametrize(
    ("levels", "asked", "level"),
    [(0, 0, 0), (0, 1, 0), (0, 7, 0), (3, 0, 2), (3, 1, 1), (3, 3, 3), (3, 4, 2), (3, 1 << 40, 2)],
)
def test_a_priority_that_there_is_not_means_the_default(levels: int, asked: int, level: int) -> None:
    limits = QueueLimits(4, 100, 1000, priority_levels=levels, default_priority_level=2 if levels else 0)
    assert limits.level(asked) == level


weights = st.lists(st.integers(1, 4), min_size=2, max_size=3)
moves = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 8)) | st.integers(1, 4), min_size=1, max_size=60)
"""So many items of one tenant come, or a slot takes at most so many."""


@given(weights=weights, moves=moves)
def test_turns_are_fair_and_nothing_is_lost_or_idle(weights: list[int], moves: list[tuple[int, int] | int]) -> None:
    """While two tenants both wait, what they get, by weight, differs by no more than an item each.

    Yet a slot gets all that it asks for, and each tenant's own items leave in their order.
    """
    tenants = [Somebody(weight) for weight in weights]
    fair = queue(max_batch_size=4, max_items=10_000)
    waiting: dict[Somebody, list[Item]] = {tenant: [] for tenant in tenants}
    both: dict[tuple[int, int], list[float]] = {}  # of two that wait: the lead of the first, since both do
    for move in moves:
        if isinstance(move, tuple):
            tenant = tenants[move[0] % len(tenants)]
            for _ in range(move[1]):
                waiting[tenant].append(item(tenant=tenant))
                fair.put(waiting[tenant][-1], now=0.0)
            continue
        batch = fair.take(move, now=0.0)
        assert len(batch) == min(move, sum(map(len, waiting.values()))), "a slot is left idle"
        for one in batch:
            for a, b in combinations(range(len(tenants)), 2):
                if waiting[tenants[a]] and waiting[tenants[b]]:
                    leads = both.setdefault((a, b), [0.0])
                    got = (one.tenant is tenants[a]) / weights[a] - (one.tenant is tenants[b]) / weights[b]
                    leads.append(leads[-1] + got)
                    assert max(leads) - min(leads) <= 1 / weights[a] + 1 / weights[b] + 1e-9
                else:
                    both.pop((a, b), None)
            assert isinstance(one.tenant, Somebody)
            assert waiting[one.tenant].pop(0) is one, "out of order within a tenant"
    assert fair.items == sum(map(len, waiting.values()))


def test_turns_are_taken_within_a_level_and_over_all_keys() -> None:
    """A better priority is not a matter of fairness; and who floods one shape has had turns in every other."""
    flood, light = Somebody(), Somebody()
    fair = queue(max_batch_size=1)
    flooding = [item("a", priority=2, tenant=flood) for _ in range(3)]
    flooding.append(item("b", priority=2, tenant=flood))
    later = [item("b", priority=2, tenant=light), item("c", priority=1, tenant=flood)]
    for one in (*flooding, *later):
        fair.put(one, now=0.0)
    left = [fair.take(1, now=0.0)[0] for _ in range(6)]
    assert left == [later[1], flooding[0], later[0], *flooding[1:]]


def test_who_was_away_has_saved_nothing_and_owes_nothing() -> None:
    one, other = Somebody(), Somebody()
    fair = queue(max_batch_size=1)
    for _ in range(20):
        fair.put(item(tenant=one), now=0.0)
    for _ in range(10):
        fair.take(1, now=0.0)
    for _ in range(4):
        fair.put(item(tenant=other), now=0.0)
    turns = [fair.take(1, now=0.0)[0].tenant for _ in range(8)]
    assert turns.count(other) == 4
    assert max(len(list(run)) for _, run in groupby(turns)) <= 2
