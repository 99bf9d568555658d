"""The batcher's shell keeps its promises: slots before batches, fair shares, every submit answered exactly once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.testkit.fakes import SHAPE, Bench, HeldBackend, HeldBatch, answers, image, settle, value_of
from topfive.batching.batch import Unprepared
from topfive.ground.errors import BackendFailure, ClientDisconnected, DeadlineExceeded, NotReady, QueueFull
from topfive.ground.types import Fill


async def test_a_request_that_finds_a_slot_idle_runs_at_once() -> None:
    bench = Bench(HeldBackend())
    request = bench.submit(7)
    await settle()
    assert [batch.values for batch in bench.backend.held] == [[7]]
    bench.backend.held[0].answer()
    assert await request == [7]
    assert bench.events.batches == [1]


async def test_what_came_while_the_slot_was_busy_leaves_as_one_batch_in_order() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=3))
    requests = [bench.submit(value) for value in range(5)]
    await settle()
    for expected in ([0], [1, 2, 3], [4]):
        assert [batch.values for batch in bench.backend.held] == [expected]
        bench.backend.held[0].answer()
        await settle()
    assert [await request for request in requests] == [[value] for value in range(5)]


async def test_idle_slots_share_what_waits() -> None:
    """No instance idles while another holds two requests that it could have had."""
    bench = Bench(HeldBackend(slots=2, batch_size_that_pays=16))
    request = bench.submit(*range(6))
    await settle()
    assert [batch.values for batch in bench.backend.held] == [[0, 1, 2], [3, 4, 5]]
    for batch in list(bench.backend.held):
        batch.answer()
    assert await request == list(range(6))


async def test_it_says_how_full_it_is() -> None:
    """What waits, and the slots that run a batch: one that was handed over ahead has no slot yet."""
    bench = Bench(HeldBackend(slots=2, batch_size_that_pays=1, prefetch=1), max_items=10)
    assert bench.batcher.fill == Fill(0, 10, 0, 0, 2)
    requests = [bench.submit(0)]
    await settle()
    assert bench.batcher.fill == Fill(0, 10, 0, 1, 2)
    requests += [bench.submit(value) for value in range(1, 5)]
    await settle()
    assert bench.batcher.fill == Fill(2, 10, 2 * 12, 2, 2)
    await bench.answer_all()
    assert await answers(*requests) == [[value] for value in range(5)]
    assert bench.batcher.fill == Fill(0, 10, 0, 0, 2)


async def test_members_of_one_request_keep_their_order_whichever_batch_ends_first() -> None:
    bench = Bench(HeldBackend(slots=2, batch_size_that_pays=2))
    request = bench.submit(0, 1, 2, 3)
    await settle()
    for batch in reversed(list(bench.backend.held)):
        batch.answer()
        await settle()
    assert await request == [0, 1, 2, 3]


async def test_images_of_different_shapes_never_share_a_batch() -> None:
    bench = Bench(HeldBackend())
    blocker = bench.submit(0)
    await settle()
    shapes = [(2, 2, 3), (3, 2, 3), (2, 2, 3), (3, 2, 3)]
    tasks = [
        asyncio.get_running_loop().create_task(bench.batcher.submit([image(number + 1, shape)]))
        for number, shape in enumerate(shapes)
    ]
    await settle()
    for expected in ([0], [1, 3], [2, 4]):
        assert [batch.values for batch in bench.backend.held] == [expected]
        bench.backend.held[0].answer()
        await settle()
    await asyncio.gather(blocker, *tasks)


async def test_a_delay_holds_a_batch_until_it_is_full_or_the_delay_is_out() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=2), delay=0.5)
    first = bench.submit(1)
    await settle()
    assert not bench.backend.held
    assert bench.clock.armed == [100.5]
    bench.clock.advance(0.5)
    await settle()
    assert [batch.values for batch in bench.backend.held] == [[1]]
    bench.backend.held[0].answer()
    await first
    pair = [bench.submit(2), bench.submit(3)]
    await settle()
    assert [batch.values for batch in bench.backend.held] == [[2, 3]]
    bench.backend.held[0].answer()
    assert await answers(*pair) == [[2], [3]]


async def test_a_lone_request_gets_all_slots_and_only_while_it_is_calm() -> None:
    bench = Bench(HeldBackend(slots=2, serves_alone=True))
    first = bench.submit(1)
    await settle()
    assert bench.backend.held[0].alone
    second = bench.submit(2)
    await settle()
    assert [batch.values for batch in bench.backend.held] == [[1]], "all slots' cores are taken"
    bench.backend.held[0].answer()
    await settle()
    third = bench.submit(3)
    await settle()
    assert [(batch.values, batch.alone) for batch in bench.backend.held] == [([2], False), ([3], False)]
    for batch in list(bench.backend.held):
        batch.answer()
        await settle()
    fourth = bench.submit(4)
    await settle()
    assert bench.backend.held[0].alone, "nothing came while the last batch ran"
    bench.backend.held[0].answer()
    assert await answers(first, second, third, fourth) == [[1], [2], [3], [4]]


async def test_an_image_that_has_all_slots_is_prepared_on_all_cores_and_others_are_not() -> None:
    bench = Bench(HeldBackend(slots=2, serves_alone=True))
    graph = FussyGraph()

    def submit(value: int) -> asyncio.Task[object]:
        unprepared = Unprepared(image(value, (4, 4, 3)), graph, SHAPE)
        return asyncio.get_running_loop().create_task(bench.batcher.submit([unprepared]))

    requests = []
    for value in (1, 2, 3):
        requests.append(submit(value))
        await settle()
    bench.backend.held[0].answer()
    await settle()
    assert graph.alone == [True, False, False]
    for batch in list(bench.backend.held):
        batch.answer()
    await asyncio.gather(*requests)


async def test_nothing_is_handed_over_ahead_of_a_request_that_has_all_slots() -> None:
    """It would run beside it, on cores that are taken: more threads than cores."""
    bench = Bench(HeldBackend(slots=2, serves_alone=True, batch_size_that_pays=1, prefetch=2))
    first, second = bench.submit(1), bench.submit(2)
    await settle()
    assert [(batch.values, batch.alone) for batch in bench.backend.held] == [([1], True)]
    assert not bench.backend.ahead
    bench.backend.held[0].answer()
    await settle()
    bench.backend.held[0].answer()
    assert await answers(first, second) == [[1], [2]]


async def test_a_backend_error_fails_its_batch_and_no_other() -> None:
    """That of its batch of one, in the end (`tests/batching/test_retries.py`)."""
    bench = Bench(HeldBackend(batch_size_that_pays=2))
    requests = [bench.submit(value) for value in range(4)]
    await settle()
    bench.backend.held[0].answer()
    await settle()
    assert bench.running == [[1, 2]]
    for _ in range(3):
        bench.backend.held[0].fail(RuntimeError("out of registers"))
        await settle()
    bench.backend.held[0].answer()
    results = await asyncio.gather(*requests, return_exceptions=True)
    assert [results[0], results[3]] == [[0], [3]]
    for failed in results[1:3]:
        assert isinstance(failed, BackendFailure)
        assert "registers" not in str(failed), "internals are for the log"
        assert str(failed.__cause__) == "out of registers"
    assert [size for size, _ in bench.events.failures] == [2, 1, 1]


async def test_a_result_of_the_wrong_length_fails_its_batch_and_the_next_runs() -> None:
    bench = Bench(HeldBackend())
    first, second = bench.submit(1), bench.submit(2)
    await settle()
    bench.backend.held[0].release.set_result([])
    await settle()
    bench.backend.held[0].answer()
    with pytest.raises(BackendFailure):
        await first
    assert await second == [2]


class FussyGraph:
    """Halves every image, except one whose first byte is 13."""

    blocking = True

    def __init__(self) -> None:
        self.alone: list[bool] = []

    def __call__(self, images: NDArray[np.uint8], *, alone: bool = False) -> NDArray[np.uint8]:
        self.alone.append(alone)
        if images.flat[0] == 13:
            raise ValueError("bad luck")
        return images[:, ::2, ::2]


async def test_unprepared_images_of_any_size_share_a_batch_and_one_that_cannot_be_prepared_costs_only_itself() -> None:
    """The per-image graph runs when the batch starts, on images of whatever size; its error is that image's alone."""
    bench = Bench(HeldBackend())
    blocker = bench.submit(0)
    await settle()
    graph = FussyGraph()
    requests = [
        asyncio.get_running_loop().create_task(
            bench.batcher.submit([Unprepared(image(value, (4 + value % 2, 4, 3)), graph, SHAPE)])
        )
        for value in (12, 13, 14)
    ]
    await settle()
    bench.backend.held[0].answer()
    await settle()
    assert bench.backend.held[0].values == [12, 14]
    bench.backend.held[0].answer()
    results = await asyncio.gather(*requests, return_exceptions=True)
    assert [value_of(result[0].row) for result in results if isinstance(result, list)] == [12, 14]
    assert isinstance(results[1], BackendFailure)
    assert str(results[1].__cause__) == "bad luck"
    assert [size for size, _ in bench.events.failures] == [1]
    assert await answers(blocker) == [[0]]


