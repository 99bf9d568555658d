"""Worker threads answer every call once: with its result, with its exception, or, taken back in time, not at all."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Final

import pytest

from service.workers import WorkerPool

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
