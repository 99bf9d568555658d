"""A batch that fails costs only the members that fail by themselves too: each is run once more, alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.testkit.fakes import Bench, Events, HeldBackend, answers, image, settle
from tests.testkit.stored_models import read_repository
from tests.testkit.tiny_models import CLASSIFIER_CONFIG, classifier_graph, write_model
from topfive.backends.embedded import EmbeddedFactory
from topfive.batching.batcher import Batcher
from topfive.batching.items import QueueLimits
from topfive.ground.clock import MonotonicClock
from topfive.ground.errors import BackendFailure, ClientDisconnected, DeadlineExceeded, NotReady
from topfive.machine.workers import WorkerPool


async def failing(bench: Bench) -> asyncio.Task[list[int]]:
    """A request that holds the slot, so that those that come now share a batch, which fails."""
    blocker = bench.submit(0)
    await settle()
    return blocker


async def test_one_poisonous_image_costs_only_itself() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=4))
    blocker = await failing(bench)
    requests = [bench.submit(value) for value in (1, 2, 3)]
    await bench.answer_all(poison={2})
    results = await asyncio.gather(blocker, *requests, return_exceptions=True)
    assert [results[0], results[1], results[3]] == [[0], [1], [3]]
    assert isinstance(results[2], BackendFailure)
    assert [batch.values for batch in bench.backend.ran] == [[0], [1, 2, 3], [1], [2], [3]]


async def test_the_members_run_before_what_waits_and_one_on_each_slot() -> None:
    bench = Bench(HeldBackend(slots=2, batch_size_that_pays=3, prefetch=2))
    blockers = [bench.submit(0), bench.submit(1)]
    await settle()
    first = bench.submit(2, 3, 4)
    await settle()
    bench.backend.held[0].answer()
    await settle()
    assert bench.running == [[1], [2, 3, 4]]
    waiting = bench.submit(5, 6, 7)
    await settle()
    later = bench.submit(8)
    bench.backend.held[1].fail()
    await settle()
    assert bench.running == [[1], [5, 6, 7]], "what had been handed over already is not overtaken"
    bench.backend.held[1].answer()
    await settle()
    assert bench.running == [[1], [2]]
    bench.backend.held[0].answer()
    await settle()
    assert bench.running == [[2], [3]]
    assert not bench.backend.ahead
    await bench.answer_all()
    assert [batch.values for batch in bench.backend.ran][-2:] == [[4], [8]]
    assert await answers(*blockers, first, waiting, later) == [[0], [1], [2, 3, 4], [5, 6, 7], [8]]


async def test_members_that_are_to_run_again_share_the_slots() -> None:
    """None takes all of them, as a request that is all there is may."""
    bench = Bench(HeldBackend(slots=2, serves_alone=True, batch_size_that_pays=2))
    blockers = bench.submit(0, 9)
    await settle()
    pair = bench.submit(1, 2)
    await settle()
    bench.backend.held[0].answer()
    await settle()
    bench.backend.held[0].answer()
    await settle()
    assert bench.running == [[1, 2]]
    bench.backend.held[0].fail()
    await settle()
    assert [(batch.values, batch.alone) for batch in bench.backend.held] == [([1], False), ([2], False)]
    await bench.answer_all()
    assert await answers(blockers, pair) == [[0, 9], [1, 2]]


async def test_nothing_is_handed_over_ahead_of_a_member_that_is_to_run_again() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=2, prefetch=1))
    blocker = await failing(bench)
    pair = bench.submit(1, 2)
    await settle()
    bench.backend.held[0].answer()
    await settle()
    bench.backend.held[0].fail()
    await settle()
    assert bench.running == [[1]]
    full = bench.submit(3, 4)
    await settle()
    assert not bench.backend.ahead
    await bench.answer_all()
    assert [batch.values for batch in bench.backend.ran] == [[0], [1, 2], [1], [2], [3, 4]]
    assert await answers(blocker, pair, full) == [[0], [1, 2], [3, 4]]


async def test_a_result_of_the_wrong_length_is_a_failure_like_any_other() -> None:
    bench = Bench(HeldBackend())
    blocker = await failing(bench)
    requests = [bench.submit(1), bench.submit(2)]
    await settle()
    bench.backend.held[0].answer()
    await settle()
    bench.backend.held[0].release.set_result([])
    await bench.answer_all()
    assert await answers(blocker, *requests) == [[0], [1], [2]]


async def test_a_batch_of_one_is_not_run_again() -> None:
    bench = Bench(HeldBackend())
    request = bench.submit(1)
    await bench.answer_all(poison={1})
    with pytest.raises(BackendFailure):
        await request
    assert len(bench.backend.ran) == 1


async def test_a_batch_of_which_one_was_left_at_its_start_is_not_run_again() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=2, prefetch=1))
    blocker = await failing(bench)
    late, failed = bench.submit(1, deadline=bench.clock.now() + 0.2), bench.submit(2)
    await settle()
    bench.clock.advance(0.2)
    await bench.answer_all(poison={2})
    results = await asyncio.gather(blocker, late, failed, return_exceptions=True)
    assert [type(result) for result in results[1:]] == [DeadlineExceeded, BackendFailure]
    assert [batch.values for batch in bench.backend.ran] == [[0], [2]]


async def test_a_backend_that_refuses_a_batch_is_asked_for_each_member() -> None:
    """An exception out of `infer` itself, before the batch was claimed."""

    class Refusing(HeldBackend):
        def infer(self, batch, *, alone):  # type: ignore[no-untyped-def]
            if len(batch.items) > 1:
                raise ValueError("one at a time")
            return super().infer(batch, alone=alone)

    bench = Bench(Refusing())
    blocker = await failing(bench)
    requests = [bench.submit(1), bench.submit(2)]
    await bench.answer_all()
    assert await answers(blocker, *requests) == [[0], [1], [2]]
    assert [size for size, _ in bench.events.failures] == [2]


async def test_each_failed_run_is_reported_and_the_sizes_are_those_that_ran() -> None:
    bench = Bench(HeldBackend())
    blocker = await failing(bench)
    requests = [bench.submit(value) for value in (1, 2, 3)]
    await bench.answer_all(poison={2})
    await asyncio.gather(blocker, *requests, return_exceptions=True)
    assert [size for size, _ in bench.events.failures] == [3, 1]
    assert bench.events.batches == [1, 1, 1]


async def test_who_is_cancelled_expired_or_gone_by_then_is_not_run_again() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=5))
    gone: list[int] = []
    blocker = await failing(bench)
    kept, cancelled = bench.submit(1), bench.submit(2)
    expired = bench.submit(3, deadline=bench.clock.now() + 0.2)
    abandoned = bench.submit(4, abandoned=lambda: bool(gone))
    last = bench.submit(5)
    await settle()
    bench.backend.held[0].answer()
    await settle()
    bench.backend.held[0].fail()
    await settle()
    assert bench.running == [[1]]
    assert bench.batcher.waiting == (4, 4 * 12)
    cancelled.cancel()
    gone.append(4)
    await settle()
    assert bench.clock.armed == [100.2]
    bench.clock.advance(0.2)
    with pytest.raises(DeadlineExceeded, match=r"0\.200 s"):
        await expired
    await bench.answer_all()
    assert await answers(blocker, kept, last) == [[0], [1], [5]]
    with pytest.raises(ClientDisconnected):
        await abandoned
    assert [batch.values for batch in bench.backend.ran] == [[0], [1, 2, 3, 4, 5], [1], [5]]
    assert bench.events.discarded == ["cancelled", "expired", "abandoned"]


async def test_who_was_cancelled_while_the_batch_ran_is_not_run_again() -> None:
    bench = Bench(HeldBackend())
    blocker = await failing(bench)
    cancelled, kept = bench.submit(1), bench.submit(2)
    await settle()
    bench.backend.held[0].answer()
    await settle()
    cancelled.cancel()
    await settle()
    bench.backend.held[0].fail()
    await bench.answer_all()
    assert await answers(blocker, kept) == [[0], [2]]
    assert [batch.values for batch in bench.backend.ran] == [[0], [1, 2], [2]]


async def test_drain_answers_those_who_are_to_run_again() -> None:
    bench = Bench(HeldBackend())
    blocker = await failing(bench)
    requests = [bench.submit(value) for value in (1, 2, 3)]
    await settle()
    bench.backend.held[0].answer()
    await settle()
    bench.backend.held[0].fail()
    drained = asyncio.get_running_loop().create_task(bench.batcher.drain())
    await bench.answer_all()
    await drained
    assert await answers(blocker, *requests) == [[0], [1], [2], [3]]


async def test_when_the_batcher_fails_nobody_is_left_to_run_again() -> None:
    bench = Bench(HeldBackend())
    blocker = await failing(bench)
    requests = [bench.submit(value) for value in (1, 2, 3)]
    await settle()
    bench.backend.held[0].answer()
    await settle()
    bench.backend.held[0].fail()
    await settle()

    class Defect(BaseException):
        """What no `except Exception` catches."""

    bench.backend.held[0].fail(Defect())
    results = await asyncio.gather(blocker, *requests, return_exceptions=True)
    assert [type(result) for result in results[1:]] == [BackendFailure] * 3
    assert [type(error) for error in bench.events.fatal] == [Defect]
    with pytest.raises(NotReady):
        await bench.submit(4)


async def test_a_batch_that_fails_after_the_batcher_has_is_not_run_again() -> None:
    bench = Bench(HeldBackend(slots=2))
    blockers = [bench.submit(8), bench.submit(9)]
    await settle()
    requests = [bench.submit(1), bench.submit(2)]
    await settle()
    bench.backend.held[0].answer()
    await settle()
    assert bench.running == [[9], [1, 2]]

    class Defect(BaseException):
        """What no `except Exception` catches."""

    bench.backend.held[0].fail(Defect())
    await settle()
    bench.backend.held[0].fail()
    await settle()
    results = await asyncio.gather(*blockers, *requests, return_exceptions=True)
    assert [type(result) for result in results[1:]] == [BackendFailure] * 3
    assert not bench.backend.held


async def test_on_the_real_runtime_the_others_of_a_batch_have_their_answers(tmp_path: Path) -> None:
    """The graph fails on the whole batch for the sake of one image that it has no label for."""
    write_model(tmp_path, "m", CLASSIFIER_CONFIG, classifier_graph())
    model = read_repository(tmp_path)["m"]
    pool = WorkerPool(threads=2, name="compute")
    backend = await EmbeddedFactory(cores=2, alone_threads=1).batched(model.config, model.graph_path(1), pool)
    limits = QueueLimits(max_batch_size=8, max_items=100, max_bytes=1 << 20, max_queue_delay_seconds=3600.0)
    events = Events()
    batcher = Batcher(backend=backend, limits=limits, clock=MonotonicClock(), hooks=events.hooks())
    values = [1, 2, 250, 4, 5, 251, 7, 8]
    requests = [asyncio.get_running_loop().create_task(batcher.submit([image(value)])) for value in values]
    results = await asyncio.gather(*requests, return_exceptions=True)
    for value, result in zip(values, results, strict=True):
        if value in (250, 251):
            assert isinstance(result, BackendFailure)
        else:
            assert isinstance(result, list)
            assert result[0].row["classes"][0] == f"value {value}"
    assert [size for size, _ in events.failures] == [8, 1, 1]
    assert await asyncio.to_thread(pool.close, timeout_seconds=30)


@settings(max_examples=100, deadline=None)
@given(
    slots=st.integers(1, 3),
    pays=st.integers(1, 5),
    prefetch=st.integers(0, 2),
    serves_alone=st.booleans(),
    sizes=st.lists(st.integers(1, 3), min_size=1, max_size=12),
    poison=st.sets(st.integers(0, 35)),
    order=st.lists(st.integers(0, 5), max_size=40),
)
def test_exactly_the_poisonous_fail(
    slots: int, pays: int, prefetch: int, *, serves_alone: bool, sizes: list[int], poison: set[int], order: list[int]
) -> None:
    """Whatever is poisonous, however it was batched: all are answered, and poison runs no more than twice."""

    async def play() -> None:
        backend = HeldBackend(slots=slots, serves_alone=serves_alone, batch_size_that_pays=pays, prefetch=prefetch)
        bench = Bench(backend)
        requests: list[tuple[list[int], asyncio.Task[list[int]]]] = []
        count = 0
        for turn, size in enumerate(sizes):
            values = list(range(count, count + size))
            count += size
            requests.append((values, bench.submit(*values)))
            await settle()
            if backend.held and turn % 2:
                backend.held[order[turn % len(order)] % len(backend.held) if order else 0].answer(poison)
                await settle()
        for pick in order:
            if backend.held:
                backend.held[pick % len(backend.held)].answer(poison)
                await settle()
        await bench.answer_all(poison)
        for values, request in requests:
            assert request.done(), "a request hangs"
            if poison.isdisjoint(values):
                assert request.result() == values
            else:
                assert isinstance(request.exception(), BackendFailure)
        for value in range(count):
            runs = [batch.values for batch in backend.ran if value in batch.values]
            assert len(runs) <= 2
            if len(runs) == 2:
                assert not poison.isdisjoint(runs[0])
                assert runs[1] == [value]
        failed = sum(not poison.isdisjoint(batch.values) for batch in backend.ran)
        assert len(bench.events.failures) == failed
        assert bench.batcher.waiting == (0, 0)
        assert bench.batcher._running.idle == bench.backend.slots

    asyncio.run(play())