async def test_a_refused_request_says_when_to_come_back_from_the_measured_rate() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=1), max_items=2)
    warm = bench.submit(0)
    await settle()
    bench.clock.advance(0.5)
    bench.backend.held[0].answer()
    await warm
    running, *waiting = [bench.submit(value) for value in (1, 2, 3)]
    await settle()
    with pytest.raises(QueueFull) as refused:
        await bench.submit(4)
    assert refused.value.retry_after_seconds == pytest.approx(2 * 0.5), "two wait, each for half a second"
    for _ in range(3):
        bench.backend.held[0].answer()
        await settle()
    await asyncio.gather(running, *waiting)


async def test_a_request_of_several_images_enters_whole_or_not_at_all() -> None:
    bench = Bench(HeldBackend(), max_items=3)
    blocker = bench.submit(0)
    await settle()
    waiting = bench.submit(1, 2)
    await settle()
    with pytest.raises(QueueFull):
        await bench.submit(3, 4)
    bench.backend.held[0].answer()
    await settle()
    assert bench.backend.held[0].values == [1, 2]
    bench.backend.held[0].answer()
    await asyncio.gather(blocker, waiting)


async def test_an_expired_item_never_reaches_the_backend_and_is_told_at_its_deadline() -> None:
    bench = Bench(HeldBackend())
    blocker = bench.submit(0)
    await settle()
    late = bench.submit(1, deadline=bench.clock.now() + 0.2)
    await settle()
    assert bench.clock.armed == [100.2]
    bench.clock.advance(0.2)
    with pytest.raises(DeadlineExceeded, match=r"0\.200 s"):
        await late
    bench.backend.held[0].answer()
    await blocker
    await settle()
    assert [batch.values for batch in bench.backend.ran] == [[0]]
    assert bench.events.discarded == ["expired"]


