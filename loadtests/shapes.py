"""The shapes (spike, soak, ramp): the number of users as a function of time. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

Shape = Literal["spike", "soak", "ramp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeSize:
    """A shape's size: the most users, and how long it lasts."""

    users: int
    seconds: float


def spike(at: float, plan: ShapeSize) -> int:
    """A third of the time with an eighth of the users, a third with all users, and a third to recover."""
    calm = max(1, plan.users // 8)
    return plan.users if plan.seconds / 3 <= at < plan.seconds * 2 / 3 else calm


def soak(at: float, plan: ShapeSize) -> int:  # all shapes have the same parameters
    """All users, all the time, to show leaks."""
    return plan.users


def ramp(at: float, plan: ShapeSize) -> int:
    """One user more at equal intervals, up to all users; saturation is where throughput stops growing."""
    return min(plan.users, 1 + int(at / plan.seconds * plan.users))


SHAPES: Final[dict[Shape, Callable[[float, ShapeSize], int]]] = {"spike": spike, "soak": soak, "ramp": ramp}
SIZES: Final[dict[Shape, ShapeSize]] = {
    "spike": ShapeSize(users=32, seconds=60.0),
    "soak": ShapeSize(users=4, seconds=600.0),
    "ramp": ShapeSize(users=32, seconds=96.0),
}
"""The default size of each shape."""


def users_at(shape: Shape, at: float, plan: ShapeSize) -> int | None:
    """The number of users `at` seconds after the beginning; None after the end."""
    return SHAPES[shape](at, plan) if at < plan.seconds else None
