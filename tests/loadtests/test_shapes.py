"""Users as a function of time: never more than there may be, never none, and over when it is over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.shapes import SHAPES, Shape, ShapeSize, users_at

PLANS = st.builds(ShapeSize, users=st.integers(1, 500), seconds=st.floats(1, 3600))


@given(st.sampled_from(list(SHAPES)), PLANS, st.floats(0, 1, exclude_max=True))
def test_there_is_always_somebody_and_never_more_than_the_most(shape: Shape, plan: ShapeSize, part: float) -> None:
    users = users_at(shape, part * plan.seconds, plan)
    assert users is not None
    assert 1 <= users <= plan.users


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_ends(shape: Shape) -> None:
    assert users_at(shape, 60.0, ShapeSize(users=8, seconds=60.0)) is None


def test_a_spike_is_calm_then_high_then_calm() -> None:
    plan = ShapeSize(users=32, seconds=60.0)
    assert [users_at("spike", at, plan) for at in (0, 19, 20, 39, 40, 59)] == [4, 4, 32, 32, 4, 4]


def test_a_soak_is_always_the_same() -> None:
    plan = ShapeSize(users=4, seconds=600.0)
    assert {users_at("soak", at, plan) for at in range(600)} == {4}


def test_a_ramp_adds_one_at_a_time_until_all_are_there() -> None:
    plan = ShapeSize(users=8, seconds=80.0)
    counts = [users_at("ramp", float(at), plan) for at in range(80)]
    assert sorted(counts, key=str) == counts
    assert set(counts) == set(range(1, 9))