async def test_a_deadline_that_passes_while_its_batch_runs_is_told_at_once() -> None:
    """One meaning everywhere: by then there is an answer. The neighbours have their rows, and nothing runs again."""
    bench = Bench(HeldBackend(batch_size_that_pays=3))
    blocker = bench.submit(0)
    await settle()
    hasty, slower = bench.submit(1, deadline=bench.clock.now() + 0.2), bench.submit(2, deadline=bench.clock.now() + 0.4)
    kept = bench.submit(3)
    await settle()
    bench.backend.held[0].answer()
    await settle()
    assert (bench.running, bench.clock.armed) == ([[1, 2, 3]], [100.2])
    bench.clock.advance(0.2)
    with pytest.raises(DeadlineExceeded, match="before the batch had run"):
        await hasty
    assert not slower.done()
    assert bench.clock.armed == [100.4]
    bench.backend.held[0].answer()
    assert await answers(blocker, slower, kept) == [[0], [2], [3]]
    assert bench.clock.armed == []
    assert (bench.events.batches, bench.events.discarded, bench.events.failures) == ([1, 3], [], [])


async def test_a_failed_batch_is_not_run_again_for_those_whose_deadline_has_passed() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=2))
    blocker = bench.submit(0)
    await settle()
    hasty, kept = bench.submit(1, deadline=bench.clock.now() + 0.2), bench.submit(2)
    await settle()
    bench.backend.held[0].answer()
    await settle()
    bench.clock.advance(0.2)
    bench.backend.held[0].fail()
    await settle()
    assert bench.running == [[2]]
    bench.backend.held[0].answer()
    assert await answers(blocker, kept) == [[0], [2]]
    with pytest.raises(DeadlineExceeded):
        await hasty


