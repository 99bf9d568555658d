"""While the backend cannot be reached nobody waits for it; its own refusals reach those whom they are meant for."""

from __future__ import annotations

import asyncio

import pytest

from tests.testkit.fakes import Bench, HeldBackend, Inside, answers, settle
from topfive.ground.errors import BackendFailure, BackendUnreachable, ClientDisconnected, DeadlineExceeded, QueueFull

AWAY = BackendUnreachable("the backend is away", retry_after_seconds=1.5)


def remote(*, slots: int = 1, batch_size_that_pays: int = 4) -> Bench:
    """A batcher on a backend whose batches end when they are cancelled, as calls to a server do."""
    bench = Bench(HeldBackend(slots=slots, batch_size_that_pays=batch_size_that_pays))
    bench.backend.cancels = True
    return bench


async def assert_refused(*requests: asyncio.Task[list[int]]) -> None:
    for error in await asyncio.gather(*requests, return_exceptions=True):
        assert isinstance(error, BackendUnreachable)
        assert (str(error), error.retry_after_seconds) == (str(AWAY), 1.5)


async def test_who_waits_and_who_comes_is_told_at_once_until_it_is_back() -> None:
    bench = remote(batch_size_that_pays=1)
    running, waiting = bench.submit(0), bench.submit(1, 2)
    await settle()
    bench.batcher.suspend(AWAY)
    await assert_refused(running, waiting)
    await settle()
    assert bench.running == [], "the call was cancelled"
    assert bench.batcher.waiting == (0, 0)
    with pytest.raises(BackendUnreachable):
        Inside(bench.batcher)
    with pytest.raises(BackendUnreachable):
        bench.batcher.room.check(1)
    await assert_refused(bench.submit(3))
    bench.batcher.resume()
    request = bench.submit(4)
    await bench.answer_all()
    assert await request == [4]
    assert bench.events.fatal == []


async def test_a_call_that_finds_it_away_suspends_and_runs_nothing_again() -> None:
    bench = remote(slots=2, batch_size_that_pays=2)
    first, second, third = bench.submit(1, 2, 3, 4), bench.submit(5), bench.submit(6)
    await settle()
    bench.backend.held[0].fail(AWAY)
    await assert_refused(first, second, third)
    await settle()
    assert bench.running == []
    assert bench.events.failures == [], "it is nobody's failure"
    await assert_refused(bench.submit(7))


async def test_who_had_come_in_before_is_told_when_they_submit() -> None:
    bench = remote()
    with Inside(bench.batcher) as here:
        here.extend(1)
        bench.batcher.suspend(AWAY)
        await assert_refused(bench.submit(1, inside=here))


async def test_who_waits_for_a_retry_is_told_too() -> None:
    bench = remote(batch_size_that_pays=2)
    blocker = bench.submit(0)
    await settle()
    pair = bench.submit(1, 2)
    bench.backend.held[0].answer()
    await blocker
    await settle()
    bench.backend.held[0].fail()
    await settle()
    assert bench.running == [[1]], "the members run again, one by one"
    bench.batcher.suspend(AWAY)
    await assert_refused(pair)
    assert bench.batcher.waiting == (0, 0)


async def test_a_drain_ends_while_it_is_away() -> None:
    bench = remote()
    request = bench.submit(1)
    await settle()
    bench.batcher.suspend(AWAY)
    await bench.batcher.drain()
    await assert_refused(request)


async def test_a_full_queue_there_is_told_to_all_members_and_not_retried() -> None:
    bench = remote(batch_size_that_pays=2)
    request, other = bench.submit(1, 2), bench.submit(3)
    await settle()
    bench.backend.held[0].fail(QueueFull("full there", retry_after_seconds=1.0))
    await settle()
    bench.backend.held[0].answer()
    with pytest.raises(QueueFull, match="full there"):
        await request
    assert await other == [3]
    assert bench.events.failures == []


