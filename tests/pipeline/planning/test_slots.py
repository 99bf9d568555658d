"""A batch takes what was measured, or what lies between two that were."""

from __future__ import annotations

import pytest

from tests.pipeline.planning.given import costs
from topfive_pipeline.planning.slots import batch_seconds


@pytest.mark.parametrize(("images", "seconds"), [(0, 0.0), (1, 0.010), (2, 0.016), (3, 0.022), (4, 0.028), (8, 0.056)])
def test_between_two_sizes_it_is_a_straight_line(images: int, seconds: float) -> None:
    measured = costs(batch_seconds={1: 0.010, 2: 0.016, 4: 0.028}, batch_size_that_pays=4)
    assert batch_seconds(measured, images) == pytest.approx(seconds)


def test_below_the_smallest_size_it_is_in_proportion() -> None:
    assert batch_seconds(costs(batch_seconds={4: 0.04}, batch_size_that_pays=4), 1) == pytest.approx(0.01)