async def test_an_abandoned_item_is_skipped_at_dequeue_and_counted() -> None:
    bench = Bench(HeldBackend())
    blocker = bench.submit(0)
    await settle()
    gone, here = bench.submit(1, abandoned=lambda: True), bench.submit(2)
    await settle()
    bench.backend.held[0].answer()
    await settle()
    assert bench.backend.held[0].values == [2]
    bench.backend.held[0].answer()
    with pytest.raises(ClientDisconnected):
        await gone
    assert await answers(blocker, here) == [[0], [2]]
    assert bench.events.discarded == ["abandoned"]


async def test_full_batches_are_handed_over_ahead_and_others_wait_for_company() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=2, prefetch=1))
    requests = [bench.submit(value) for value in range(4)]
    await settle()
    assert [[batch.values for batch in bench.backend.held], len(bench.backend.ahead)] == [[[0]], 1]
    requests.append(bench.submit(4))
    await settle()
    for expected in ([0], [1, 2], [3, 4]):
        assert bench.backend.held[0].values == expected, "3 waited for 4 instead of leaving by itself"
        bench.backend.held[0].answer()
        await settle()
    assert await answers(*requests) == [[value] for value in range(5)]


async def test_what_expires_or_is_cancelled_after_it_was_handed_over_does_not_run() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=3, prefetch=1))
    blocker = bench.submit(0)
    await settle()
    late, cancelled, kept = bench.submit(1, deadline=bench.clock.now() + 0.2), bench.submit(2), bench.submit(3)
    await settle()
    assert bench.backend.ahead
    cancelled.cancel()
    bench.clock.advance(0.2)
    bench.backend.held[0].answer()
    await settle()
    assert bench.backend.held[0].values == [3]
    bench.backend.held[0].answer()
    assert await answers(blocker, kept) == [[0], [3]]
    with pytest.raises(DeadlineExceeded):
        await late
    assert bench.events.discarded == ["expired", "cancelled"]


async def test_a_batch_of_which_nobody_is_left_ends_without_running() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=1, prefetch=1))
    blocker = bench.submit(0)
    await settle()
    late = bench.submit(1, deadline=bench.clock.now() + 0.2)
    await settle()
    bench.clock.advance(0.2)
    bench.backend.held[0].answer()
    with pytest.raises(DeadlineExceeded):
        await late
    assert await answers(blocker) == [[0]]
    assert bench.events.batches == [1]


async def test_drain_answers_everybody_and_lets_nobody_in() -> None:
    bench = Bench(HeldBackend(), delay=60.0)
    waiting = [bench.submit(value) for value in range(3)]
    await settle()
    drained = asyncio.get_running_loop().create_task(bench.batcher.drain())
    await settle()
    with pytest.raises(NotReady):
        await bench.submit(9)
    assert not drained.done()
    bench.backend.held[0].answer()
    await drained
    assert await answers(*waiting) == [[0], [1], [2]]


async def test_a_defect_in_the_decision_answers_every_waiter_and_is_reported() -> None:
    bench = Bench(HeldBackend())
    waiting = [bench.submit(value) for value in range(3)]
    await settle()

    def broken(limit: int, *, now: float) -> None:
        raise ZeroDivisionError("a defect")

    bench.batcher._queue.take = broken  # type: ignore[assignment, method-assign]
    bench.backend.held[0].answer()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert results[0] == [0]
    assert all(isinstance(result, BackendFailure) for result in results[1:])
    assert isinstance(bench.events.fatal[0], ZeroDivisionError)
    with pytest.raises(NotReady):
        await bench.submit(4)


