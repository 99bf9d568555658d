"""Loading has threads and a time limit of its own, says that it goes on, and leaves behind what does not end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.testkit.fakes import FakeClock, settle
from topfive.backends.bounded_loading import BoundedLoading
from topfive.ground.errors import BackendMismatch, ConfigurationError
from topfive.machine.workers import WorkerPool


async def test_what_ends_in_time_is_given_back_and_its_threads_end() -> None:
    async def load(pool: WorkerPool) -> str:
        return await pool.run(lambda: threading.current_thread().name)

    bounded = BoundedLoading(seconds=10.0, clock=FakeClock())
    assert await bounded.run("a load", load) == "load-0"
    assert not [thread for thread in threading.enumerate() if thread.name == "load-0"]
    assert not bounded.left_behind


async def test_an_error_is_passed_on() -> None:
    async def load(pool: WorkerPool) -> None:
        await pool.run(int, "seven")

    with pytest.raises(ValueError, match="seven"):
        await BoundedLoading().run("a load", load)


async def test_a_thread_that_does_not_come_back_is_left_behind_and_known(caplog: pytest.LogCaptureFixture) -> None:
    """The others go on; when it comes back after all, it is forgotten."""
    clock, entered, opened = FakeClock(), threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        opened.wait()

    async def load(pool: WorkerPool) -> None:
        await pool.run(hang)

    bounded = BoundedLoading(seconds=0.125, clock=clock)  # of which the real second part is the thread's grace
    loading = asyncio.create_task(bounded.run("the load", load))
    assert await asyncio.to_thread(entered.wait, 30)
    await settle()
    clock.advance(0.125)
    with pytest.raises(ConfigurationError, match=r"the load did not end within 0\.125 s"):
        await loading
    assert "the load cannot be ended: a thread is left behind" in caplog.text
    assert bounded.left_behind
    opened.set()
    while bounded.left_behind:  # noqa: ASYNC110  # no event tells of a thread that has ended
        await asyncio.sleep(0)


async def test_work_that_is_given_up_is_cancelled_first_and_its_owner_may_say_what_it_means() -> None:
    clock, ended = FakeClock(), []

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(True)

    task = asyncio.create_task(BoundedLoading(seconds=25.0, clock=clock).within("it", work(), too_long=BackendMismatch))
    for seconds in (10.0, 10.0, 5.0):
        assert not ended
        await settle()
        clock.advance(seconds)
    with pytest.raises(BackendMismatch):
        await task
    assert ended


async def test_who_is_cancelled_takes_the_work_along() -> None:
    began = asyncio.Event()
    ended = asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    task = asyncio.create_task(BoundedLoading(seconds=25.0, clock=FakeClock()).within("it", work()))
    await began.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert ended.is_set()
