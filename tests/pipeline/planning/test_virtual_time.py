"""An hour passes in no time, in order; and what would never end is an error, not a hang."""

from __future__ import annotations

import asyncio

import pytest

from topfive_pipeline.planning.virtual_time import VirtualClock, VirtualLoop, simulate


def test_an_hour_passes_at_once_and_in_order() -> None:
    seen: list[tuple[str, float]] = []

    async def work(loop: VirtualLoop) -> float:
        clock = VirtualClock(loop)
        clock.call_at(1800.0, lambda: seen.append(("alarm", clock.now())))
        await asyncio.sleep(3600)
        return clock.now()

    assert simulate(work) == pytest.approx(3600)
    assert [name for name, _ in seen] == ["alarm"]
    assert seen[0][1] == pytest.approx(1800)


def test_what_no_timer_will_bring_is_an_error() -> None:
    async def work(loop: VirtualLoop) -> None:
        await loop.create_future()

    with pytest.raises(RuntimeError, match="waits for something that will not come"):
        simulate(work)


def test_an_alarm_that_is_taken_back_does_not_ring() -> None:
    async def work(loop: VirtualLoop) -> list[float]:
        rung: list[float] = []
        VirtualClock(loop).call_at(1.0, lambda: rung.append(loop.time())).cancel()
        await asyncio.sleep(2)
        return rung

    assert simulate(work) == []