async def test_a_defect_between_taking_a_batch_and_starting_it_answers_that_batch_too() -> None:
    bench = Bench(HeldBackend())
    blocker = bench.submit(0)
    await settle()

    def broken() -> bool:
        raise ZeroDivisionError("a defect")

    taken, waiting = bench.submit(1, abandoned=broken), bench.submit(2)
    await settle()
    bench.backend.held[0].answer()
    await settle()
    assert taken.done()
    assert waiting.done()
    results = await asyncio.gather(blocker, taken, waiting, return_exceptions=True)
    assert results[0] == [0]
    assert all(isinstance(result, BackendFailure) for result in results[1:])
    assert isinstance(bench.events.fatal[0], ZeroDivisionError)


async def test_a_defect_while_a_batch_is_settled_answers_all_of_it() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=3, prefetch=1))
    blocker = bench.submit(0)
    await settle()
    late = [bench.submit(value, deadline=bench.clock.now() + 0.2) for value in (1, 2)]
    kept = bench.submit(3)
    await settle()
    bench.clock.advance(0.2)

    def broken(reason: str) -> None:
        raise ZeroDivisionError("a defect")

    bench.batcher._answers.hooks = replace(bench.events.hooks(), on_discard=broken)
    bench.backend.held[0].answer()
    await settle()
    bench.backend.held[0].answer()
    await settle()
    assert all(request.done() for request in (*late, kept))
    assert await answers(blocker, kept) == [[0], [3]]
    assert isinstance(bench.events.fatal[0], ZeroDivisionError)
    await asyncio.gather(*late, return_exceptions=True)


async def test_a_defect_in_a_hook_leaves_nobody_waiting_whose_deadline_has_passed() -> None:
    bench = Bench(HeldBackend())
    blocker = bench.submit(0)
    await settle()
    late = [bench.submit(value, deadline=bench.clock.now() + 0.2) for value in (1, 2, 3)]
    await settle()

    def broken(reason: str) -> None:
        raise ZeroDivisionError("a defect")

    bench.batcher._answers.hooks = replace(bench.events.hooks(), on_discard=broken)
    bench.clock.advance(0.2)
    await settle()
    assert all(isinstance(request.exception(), DeadlineExceeded) for request in late)
    assert isinstance(bench.events.fatal[0], ZeroDivisionError)
    bench.backend.held[0].answer()
    assert await blocker == [0]


async def test_what_expired_before_its_batch_failed_is_told_so() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=2, prefetch=1))
    blocker = bench.submit(0)
    await settle()
    late, failed = bench.submit(1, deadline=bench.clock.now() + 0.2), bench.submit(2)
    await settle()
    bench.clock.advance(0.2)
    bench.backend.held[0].answer()
    await settle()
    bench.backend.held[0].release.set_exception(OSError("down"))
    results = await asyncio.gather(blocker, late, failed, return_exceptions=True)
    assert [type(result) for result in results[1:]] == [DeadlineExceeded, BackendFailure]


async def test_a_defect_in_a_hook_is_reported_after_the_batch_was_answered() -> None:
    bench = Bench(HeldBackend())

    def broken(size: int, prepare_seconds: float, seconds: float) -> None:
        raise ZeroDivisionError("a defect")

    bench.batcher._answers.hooks = replace(bench.events.hooks(), on_batch=broken)
    request = bench.submit(1)
    await settle()
    bench.backend.held[0].answer()
    assert await request == [1]
    await settle()
    assert isinstance(bench.events.fatal[0], ZeroDivisionError)


async def test_a_batch_is_counted_after_those_that_wait_for_it_have_gone_on() -> None:
    bench = Bench(HeldBackend())
    seen: list[str] = []
    bench.batcher._answers.hooks = replace(bench.events.hooks(), on_batch=lambda *_: seen.append("counted"))

    async def ask() -> None:
        await bench.batcher.submit([image(1)])
        seen.append("answered")

    asking = asyncio.get_running_loop().create_task(ask())
    await settle()
    bench.backend.held[0].answer()
    await settle()
    await asking
    assert seen == ["answered", "counted"]


