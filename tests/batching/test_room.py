"""Who comes in to a batcher: places for what will be submitted, refusals on arrival, and nobody left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.testkit.fakes import Bench, HeldBackend, Inside, answers, image, settle, value_of
from topfive.access.spending import Limits
from topfive.access.tenants import Tenant, Tenants
from topfive.batching.batch import Outcome
from topfive.ground.errors import BackendFailure, DeadlineExceeded, NotReady, QueueFull, TooLarge, TopfiveError

NEVER = float("inf")

Ask = Callable[[Bench, int, float, int], None]


def by_extending(bench: Bench, images: int, deadline: float, priority: int) -> None:
    with Inside(bench.batcher) as here:
        here.extend(images, deadline=deadline, priority=priority)


def by_checking(bench: Bench, images: int, deadline: float, priority: int) -> None:
    bench.batcher.room.check(images, deadline=deadline, priority=priority)


either_way = pytest.mark.parametrize("ask", [by_extending, by_checking])
"""A request is judged before its body is read, and again when its body is there."""


async def busy(bench: Bench, *priorities: int) -> list[asyncio.Task[list[int]]]:
    """A request that runs, and one of each of `priorities` that waits."""
    requests = [bench.submit(0)]
    await settle()
    requests += [bench.submit(number + 1, priority=priority) for number, priority in enumerate(priorities)]
    await settle()
    assert bench.batcher.waiting[0] == len(priorities)
    return requests


async def test_who_is_inside_holds_no_place_before_they_ask_for_one() -> None:
    """However many bodies are on their way, the queue is for those that are here."""
    bench = Bench(HeldBackend(), max_items=1)
    with Inside(bench.batcher), Inside(bench.batcher), Inside(bench.batcher) as here:
        here.extend(1)
        with pytest.raises(QueueFull, match="1 of at most 1 images"):
            by_extending(bench, 1, NEVER, 0)
    by_extending(bench, 1, NEVER, 0)


async def test_places_are_for_the_images_themselves() -> None:
    """They are given back when these come, at the end at the latest, and once only."""
    bench = Bench(HeldBackend(), max_items=3)
    requests = await busy(bench)
    with Inside(bench.batcher) as here:
        here.extend(2)
        with pytest.raises(QueueFull):
            await bench.submit(8, 9)
        requests.append(bench.submit(1, 2, inside=here))
        await settle()
        by_extending(bench, 1, NEVER, 0)
        with pytest.raises(QueueFull):
            by_extending(bench, 2, NEVER, 0)
    await bench.answer_all()
    assert await answers(*requests) == [[0], [1, 2]]
    by_extending(bench, 3, NEVER, 0)


async def test_places_can_be_added() -> None:
    """All that is held goes by the last priority asked for."""
    bench = Bench(HeldBackend(), max_items=5, levels=3, default_level=2)
    await bench.measure(1.0)
    with Inside(bench.batcher) as here:
        here.extend(2, priority=1)
        here.extend(1, priority=3)
        with pytest.raises(QueueFull):
            here.extend(3)
        assert [bench.batcher.room.estimated_wait_seconds(priority) for priority in (1, 2, 3)] == [0.0, 0.0, 3.0]
        here.release()
        here.release()
        assert bench.batcher.room.estimated_wait_seconds(3) == 0.0


@either_way
async def test_what_could_never_wait_together_is_too_large(ask: Ask) -> None:
    bench = Bench(HeldBackend(), max_items=4)
    with pytest.raises(TooLarge, match="5 images, and at most 4"):
        ask(bench, 5, NEVER, 0)


async def test_images_of_more_bytes_than_may_ever_wait_are_too_large() -> None:
    bench = Bench(HeldBackend(), max_bytes=20)
    with pytest.raises(TooLarge, match="24 bytes, and at most 20"):
        await bench.submit(1, 2)
    blocker = bench.submit(0)
    await settle()
    waiting = bench.submit(1)
    await settle()
    with pytest.raises(QueueFull, match="12 of at most 20 bytes"):
        await bench.submit(2)
    await bench.answer_all()
    await answers(blocker, waiting)


@either_way
async def test_a_full_queue_says_when_to_come_back(ask: Ask) -> None:
    bench = Bench(HeldBackend(), max_items=3)
    await bench.measure(0.5)
    requests = await busy(bench, 0, 0)
    with pytest.raises(QueueFull, match="the queue is full") as refused:
        ask(bench, 2, NEVER, 0)
    assert refused.value.retry_after_seconds == pytest.approx(1.0), "two wait, each for half a second"
    await bench.answer_all()
    await answers(*requests)


@either_way
@pytest.mark.parametrize(("priority", "wait"), [(1, 1.0), (0, 2.0), (2, 2.0), (7, 2.0), (3, 4.0)])
async def test_who_would_wait_beyond_the_deadline_is_refused_at_once(ask: Ask, priority: int, wait: float) -> None:
    """Behind all of the same or a better priority."""
    bench = Bench(HeldBackend(batch_size_that_pays=1), levels=3, default_level=2)
    await bench.measure(1.0)
    requests = await busy(bench, 3, 1, 2, 3)
    assert bench.batcher.room.estimated_wait_seconds(priority) == pytest.approx(wait)
    now = bench.clock.now()
    ask(bench, 1, now + wait, priority)
    with pytest.raises(DeadlineExceeded, match="beyond the deadline"):
        ask(bench, 1, now + wait - 0.1, priority)
    assert bench.events.discarded == [], "it never waited"
    await bench.answer_all()
    await answers(*requests)


@either_way
@pytest.mark.parametrize("priority", [0, 2])
async def test_who_would_wait_too_long_is_refused_at_once_and_told_when_to_come_back(ask: Ask, priority: int) -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=1), max_wait_seconds=1.0, levels=2, default_level=1)
    await bench.measure(0.5)
    requests = await busy(bench, 1, 1)
    ask(bench, 1, NEVER, priority)
    requests.append(bench.submit(3, priority=2))
    await settle()
    ask(bench, 1, NEVER, 1)
    requests.append(bench.submit(4, priority=1))
    await settle()
    with pytest.raises(QueueFull, match="of at most 1 s") as refused:
        ask(bench, 1, NEVER, priority)
    assert refused.value.retry_after_seconds == pytest.approx(1.5 if priority == 0 else 2.0)
    await bench.answer_all()
    await answers(*requests)


async def test_a_queue_shorter_than_one_batch_is_never_too_long() -> None:
    """Of the largest size that the model may be given, whichever size pays."""
    bench = Bench(HeldBackend(batch_size_that_pays=1), max_wait_seconds=0.1, graph_batch_size=3)
    await bench.measure(10.0)
    requests = await busy(bench, 0, 0)
    requests.append(bench.submit(3))
    await settle()
    with pytest.raises(QueueFull):
        await bench.submit(4)
    await bench.answer_all()
    await answers(*requests)


async def test_those_who_are_to_run_again_are_ahead_of_everybody() -> None:
    bench = Bench(HeldBackend(), levels=2, default_level=2)
    await bench.measure(1.0)
    requests = await busy(bench, 2, 2, 2)
    bench.backend.held[0].answer()
    await settle()
    bench.backend.held[0].fail()
    await settle()
    assert bench.batcher.room.estimated_wait_seconds(1) == pytest.approx(2 * 0.9)
    await bench.answer_all()
    await answers(*requests)


async def test_a_refusal_changes_nothing() -> None:
    bench = Bench(HeldBackend(), max_items=3)
    with Inside(bench.batcher) as here:
        here.extend(2)
        for images in (2, 4):
            with pytest.raises(TopfiveError):
                here.extend(images)
        by_extending(bench, 1, NEVER, 0)
        with pytest.raises(QueueFull):
            by_extending(bench, 2, NEVER, 0)


async def test_after_a_failure_nobody_comes_in() -> None:
    bench = Bench(HeldBackend())
    inside = Inside(bench.batcher)
    request = bench.submit(1)
    await settle()
    while not bench.batcher.fail_if_stuck(1.0):
        bench.clock.advance(1.0)
    for ask in (lambda: Inside(bench.batcher), lambda: inside.extend(1), lambda: bench.batcher.room.check(1)):
        with pytest.raises(NotReady, match="has failed"):
            ask()
    with pytest.raises(BackendFailure):
        await request


async def test_while_it_drains_nobody_comes_in() -> None:
    bench = Bench(HeldBackend())
    inside = Inside(bench.batcher)
    await bench.batcher.drain()
    for ask in (lambda: Inside(bench.batcher), lambda: inside.extend(1), lambda: bench.batcher.room.check(1)):
        with pytest.raises(NotReady, match="draining"):
            ask()


async def test_retiring_waits_for_all_who_are_inside_and_serves_them() -> None:
    """Whoever found the model is served, however slowly their body comes; also who came in meanwhile."""
    bench = Bench(HeldBackend())
    slow = Inside(bench.batcher)
    retired = asyncio.get_running_loop().create_task(bench.batcher.retire())
    await settle()
    late = Inside(bench.batcher)
    with slow:
        slow.extend(1)
        request = bench.submit(1, inside=slow)
        await bench.answer_all()
        assert await request == [1]
    await settle()
    assert not retired.done()
    with late:
        late.extend(1)
        request = bench.submit(2, inside=late)
        await settle()
        assert bench.running == [[2]]
        assert not retired.done()
        bench.backend.held[0].answer()
        assert await request == [2]
    await settle()
    assert retired.done()
    with pytest.raises(NotReady):
        Inside(bench.batcher)


async def test_retiring_waits_for_a_batch_whose_clients_have_gone() -> None:
    """The backend is still at it."""
    bench = Bench(HeldBackend())
    request = bench.submit(1)
    await settle()
    retired = asyncio.get_running_loop().create_task(bench.batcher.retire())
    request.cancel()
    await settle()
    assert not retired.done()
    bench.backend.held[0].answer()
    await retired


async def test_retiring_ends_at_once_where_nobody_is_inside() -> None:
    bench = Bench(HeldBackend())
    await asyncio.wait_for(bench.batcher.retire(), 30)
    with pytest.raises(NotReady):
        await bench.submit(1)


async def test_retiring_can_be_given_up_and_asked_for_twice() -> None:
    bench = Bench(HeldBackend())
    loop = asyncio.get_running_loop()
    with Inside(bench.batcher):
        given_up, *others = [loop.create_task(bench.batcher.retire()) for _ in range(3)]
        await settle()
        given_up.cancel()
        await settle()
    await asyncio.wait_for(asyncio.gather(*others), 30)


async def test_somebody_who_comes_in_as_the_last_leaves_is_served() -> None:
    """Between the moment at which the last one left and that at which the retirement learns of it."""
    bench = Bench(HeldBackend())
    with Inside(bench.batcher):
        task = asyncio.get_running_loop().create_task(bench.batcher.retire())
        await settle()
    with Inside(bench.batcher) as here:
        await settle()
        assert not task.done()
        request = bench.submit(1, inside=here)
        await bench.answer_all()
        assert await request == [1]
    await task


@pytest.mark.untraced
@settings(max_examples=100, deadline=None)
@given(
    wrong=st.floats(1e-9, 1e9),
    max_wait=st.floats(1e-3, 10.0),
    graph_batch_size=st.integers(1, 8),
    timeout=st.none() | st.floats(1e-3, 10.0),
)
def test_however_wrong_the_estimate_is_it_heals(
    wrong: float, max_wait: float, graph_batch_size: int, timeout: float | None
) -> None:
    """Clients who come again and again, three at a time, with batches that take a millisecond: all get in, in the end.

    Nobody who finds nothing waiting is refused.
    """

    async def play() -> None:
        bench = Bench(HeldBackend(batch_size_that_pays=1), max_wait_seconds=max_wait, graph_batch_size=graph_batch_size)
        await bench.measure(wrong)
        for _ in range(400):
            deadline = NEVER if timeout is None else bench.clock.now() + timeout
            requests = []
            for value in range(3):
                waiting, _ = bench.batcher.waiting
                requests.append(bench.submit(value, deadline=deadline))
                await settle()
                assert waiting or not requests[-1].done(), "refused with nobody ahead"
            while bench.backend.held:
                bench.clock.advance(0.0001)
                bench.backend.held[0].answer()
                await settle()
            results = await asyncio.gather(*requests, return_exceptions=True)
            assert all(isinstance(result, list | QueueFull | DeadlineExceeded) for result in results)
            if all(isinstance(result, list) for result in results):
                return
        pytest.fail("somebody is still refused")

    asyncio.run(play())


@settings(max_examples=100, deadline=None)
@given(
    script=st.lists(
        st.tuples(st.sampled_from(["enter", "extend", "release", "leave"]), st.integers(0, 9), st.integers(0, 4)),
        max_size=60,
    )
)
def test_places_are_never_lost_nor_given_twice(script: list[tuple[str, int, int]]) -> None:
    """Whatever those inside do: what is held is what they took, of each priority, and never more than there is."""

    async def play() -> None:
        bench = Bench(HeldBackend(), max_items=6, levels=3, default_level=2)
        await bench.measure(1.0)
        inside: list[Inside] = []
        held: dict[int, tuple[int, int]] = {}
        for action, which, number in script:
            one = inside[which % len(inside)] if inside else None
            if action == "enter":
                inside.append(Inside(bench.batcher))
                held[id(inside[-1])] = (0, 0)
            elif one is None:
                continue
            elif action == "extend":
                total = sum(images for images, _ in held.values())
                level = number if number in (1, 2, 3) else 2
                if total + number > 6:
                    with pytest.raises(QueueFull):
                        one.extend(number, priority=number)
                else:
                    one.extend(number, priority=number)
                    held[id(one)] = (held[id(one)][0] + number, level)
            elif action == "release":
                one.release()
                held[id(one)] = (0, 0)
            else:
                one.__exit__(None, None, None)
                inside.remove(one)
                del held[id(one)]
            for level in (1, 2, 3):
                expected = sum(images for images, its in held.values() if its <= level)
                assert bench.batcher.room.estimated_wait_seconds(level) == pytest.approx(expected)
            assert bench.batcher.room.inside == len(inside)
        for one in inside:
            one.__exit__(None, None, None)
        await asyncio.wait_for(bench.batcher.retire(), 30)

    asyncio.run(play())


def two_tenants() -> tuple[Tenant, Tenant]:
    known = Tenants().replace({"flood": Limits(), "light": Limits()})
    return known["flood"], known["light"]


async def test_who_floods_is_refused_by_the_own_wait_and_nobody_else_is() -> None:
    bench = Bench(HeldBackend(), max_wait_seconds=5.0)
    await bench.measure(1.0)
    room, (flood, light) = bench.batcher.room, two_tenants()
    room.hold(20, 0, flood)
    with pytest.raises(QueueFull, match=r"20 images wait and would take 20\.000 s") as refusal:
        room.check(1, tenant=flood)
    assert refusal.value.retry_after_seconds == 20.0
    room.check(1, tenant=light)
    with pytest.raises(DeadlineExceeded):
        room.check(1, tenant=light, deadline=bench.clock.now() + 0.5)
    room.check(1, tenant=light, deadline=bench.clock.now() + 1.5)
    room.hold(-20, 0, flood)
    room.check(1, tenant=flood)


async def test_who_floods_leaves_places_to_others() -> None:
    """Which images that come later do not give up again: what was let in stays in."""
    bench = Bench(HeldBackend(), max_items=10)
    room, (flood, light) = bench.batcher.room, two_tenants()
    room.hold(8, 0, flood)
    with pytest.raises(QueueFull, match="8 of 10 are taken, and your key has its share"):
        room.check(1, tenant=flood)
    room.check(2, tenant=light)
    room.hold(2, 0, light)
    room.hold(-8, 0, flood)
    room.check_places(8, 1)


async def test_the_batcher_takes_turns() -> None:
    """Images of a tenant that floods leave in turn with another's, whoever came first."""
    bench = Bench(HeldBackend(batch_size_that_pays=1))
    flood, light = two_tenants()
    requests = [bench.submit(0)]
    await settle()
    for value, tenant in ((1, flood), (2, flood), (3, flood), (4, light)):
        coming = bench.batcher.submit([image(value)], tenant=tenant)
        requests.append(asyncio.create_task(values_of(coming)))
    await settle()
    await bench.answer_all()
    await answers(*requests)
    assert [handed.values for handed in bench.backend.ran] == [[0], [1], [4], [2], [3]]


async def values_of(coming: Awaitable[list[Outcome]]) -> list[int]:
    return [value_of(outcome.row) for outcome in await coming]