async def test_a_deadline_that_passes_there_costs_only_whom_it_was_of() -> None:
    bench = remote(batch_size_that_pays=3)
    blocker = bench.submit(0)
    await settle()
    patient, hasty, later = bench.submit(1), bench.submit(2, deadline=105.0), bench.submit(3, deadline=200.0)
    await settle()
    bench.backend.held[0].answer()
    await blocker
    await settle()
    batch = bench.backend.held[0]
    assert batch.batch.deadline == 105.0, "a call ends with its earliest"
    batch.fail(DeadlineExceeded("a clock that is a little ahead of ours"))
    await bench.answer_all()
    assert await answers(patient, later) == [[1], [3]]
    with pytest.raises(DeadlineExceeded, match="in the queue"):
        await hasty
    assert bench.events.discarded == ["expired"]
    assert [held.values for held in bench.backend.ran] == [[0], [1, 2, 3], [1], [3]]


async def test_a_timeout_of_its_own_queue_costs_the_batch() -> None:
    bench = remote(batch_size_that_pays=2)
    request = bench.submit(1, 2)
    await settle()
    bench.backend.held[0].fail(DeadlineExceeded("its own policy"))
    with pytest.raises(DeadlineExceeded):
        await request
    assert len(bench.backend.ran) == 1


async def test_what_nobody_waits_for_any_more_is_cancelled() -> None:
    bench = remote(batch_size_that_pays=2)
    blocker = bench.submit(0)
    await settle()
    first, second = bench.submit(1), bench.submit(2)
    await settle()
    bench.backend.held[0].answer()
    await blocker
    await settle()
    first.cancel()
    await settle()
    assert bench.running == [[1, 2]], "a neighbour still waits"
    second.cancel()
    await settle()
    assert bench.running == []
    assert bench.events.discarded == ["cancelled", "cancelled"]
    assert bench.events.failures == []
    request = bench.submit(3)
    await bench.answer_all()
    assert await request == [3], "the slot is free again"


async def test_a_thread_is_not_cancelled() -> None:
    bench = Bench(HeldBackend())
    request = bench.submit(1)
    await settle()
    request.cancel()
    await settle()
    assert bench.running == [[1]]
    bench.batcher.give_up_abandoned()
    bench.backend.held[0].answer()
    await settle()
    assert bench.running == []


async def test_who_has_hung_up_while_their_image_runs_is_looked_for() -> None:
    bench = remote(batch_size_that_pays=2)
    there = True
    request = bench.submit(1, abandoned=lambda: not there)
    await settle()
    bench.batcher.give_up_abandoned()
    await settle()
    assert bench.running == [[1]]
    there = False
    bench.batcher.give_up_abandoned()
    with pytest.raises(ClientDisconnected):
        await request
    await settle()
    assert bench.running == []


async def test_a_call_that_does_not_end_is_given_up_alone() -> None:
    """Where a thread that hangs would end the process: nothing here is broken."""
    bench = remote(slots=2, batch_size_that_pays=1)
    stuck = bench.submit(1)
    await settle()
    assert not bench.batcher.fail_if_stuck(30.0)
    for _ in range(8):
        bench.clock.advance(4.0)
        assert not bench.batcher.fail_if_stuck(30.0)
    with pytest.raises(BackendFailure):
        await stuck
    await settle()
    assert bench.running == []
    assert [size for size, _ in bench.events.failures] == [1]
    request = bench.submit(2)
    await bench.answer_all()
    assert await request == [2]
    assert bench.events.fatal == []


async def test_any_other_failure_is_the_batchs_own() -> None:
    bench = remote()
    request = bench.submit(1)
    await settle()
    bench.backend.held[0].fail(BackendFailure("a graph that fails"))
    with pytest.raises(BackendFailure):
        await request
    assert [size for size, _ in bench.events.failures] == [1]
    other = bench.submit(2)
    await bench.answer_all()
    assert await other == [2]
