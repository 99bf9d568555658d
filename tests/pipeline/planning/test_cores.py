"""Threads of a core share it evenly; no work is lost, none is done twice, and no core idles while another is shared."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive_pipeline.planning.cores import Cores
from topfive_pipeline.planning.virtual_time import VirtualLoop, simulate

Work = list[tuple[float, float, int]]
"""When it begins, its seconds, its threads."""


def ended(
    number: int, work: Work, first: list[tuple[float, float]] | None = None, misplaced: float = 0.0
) -> tuple[list[float], float, float]:
    """When each piece of `work` ended on so many cores, beside what goes `first`; the core seconds; the last second."""

    async def run(loop: VirtualLoop) -> tuple[list[float], float, float]:
        cores, ends, left = Cores(loop, number=number, misplaced=misplaced), [0.0] * len(work), loop.create_future()
        todo = len(work) + len(first or [])

        def over(place: int | None) -> None:
            nonlocal todo
            if place is not None:
                ends[place] = loop.time()
            todo -= 1
            if not todo:
                left.set_result(None)

        for place, (at, seconds, threads) in enumerate(work):
            loop.call_at(at, lambda p=place, s=seconds, t=threads: cores.run(s, lambda: over(p), threads=t))  # type: ignore[misc]
        for at, seconds in first or []:
            loop.call_at(at, lambda s=seconds: cores.run_first(s, lambda: over(None)))  # type: ignore[misc]
        await left
        return ends, cores.busy_seconds, loop.time()

    return simulate(run)


def test_two_threads_on_one_core_take_twice_as_long() -> None:
    ends, busy, _ = ended(1, [(0.0, 1.0, 1), (0.0, 1.0, 1)])
    assert ends == pytest.approx([2.0, 2.0])
    assert busy == pytest.approx(2.0)


def test_a_thread_has_no_more_than_one_core() -> None:
    assert ended(4, [(0.0, 1.0, 1)])[0] == pytest.approx([1.0])


def test_who_comes_later_slows_the_others_only_while_it_runs() -> None:
    """One core: the first alone for 1 s, both for 1 s (half a second each), then the first alone again."""
    assert ended(1, [(0.0, 2.0, 1), (1.0, 0.5, 1)])[0] == pytest.approx([2.5, 2.0])


def test_work_of_several_threads_takes_its_cores() -> None:
    """Two cores for two threads and one more: all three go at two thirds, since the core that ends first helps."""
    assert ended(2, [(0.0, 1.0, 2), (0.0, 1.0, 1)])[0] == pytest.approx([1.5, 1.5])


def test_work_of_more_threads_than_there_are_cores_shares_them() -> None:
    assert ended(2, [(0.0, 1.0, 4)])[0] == pytest.approx([2.0])


def test_a_core_that_becomes_idle_takes_over_a_thread_that_shares_another() -> None:
    """Two cores, three threads: two share one for a second, until the short one has ended on the other."""
    assert ended(2, [(0.0, 2.0, 1), (0.0, 1.0, 1), (0.0, 2.0, 1)])[0] == pytest.approx([2.5, 1.0, 2.5])


def test_what_goes_first_does_not_hide_who_shares_a_core() -> None:
    """Three cores: when the third becomes idle, the first has a thread and what goes first, the second two threads."""
    work = [(0.0, 1.0, 1), (0.01, 1.0, 1), (0.02, 0.18, 1), (0.1, 1.0, 1)]
    ends, *_ = ended(3, work, first=[(0.05, 0.9)])
    assert ends[1] == pytest.approx(1.06)  # shared from 0.1 to 0.2
    assert ends[3] == pytest.approx(1.15)


def test_a_thread_that_is_misplaced_shares_a_core_while_another_is_idle() -> None:
    """Of many pairs of threads on two cores, half are put on one, and stay there."""
    work = [(3.0 * place, 1.0, 1) for place in range(200) for _ in range(2)]

    def late(misplaced: float) -> float:
        ends, *_ = ended(2, work, misplaced=misplaced)
        return sum(end - at > 1.5 for end, (at, *_) in zip(ends, work, strict=True)) / len(work)

    assert late(1.0) == pytest.approx(0.5, abs=0.1)
    assert late(0.0) == 0


def test_who_goes_on_keeps_its_core() -> None:
    """Two threads on two cores, of which each goes on a hundred times: misplaced is only who is woken."""

    async def run(loop: VirtualLoop) -> float:
        cores, left, done = Cores(loop, number=2, misplaced=1.0), [100, 100], loop.create_future()

        def go_on(thread: int) -> None:
            left[thread] -= 1
            if left[thread] >= 0:
                cores.run(0.01, lambda: go_on(thread))
            elif max(left) < 0:
                done.set_result(None)

        def begin() -> None:
            for thread in range(2):
                go_on(thread)

        cores.run(0.01, begin, threads=2)
        await done
        return loop.time()

    assert simulate(run) == pytest.approx(1.01)


def test_what_goes_first_waits_for_nobody() -> None:
    """The only core is taken for half a second; the thread goes on then, but for the little that it always has."""
    ends, *_ = ended(1, [(0.0, 1.0, 1)], first=[(0.25, 0.5)])
    assert ends == pytest.approx([1.5 - 0.05 * 0.5])


@given(
    number=st.integers(1, 4),
    work=st.lists(st.tuples(st.floats(0, 3), st.floats(0.001, 2), st.just(1)), min_size=1, max_size=12),
)
def test_all_is_done_and_no_core_idles_beside_work(number: int, work: Work) -> None:
    ends, busy, last = ended(number, work)
    assert busy == pytest.approx(sum(seconds for _, seconds, _ in work))
    for end, (at, seconds, _) in zip(ends, work, strict=True):
        assert end >= at + seconds - 1e-9
    # From the last arrival on, work is left and is done by as many cores as there is work for.
    assert last <= max(at for at, *_ in work) + sum(seconds for _, seconds, _ in work) + 1e-9


def test_cores_that_nobody_uses_need_no_timer() -> None:
    async def run(loop: VirtualLoop) -> float:
        Cores(loop, number=2)
        await asyncio.sleep(1)
        return loop.time()

    assert simulate(run) == pytest.approx(1.0)
