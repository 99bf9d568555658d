"""Who floods leaves room for others, and what waits before an image is what its turn says."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.batching.items import Item, QueueLimits
from topfive.batching.queue import BatchingQueue
from topfive.batching.sharing import Holdings, Sharer, Sharing, before


@dataclass(eq=False)
class Somebody:
    """A tenant."""

    weight: int = 1


def flood(holdings: Holdings, tenants: list[Somebody], *, most: int) -> list[float]:
    """What each holds when each has taken all that it may, in turns."""
    held = dict.fromkeys(tenants, 0)
    while takers := [one for one in tenants if holdings.allows(one, 1, free=most - sum(held.values()))]:
        for one in takers:
            if holdings.allows(one, 1, free=most - sum(held.values())):
                holdings.add(one, 1)
                held[one] += 1
    return list(held.values())


@pytest.mark.parametrize(("weights", "held"), [([1], [410]), ([7], [410]), ([1, 1], [228, 228])])
def test_who_floods_leaves_room_and_who_comes_then_finds_it(weights: list[int], held: list[int]) -> None:
    holdings = Holdings()
    assert flood(holdings, [Somebody(weight) for weight in weights], most=512) == held
    free = 512 - sum(held)
    assert free > 50
    assert holdings.allows(Somebody(), 8, free=free)


@given(weights=st.lists(st.integers(1, 100), min_size=1, max_size=8), most=st.integers(1, 600))
def test_however_many_flood_who_holds_nothing_gets_what_is_free(weights: list[int], most: int) -> None:
    """While anything is, if it weighs no less than the others."""
    holdings = Holdings()
    held = flood(holdings, [Somebody(weight) for weight in weights], most=most)
    assert sum(held) <= most
    free = most - sum(held)
    assert holdings.allows(Somebody(max(weights)), 1, free=free) == (free > 0)


def test_what_is_given_back_is_forgotten() -> None:
    holdings, one = Holdings(), Somebody(9)
    holdings.add(one, 3)
    holdings.add(one, -3)
    assert holdings.total == 0
    assert holdings.allows(Somebody(), 4, free=1)


@given(
    own=st.integers(0, 20),
    others=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 20)), max_size=3),
    weight=st.integers(1, 4),
    data=st.data(),
)
def test_as_many_leave_before_an_image_as_was_said(
    own: int, others: list[tuple[int, int]], weight: int, data: st.DataObject
) -> None:
    """Give or take an image of each other tenant and its weight."""
    asking = Somebody(weight)
    tenants = [asking, *(Somebody(its) for its, _ in others)]
    counts = [own, *(count for _, count in others)]
    order = data.draw(st.permutations([one for one, count in zip(tenants, counts, strict=True) for _ in range(count)]))
    queue = BatchingQueue(QueueLimits(max_batch_size=1, max_items=1000, max_bytes=1000))
    for tenant in order:
        queue.put(Item(key="a", payload=None, nbytes=1, tenant=tenant), now=0.0)
    said = queue.sharing.ahead(asking, 0)
    last = Item(key="a", payload=None, nbytes=1, tenant=asking)
    queue.put(last, now=0.0)
    left = 0
    while queue.take(1, now=0.0)[0] is not last:
        left += 1
    assert abs(left - said) <= sum(1 + its / weight for its, _ in others)
    assert own <= said <= len(order)


def test_images_on_their_way_count_and_better_levels_come_first() -> None:
    """Those that are not near take places only."""
    one, other = Somebody(), Somebody()
    sharing = Sharing()
    sharing.hold(one, 1, 5)
    sharing.hold(one, 2, 7)
    sharing.hold(one, None, 100)
    assert [sharing.ahead(other, level) for level in (1, 2, 3)] == [1, 6, 12]
    assert sharing.ahead(one, 1) == 5
    assert sharing.places.total == 112
    for level, images in ((1, 5), (2, 7), (None, 100)):
        sharing.hold(one, level, -images)
    assert (sharing.places.total, sharing.ahead(other, inf)) == (0, 0)  # type: ignore[arg-type]  # behind all levels


def test_a_heavier_tenant_waits_for_less_of_the_others() -> None:
    light, heavy, waiting = Somebody(1), Somebody(4), Somebody(2)
    backlog: dict[Sharer, float] = {waiting: 100.0}
    assert before(light, 1, backlog) == 2
    assert before(heavy, 2, backlog) == 1
    assert before(waiting, 1, backlog) == 100
