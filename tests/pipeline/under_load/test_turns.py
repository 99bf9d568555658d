"""In which order two servers are put under load."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from topfive_pipeline.under_load.turns import turns

cells = st.lists(st.integers(), min_size=1, max_size=6, unique=True)


@given(cells, st.integers(min_value=1, max_value=6))
def test_both_come_one_right_after_the_other_in_every_cell_of_every_round(found: list[int], rounds: int) -> None:
    order = list(turns(found, ("A", "B"), rounds=rounds))
    pairs = list(zip(order[::2], order[1::2], strict=True))
    assert [(one[0], one[1]) for one, _ in pairs] == [(number, cell) for number in range(rounds) for cell in found]
    assert all(one[:2] == other[:2] and {one[2], other[2]} == {"A", "B"} for one, other in pairs)


@given(cells, st.integers(min_value=1, max_value=3))
def test_a_drift_that_is_a_straight_line_cancels_within_two_rounds(found: list[int], half: int) -> None:
    """The mean time at which each of both has its turn is the same, in every cell."""
    order = list(turns(found, ("A", "B"), rounds=2 * half))
    for cell in found:
        at = {side: [time for time, turn in enumerate(order) if turn[1:] == (cell, side)] for side in "AB"}
        assert sum(at["A"]) == sum(at["B"])
