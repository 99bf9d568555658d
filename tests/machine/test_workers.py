"""Worker threads answer every call once: with its result, with its exception, or, taken back in time, not at all."""

from __future__ import annotations

import asyncio
import random
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Final

import pytest

from tests.testkit.threads import run_deadly
from topfive.machine.workers import WorkerPool

SECONDS: Final = 30.0
"""Bound on waiting for what must happen anyway, so that a defect fails rather than hangs."""


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(threads=1, name="one")
    yield pool
    assert pool.close(timeout_seconds=SECONDS)


class Gate:
    """A call that waits on its thread until the test opens it."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, result: object = None) -> object:
        self.entered.set()
        assert self.opened.wait(SECONDS)
        return result

    async def wait_until_entered(self) -> None:
        assert await asyncio.to_thread(self.entered.wait, SECONDS)


class Odd(BaseException):
    """An exception that no one expects."""


def fail(error: BaseException) -> None:
    raise error


async def test_calls_run_on_the_pools_threads_with_their_arguments(pool: WorkerPool) -> None:
    assert await pool.run(divmod, 17, 5) == (3, 2)
    assert (await pool.run(threading.current_thread)).name == "one-0"


async def test_one_thread_takes_calls_in_their_order(pool: WorkerPool) -> None:
    order: list[int] = []
    await asyncio.gather(*(pool.run(order.append, number) for number in range(50)))
    assert order == list(range(50))


async def test_each_of_many_calls_has_its_own_result() -> None:
    pool = WorkerPool(threads=4, name="four")
    futures = [pool.run(pow, number, 2) for number in range(200)]
    assert await asyncio.gather(*futures) == [number**2 for number in range(200)]
    assert pool.close(timeout_seconds=SECONDS)


async def test_threads_work_side_by_side() -> None:
    """Each of three calls waits for the other two."""
    pool = WorkerPool(threads=3, name="three")
    barrier = threading.Barrier(3, timeout=SECONDS)
    assert sorted(await asyncio.gather(*(pool.run(barrier.wait) for _ in range(3)))) == [0, 1, 2]
    assert pool.close(timeout_seconds=SECONDS)


@pytest.mark.parametrize(
    "error",
    [ValueError("no"), MemoryError(), StopIteration(1), asyncio.CancelledError(), Odd("odd")],
    ids=lambda error: type(error).__name__,
)
async def test_an_exception_reaches_who_awaits_and_the_thread_works_on(pool: WorkerPool, error: BaseException) -> None:
    """`StopIteration` cannot be carried by a future, but whoever waits must learn of it all the same."""
    future = pool.run(fail, error)
    done, _ = await asyncio.wait([future], timeout=SECONDS / 10)
    assert done, "the caller was left waiting"
    caught = future.exception()
    assert caught is error or (isinstance(caught, RuntimeError) and isinstance(error, StopIteration))
    assert await pool.run(str, 5) == "5"


async def test_a_call_taken_back_before_its_start_is_not_run(pool: WorkerPool) -> None:
    gate, ran = Gate(), list[str]()
    blocking = pool.run(gate, "answer")
    await gate.wait_until_entered()
    taken_back = pool.run(ran.append, "taken back")
    kept = pool.run(ran.append, "kept")
    taken_back.cancel()
    gate.opened.set()
    await kept
    assert ran == ["kept"]
    assert await blocking == "answer"


@pytest.mark.parametrize("ends", [lambda gate: gate("late"), lambda gate: fail(ValueError(gate("late")))])
async def test_a_call_taken_back_while_it_runs_is_forgotten(pool: WorkerPool, ends: Callable[[Gate], object]) -> None:
    gate, errors = Gate(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
    future = pool.run(ends, gate)
    await gate.wait_until_entered()
    future.cancel()
    gate.opened.set()
    assert await pool.run(str, 5) == "5"
    assert future.cancelled()
    assert not errors


async def test_close_waits_for_all_that_was_submitted() -> None:
    pool = WorkerPool(threads=2, name="closing")
    gates = [Gate(), Gate()]
    order: list[str] = []
    futures = [pool.run(gate, "answer") for gate in gates]
    for gate in gates:
        await gate.wait_until_entered()
    futures += [pool.run(order.append, "submitted") for _ in range(20)]

    def close() -> None:
        assert pool.close(timeout_seconds=SECONDS)
        order.append("closed")

    closing = asyncio.get_running_loop().run_in_executor(None, close)
    for gate in gates:
        gate.opened.set()
    await closing
    assert order == ["submitted"] * 20 + ["closed"]
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("closing")]
    assert await asyncio.gather(*futures) == ["answer"] * 2 + [None] * 20


async def test_close_does_not_wait_for_ever_and_says_so() -> None:
    pool, gate = WorkerPool(threads=2, name="hanging"), Gate()
    future = pool.run(gate, "late")
    await gate.wait_until_entered()
    assert not pool.close(timeout_seconds=0.0)
    gate.opened.set()
    assert await future == "late"


async def test_an_idle_thread_keeps_neither_arguments_nor_results_alive(pool: WorkerPool) -> None:
    class Image:
        def itself(self) -> Image:
            return self

    image, gone = Image(), threading.Event()
    weakref.finalize(image, gone.set)
    await pool.run(Image.itself, image)
    del image
    assert await asyncio.to_thread(gone.wait, SECONDS), "a thread that waits for calls holds on to the last one"


@pytest.mark.parametrize("error", [SystemExit, MemoryError, Odd])
async def test_a_thread_that_dies_fails_the_call_it_held_and_is_reported_and_replaced(
    error: type[BaseException],
) -> None:
    deaths: list[BaseException] = []
    pool = WorkerPool(threads=1, name="mortal", on_death=deaths.append)
    for count in (1, 2):
        victim = await pool.run(threading.current_thread)
        lost, next_in_line = run_deadly(pool, error()), pool.run(threading.current_thread)
        with pytest.raises(RuntimeError, match=f"the thread {victim.name} died: {error.__name__}"):
            await lost
        assert [type(death.__cause__) for death in deaths] == [error] * count
        successor = await next_in_line
        assert successor is not victim
        assert successor.name != victim.name
        victim.join(SECONDS)
        assert not victim.is_alive()
    assert pool.close(timeout_seconds=SECONDS)


async def test_whenever_threads_die_no_call_is_left_unanswered() -> None:
    """Under load, one after the other and at once: each call has its own result, but for those that killed."""
    deaths: list[BaseException] = []
    pool = WorkerPool(threads=3, name="three", on_death=deaths.append)
    chance = random.Random(0)
    for _ in range(50):
        deadly = [chance.random() < 0.2 for _ in range(20)]
        futures = [run_deadly(pool, Odd()) if kills else pool.run(int, number) for number, kills in enumerate(deadly)]
        results = await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), SECONDS)
        for number, (kills, result) in enumerate(zip(deadly, results, strict=True)):
            assert isinstance(result, RuntimeError) if kills else result == number
        assert len(deaths) == sum(deadly)
        deaths.clear()
    assert pool.close(timeout_seconds=SECONDS)


async def test_an_odd_exception_of_a_call_is_the_calls_and_the_thread_lives(pool: WorkerPool) -> None:
    thread = await pool.run(threading.current_thread)
    with pytest.raises(Odd):
        await pool.run(fail, Odd())
    assert await pool.run(threading.current_thread) is thread


async def test_a_death_of_which_nobody_wants_to_know_is_no_secret() -> None:
    told: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    pool = WorkerPool(threads=1, name="mortal")
    with pytest.raises(RuntimeError):
        await run_deadly(pool, Odd())
    assert await pool.run(str, 5) == "5"
    assert [str(context["exception"]) for context in told] == ["the thread mortal-0 died: Odd()"]
    assert pool.close(timeout_seconds=SECONDS)


async def test_when_no_thread_can_be_started_in_its_place_the_death_is_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deaths: list[BaseException] = []
    failures: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
    pool = WorkerPool(threads=1, name="mortal", on_death=deaths.append)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="died"):
        await run_deadly(pool, Odd())
    assert len(deaths) == len(failures) == 1


def test_a_thread_that_outlives_its_loop_ends_in_silence() -> None:
    """There is nobody left to be told."""
    gate = Gate()
    errors: list[object] = []

    async def start() -> threading.Thread:
        pool = WorkerPool(threads=1, name="late", on_death=errors.append)
        pool.run(gate)
        await gate.wait_until_entered()
        return pool._threads[0]

    thread = asyncio.run(start())
    gate.opened.set()
    thread.join(SECONDS)
    assert not thread.is_alive()
    assert errors == []


async def test_a_thread_that_stays_in_one_call_is_found_and_one_that_goes_on_is_not(pool: WorkerPool) -> None:
    assert [pool.find_stuck(2) for _ in range(5)] == [None] * 5  # it is idle
    gate = Gate()
    stuck = pool.run(gate)
    await gate.wait_until_entered()
    assert [pool.find_stuck(2) for _ in range(4)] == [None, None, "one-0", "one-0"]
    gate.opened.set()
    await stuck
    for _ in range(5):
        busy = Gate()
        running = pool.run(busy)
        await busy.wait_until_entered()
        assert pool.find_stuck(2) is None
        busy.opened.set()
        await running
