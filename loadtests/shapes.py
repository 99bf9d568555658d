"""How the number of users changes over time: spike, soak, and ramp to saturation.

What lives here: users as a function of time, pure, and the class by which Locust asks for it.
"""

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
    """A quiet third with an eighth of the users, a third with all of them at once, and a third to recover in."""
    calm = max(1, plan.users // 8)
    return plan.users if plan.seconds / 3 <= at < plan.seconds * 2 / 3 else calm


def soak(at: float, plan: ShapeSize) -> int:  # all shapes are asked alike
    """All users, all the time: what leaks shows."""
    return plan.users


def ramp(at: float, plan: ShapeSize) -> int:
    """One user more at a time, evenly, until all are there: where throughput stops to grow is saturation."""
    return min(plan.users, 1 + int(at / plan.seconds * plan.users))


SHAPES: Final[dict[Shape, Callable[[float, ShapeSize], int]]] = {"spike": spike, "soak": soak, "ramp": ramp}
SIZES: Final[dict[Shape, ShapeSize]] = {
    "spike": ShapeSize(users=32, seconds=60.0),
    "soak": ShapeSize(users=4, seconds=600.0),
    "ramp": ShapeSize(users=32, seconds=96.0),
}
"""What a shape is unless it is told otherwise."""


def users_at(shape: Shape, at: float, plan: ShapeSize) -> int | None:
    """How many users there are so many seconds after the beginning; None when it is over."""
    return SHAPES[shape](at, plan) if at < plan.seconds else None
