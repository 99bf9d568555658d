"""The batch size that pays is the smallest that no larger one beats clearly, whatever the machine does meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from topfive.backends.sizing import find_batch_size_that_pays


async def _found(seconds: Callable[[int], float], *, most: int = 16) -> tuple[int, list[int]]:
    """The size, and all sizes that were measured, in their order."""
    measured = []

    async def measure(size: int) -> float:
        measured.append(size)
        return seconds(size)

    return await find_batch_size_that_pays(measure, max_batch_size=most), measured


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (lambda size: 0.1 * size, 1),  # 1 ms for the hand-over is nothing beside it
        (lambda size: 0.005 * size, 8),  # and here it is: a sixth of the cost at 1, a fortieth at 8
        (lambda size: 0.02 + 0.001 * size, 16),
        (lambda size: 0.01 * size * (1 if size < 4 else 2), 1),
        (lambda size: 0.01 * size * (0.8 if size == 4 else 1), 4),  # though 2 does not pay
    ],
)
async def test_a_larger_batch_pays_if_it_is_clearly_cheaper(seconds: Callable[[int], float], expected: int) -> None:
    assert (await _found(seconds))[0] == expected


async def test_sizes_that_cannot_pay_are_never_run() -> None:
    """Their memory would be taken for nothing."""
    size, measured = await _found(lambda size: 0.1 * size)
    assert (size, set(measured)) == (1, {1, 2, 4})
    assert set((await _found(lambda size: 0.1, most=3))[1]) == {1, 2}


async def test_a_busy_moment_hits_all_sizes_alike() -> None:
    """For some time everything takes three times as long: with each size in a row, one of them would seem dear."""
    calls = 0

    def seconds(size: int) -> float:
        nonlocal calls
        calls += 1
        return 0.1 * size * (3 if calls <= 6 else 1)

    assert (await _found(seconds))[0] == 1


async def test_larger_sizes_are_held_against_the_best_one_of_the_same_time() -> None:
    """The machine was busy until the larger sizes had their turn: against what was measured then, all of them paid."""
    an_image = {1: 0.12, 2: 0.11, 4: 0.1}
    calls = 0

    def seconds(size: int) -> float:
        nonlocal calls
        calls += 1
        return size * an_image.get(size, 0.099) * (1.3 if calls <= 9 else 1)

    assert (await _found(seconds))[0] == 4
