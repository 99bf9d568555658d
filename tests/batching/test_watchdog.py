"""A batch that does not end is noticed, and nobody waits for it: neither its members nor those behind it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from tests.testkit.fakes import Bench, Events, FakeClock, HeldBackend, answers, image, settle
from topfive.backends.base import Batch, Row
from topfive.batching.batcher import Batcher
from topfive.batching.items import QueueLimits
from topfive.ground.errors import BackendFailure, NotReady
from topfive.machine.workers import WorkerPool

SECONDS = 30.0
ENDED_IN_VAIN = 4.0
"""After `SECONDS`: until it is noticed, and told to end; then until it is given up."""


def passes(bench: Bench, seconds: float) -> bool:
    """Let time pass, with a look at every second, until the batcher fails of a batch that is stuck; whether it did."""
    for _ in range(int(seconds)):
        bench.clock.advance(1.0)
        if bench.batcher.fail_if_stuck(SECONDS):
            return True
    return False


async def failed(*requests: asyncio.Task[list[int]]) -> None:
    """Assert that each request has its error already."""
    await settle()
    assert all(request.done() for request in requests), "a request hangs"
    results = await asyncio.gather(*requests, return_exceptions=True)
    assert [type(result) for result in results] == [BackendFailure] * len(requests)


async def test_a_batch_that_takes_too_long_fails_the_batcher_and_answers_everybody() -> None:
    """Those who wait, those who run, on whichever slot, and those who were handed over ahead."""
    bench = Bench(HeldBackend(slots=2, batch_size_that_pays=1, prefetch=1))
    requests = [bench.submit(value) for value in range(5)]
    await settle()
    assert (bench.running, len(bench.backend.ahead), bench.batcher.waiting[0]) == ([[0], [1]], 1, 2)
    assert not passes(bench, SECONDS)
    assert passes(bench, ENDED_IN_VAIN)
    await failed(*requests)
    assert "30 s" in str(bench.events.fatal[0])
    with pytest.raises(NotReady):
        await bench.submit(9)
    assert not bench.batcher.fail_if_stuck(SECONDS), "it fails once"
    assert len(bench.events.fatal) == 1
    assert [batch.values for batch in bench.backend.ran] == [[0], [1]], "what was given up runs no more"


async def test_a_batch_that_is_ended_fails_alone_and_its_members_run_once_more() -> None:
    """The one that hangs again fails, by itself; its slot is free for those behind it, and nothing is broken."""
    bench = Bench(HeldBackend(batch_size_that_pays=3))
    bench.backend.ends = True
    first, *members, behind = [bench.submit(value) for value in range(5)]
    await settle()
    bench.backend.held[0].answer()
    await settle()
    assert bench.running == [[1, 2, 3]]
    assert not passes(bench, SECONDS + 1)
    await settle()
    assert bench.running == [[1]]
    assert not passes(bench, SECONDS + 1)
    await bench.answer_all()
    assert await answers(first, *members[1:], behind) == [[0], [2], [3], [4]]
    await failed(members[0])
    assert [(size, str(error)) for size, error in bench.events.failures] == [
        (3, "a batch of 3 has run for more than 30 s; it is given up"),
        (1, "a batch of 1 has run for more than 30 s; it is given up"),
    ]
    assert bench.events.fatal == []


async def test_every_batch_that_is_stuck_is_ended_at_one_look() -> None:
    bench = Bench(HeldBackend(slots=2, batch_size_that_pays=1))
    bench.backend.ends = True
    requests = [bench.submit(0), bench.submit(1)]
    await settle()
    bench.batcher.fail_if_stuck(SECONDS)
    assert not passes(bench, SECONDS + 1)
    await failed(*requests)
    assert bench.events.fatal == []


async def test_what_ends_by_itself_after_it_was_told_to_end_is_answered() -> None:
    """Its members are not run again."""
    bench = Bench(HeldBackend())
    request = bench.submit(1)
    await settle()
    assert not passes(bench, SECONDS + 1)
    await bench.answer_all()
    assert await request == [1]
    assert (len(bench.backend.ran), bench.events.failures) == (1, [])


async def test_after_a_pause_of_the_process_a_batch_that_was_told_to_end_has_its_moment() -> None:
    bench = Bench(HeldBackend())
    request = bench.submit(1)
    await settle()
    assert not passes(bench, SECONDS + 1)
    bench.clock.advance(1000)
    assert not bench.batcher.fail_if_stuck(SECONDS)
    assert not passes(bench, 2)
    assert passes(bench, 1)
    await failed(request)


class ThreadBackend:
    """Runs each batch on a thread of its own, which `opened` lets end."""

    slots = 1
    prefetch = 0
    prepares = False
    serves_alone = False
    cancels = False
    engine = ""
    batch_size_that_pays = 1

    def __init__(self) -> None:
        self.pool = WorkerPool(threads=1, name="held")
        self.entered, self.opened = threading.Event(), threading.Event()

    async def warm_up(self) -> None:
        pass

    def infer(self, batch: Batch, *, alone: bool) -> asyncio.Future[Sequence[Row]]:
        return self.pool.run(self._run, batch)

    def _run(self, batch: Batch) -> Sequence[Row]:
        tensors = batch.claim()
        self.entered.set()
        assert self.opened.wait(SECONDS)
        return [{} for _ in tensors]

    def end(self, run: asyncio.Future[Sequence[Row]]) -> None:
        pass

    async def check(self) -> None:
        pass

    async def close(self) -> None:
        pass


async def test_what_ends_after_it_was_given_up_changes_nothing() -> None:
    """Its thread, a real one, comes back to a batcher that has failed."""
    defects: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: defects.append(context))
    backend, clock, events = ThreadBackend(), FakeClock(), Events()
    batcher = Batcher(backend=backend, limits=QueueLimits(1, 100, 1 << 20), clock=clock, hooks=events.hooks())
    request = asyncio.get_running_loop().create_task(batcher.submit([image(1)]))
    await settle()
    assert await asyncio.to_thread(backend.entered.wait, SECONDS)
    while not batcher.fail_if_stuck(SECONDS):
        clock.advance(1.0)
    await settle()
    assert isinstance(request.exception(), BackendFailure)
    await batcher.drain()
    backend.opened.set()
    assert await backend.pool.run(str, 5) == "5", "the thread works on"
    assert backend.pool.close(timeout_seconds=SECONDS)
    assert (events.batches, events.failures, len(events.fatal), defects) == ([], [], 1, [])


async def test_a_thread_that_comes_back_finds_nothing_to_run() -> None:
    bench = Bench(HeldBackend())
    bench.backend.starts = False
    request = bench.submit(1)
    await settle()
    (handed,) = bench.backend.ahead
    assert passes(bench, SECONDS + 2)
    assert handed.batch.claim() == []
    await failed(request)


async def test_drain_does_not_wait_for_what_was_given_up() -> None:
    bench = Bench(HeldBackend())
    request = bench.submit(1)
    await settle()
    drained = asyncio.get_running_loop().create_task(bench.batcher.drain())
    await settle()
    assert passes(bench, SECONDS + ENDED_IN_VAIN)
    await failed(request)
    await settle()
    assert drained.done()


async def test_batches_that_end_in_time_are_left_alone_however_many() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=1, prefetch=1))
    requests = [bench.submit(value) for value in range(4)]
    for _ in range(4):
        await settle()
        assert not passes(bench, SECONDS - 1)
        bench.backend.held[0].answer()
    assert await answers(*requests) == [[0], [1], [2], [3]]


async def test_what_was_handed_over_ahead_does_not_count_while_another_runs() -> None:
    """It started when the first had ended, not when it was handed over."""
    bench = Bench(HeldBackend(batch_size_that_pays=1, prefetch=1))
    requests = [bench.submit(0), bench.submit(1)]
    await settle()
    assert not passes(bench, SECONDS - 1)
    bench.backend.held[0].answer()
    await settle()
    assert not passes(bench, SECONDS - 1)
    bench.backend.held[0].answer()
    assert await answers(*requests) == [[0], [1]]


async def test_a_batch_that_no_thread_takes_is_stuck_too() -> None:
    bench = Bench(HeldBackend())
    bench.backend.starts = False
    requests = [bench.submit(0), bench.submit(1)]
    await settle()
    assert not passes(bench, SECONDS)
    assert passes(bench, 2)
    await failed(*requests)
    assert "waited for a thread" in str(bench.events.fatal[0])


async def test_a_batch_that_no_thread_takes_after_the_one_before_it_is_stuck_from_then_on() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=1, prefetch=1))
    requests = [bench.submit(0), bench.submit(1)]
    await settle()
    bench.backend.starts = False
    assert not passes(bench, SECONDS - 1)
    bench.backend.held[0].answer()
    await settle()
    assert not passes(bench, SECONDS)
    assert passes(bench, 2)
    results = await asyncio.gather(*requests, return_exceptions=True)
    assert results[0] == [0]
    assert isinstance(results[1], BackendFailure)


async def test_a_batch_that_started_late_counts_from_its_start() -> None:
    bench = Bench(HeldBackend())
    bench.backend.starts = False
    request = bench.submit(1)
    await settle()
    assert not passes(bench, SECONDS - 1)
    bench.backend.starts = True
    bench.backend._start_next()
    assert not passes(bench, SECONDS)
    assert passes(bench, ENDED_IN_VAIN)
    await failed(request)


async def test_one_batch_that_waits_for_its_thread_says_nothing_of_the_next() -> None:
    """Each was taken in time, though at every look one waited."""
    bench = Bench(HeldBackend())
    requests = [bench.submit(value) for value in range(4)]
    for _ in range(4):
        bench.backend.starts = False
        await settle()
        assert not passes(bench, SECONDS - 1)
        bench.backend.starts = True
        bench.backend._start_next()
        if bench.backend.held:
            bench.backend.held[0].answer()
    await bench.answer_all()
    await asyncio.gather(*requests)
    assert bench.events.fatal == []


async def test_an_idle_batcher_is_not_stuck() -> None:
    bench = Bench(HeldBackend())
    assert not passes(bench, 100)


@pytest.mark.parametrize("starts", [True, False], ids=["running", "handed over"])
async def test_a_process_that_was_stopped_for_a_while_has_no_stuck_batch(*, starts: bool) -> None:
    """Its clock went on, its threads did not: SIGSTOP and SIGCONT, or a machine without a core to spare."""
    bench = Bench(HeldBackend())
    bench.backend.starts = starts
    requests = [bench.submit(0), bench.submit(1)]
    await settle()
    assert not passes(bench, SECONDS - 1)
    bench.clock.advance(1000)
    assert not bench.batcher.fail_if_stuck(SECONDS)
    assert not passes(bench, SECONDS)
    assert passes(bench, ENDED_IN_VAIN)
    await failed(*requests)
