"""Cancellation at every point of a request's life frees its place, harms nobody, and is counted."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.testkit.fakes import Bench, HeldBackend, answers, settle
from topfive.ground.errors import BackendFailure


async def test_cancelled_while_queued_it_leaves_at_once_and_never_runs() -> None:
    bench = Bench(HeldBackend(), max_items=1)
    blocker = bench.submit(0)
    await settle()
    victim = bench.submit(1)
    await settle()
    victim.cancel()
    await settle()
    assert repr(bench.batcher._queue) == "<BatchingQueue open 0/1 items, 0 bytes>"
    successor = bench.submit(2)
    await settle()
    bench.backend.held[0].answer()
    await settle()
    bench.backend.held[0].answer()
    assert await answers(blocker, successor) == [[0], [2]]
    assert [batch.values for batch in bench.backend.ran] == [[0], [2]]
    assert bench.events.discarded == ["cancelled"]


async def test_cancelled_while_it_runs_its_neighbours_are_answered() -> None:
    bench = Bench(HeldBackend())
    blocker = bench.submit(0)
    await settle()
    victim, neighbour = bench.submit(1), bench.submit(2)
    await settle()
    bench.backend.held[0].answer()
    await settle()
    assert bench.backend.held[0].values == [1, 2]
    victim.cancel()
    await settle()
    bench.backend.held[0].answer()
    assert await answers(blocker, neighbour) == [[0], [2]]
    with pytest.raises(asyncio.CancelledError):
        await victim
    assert bench.events.discarded == []


async def test_cancelled_with_some_images_running_the_queued_ones_are_withdrawn() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=2))
    victim = bench.submit(0, 1, 2, 3)
    await settle()
    victim.cancel()
    await settle()
    bench.backend.held[0].answer()
    await settle()
    assert [batch.values for batch in bench.backend.ran] == [[0, 1]]
    assert bench.events.discarded == ["cancelled", "cancelled"]


async def test_when_one_image_fails_its_queued_siblings_are_withdrawn() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=1))
    request = bench.submit(0, 1, 2)
    await settle()
    bench.backend.held[0].release.set_exception(OSError("down"))
    with pytest.raises(BackendFailure):
        await request
    await settle()
    assert [batch.values for batch in bench.backend.ran] == [[0]]
    assert bench.events.discarded == ["cancelled", "cancelled"]


@settings(max_examples=80, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 3), min_size=1, max_size=6),
    victim=st.integers(0, 5),
    turns=st.integers(0, 12),
    before=st.lists(st.booleans(), max_size=6),
)
def test_cancelling_any_request_at_any_turn_of_the_loop_leaves_the_batcher_whole(
    sizes: list[int], victim: int, turns: int, before: list[bool]
) -> None:
    """Also after some batches ended, well or badly: afterwards all slots are idle, nothing waits, all have answers."""

    async def play() -> None:
        bench = Bench(HeldBackend(slots=2, serves_alone=True, batch_size_that_pays=2))
        first = [sum(sizes[:number]) for number in range(len(sizes))]
        requests = [bench.submit(*range(start, start + size)) for start, size in zip(first, sizes, strict=True)]
        for well in before:
            await settle()
            if bench.backend.held:
                batch = bench.backend.held[0]
                batch.answer() if well else batch.fail()
        for _ in range(turns):
            await asyncio.sleep(0)
        requests[victim % len(requests)].cancel()
        await settle()
        while bench.backend.held:
            bench.backend.held[0].answer()
            await settle()
        for number, (start, size) in enumerate(zip(first, sizes, strict=True)):
            if requests[number].cancelled():
                continue
            if (error := requests[number].exception()) is None:
                assert requests[number].result() == list(range(start, start + size))
            else:
                assert isinstance(error, BackendFailure)
                assert not all(before)
        assert bench.batcher._running.idle == bench.backend.slots
        assert bench.batcher.waiting == (0, 0)
        assert bench.batcher.room.inside == 0

    asyncio.run(play())