async def test_a_better_priority_leaves_first() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=2), levels=2, default_level=1)
    blocker = bench.submit(0)
    await settle()
    requests = [bench.submit(1, priority=2), bench.submit(2), bench.submit(3, priority=1), bench.submit(4, priority=9)]
    await settle()
    bench.backend.held[0].answer()
    await settle()
    assert bench.running == [[2, 3]]
    bench.backend.held[0].answer()
    await settle()
    assert bench.running == [[4, 1]]
    bench.backend.held[0].answer()
    assert await answers(blocker, *requests) == [[0], [1], [2], [3], [4]]


async def test_without_levels_all_are_equal() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=2))
    requests = [bench.submit(value, priority=9 - value) for value in range(5)]
    await bench.answer_all()
    assert [batch.values for batch in bench.backend.ran] == [[0], [1, 2], [3, 4]]
    await asyncio.gather(*requests)


async def test_what_was_cancelled_and_expired_before_its_start_is_counted_once() -> None:
    bench = Bench(HeldBackend(batch_size_that_pays=1, prefetch=1))
    blocker = bench.submit(0)
    await settle()
    gone = bench.submit(1, deadline=bench.clock.now() + 0.2)
    await settle()
    gone.cancel()
    bench.clock.advance(0.2)
    await bench.answer_all()
    assert await answers(blocker) == [[0]]
    assert bench.events.discarded == ["cancelled"]


@settings(max_examples=60, deadline=None)
@given(
    slots=st.integers(1, 3),
    pays=st.integers(1, 4),
    prefetch=st.integers(0, 2),
    serves_alone=st.booleans(),
    script=st.lists(
        st.one_of(
            st.tuples(st.just("submit"), st.integers(1, 5)),
            st.tuples(st.just("give way"), st.integers(1, 5)),
            st.tuples(st.just("answer"), st.integers(0, 3)),
            st.tuples(st.just("fail"), st.integers(0, 3)),
        ),
        max_size=40,
    ),
)
def test_whatever_happens_each_submit_ends_once_and_slots_are_never_exceeded(
    slots: int, pays: int, prefetch: int, *, serves_alone: bool, script: list[tuple[str, int]]
) -> None:
    """Any interleaving of submits, answers and failures: right answers, nothing run in vain, no idle slot unused."""

    async def play() -> None:
        backend = HeldBackend(slots=slots, serves_alone=serves_alone, batch_size_that_pays=pays, prefetch=prefetch)
        bench = Bench(backend, levels=2, default_level=1)
        failed: list[HeldBatch] = []
        submitted: list[tuple[list[int], asyncio.Task[list[int]]]] = []
        count = 0
        for action, number in script:
            if action in ("submit", "give way"):
                values = list(range(count, count + number))
                count += number
                submitted.append((values, bench.submit(*values, priority=1 if action == "submit" else 2)))
            elif backend.held:
                batch = backend.held[number % len(backend.held)]
                if action == "answer":
                    batch.answer()
                else:
                    batch.fail()
                    failed.append(batch)
            await settle()
            assert len(backend.held) == 1 or not any(batch.alone for batch in backend.held), "not alone"
            waiting, _ = bench.batcher.waiting
            free = 0 if any(batch.alone for batch in backend.held) else slots - len(backend.held)
            assert not (waiting and free), "a slot idles while something waits"
        while backend.held:
            backend.held[0].answer()
            await settle()
        for values, task in submitted:
            assert task.done(), "a submit hangs"
            assert task.exception() is not None or task.result() == values
        assert all(1 <= len(batch.values) <= pays for batch in backend.ran)
        for value in range(count):
            mine = [batch for batch in backend.ran if value in batch.values]
            assert len(mine) < 2 or (mine[0] in failed and len(mine[1].values) == 1 and len(mine) == 2), "ran in vain"

    asyncio.run(play())
