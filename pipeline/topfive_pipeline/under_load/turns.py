"""In which order two servers are put under load, so that what else the machine does meets both alike. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

Cell = TypeVar("Cell")
Side = TypeVar("Side")


def turns(cells: Sequence[Cell], sides: tuple[Side, Side], *, rounds: int) -> Iterator[tuple[int, Cell, Side]]:
    """Every load, as the number of its round from 0, its cell, and whose turn it is.

    Within a cell the two come right after each other; who begins changes from round to round: A B, B A. A drift in time
    that is a straight line so cancels within every two rounds (the order ABBA of experimental design).
    """
    first, second = sides
    for number in range(rounds):
        for cell in cells:
            yield number, cell, first
            yield number, cell, second
        first, second = second, first
