"""Turns a batch's outputs into a row for each image, and checks them: pure functions, for any thread.

What lives here: the check of the values, the same for every backend. What does not: shapes and datatypes.

If a graph puts out numbers that are no probabilities, it has failed on its images: an error is better than an answer
that cannot be right. The probabilities of one image may add up to more than 1: if several labels can be true, each has
a probability of its own. Outputs beside the three of a classifier are not checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any, Final

from numpy.typing import NDArray

from topfive.backends.base import Row
from topfive.ground.errors import BackendFailure

_TOLERANCE: Final = 0.01
"""More than rounding can change, even in numbers of 16 bits."""


def rows_of(names: Sequence[str], outputs: Sequence[NDArray[Any]]) -> list[Row]:
    """For each image its outputs by name; raises `BackendFailure` if they cannot be those of a classifier."""
    by_name = dict(zip(names, outputs, strict=True))
    # Lists, as these are few numbers: after a run the caches are cold, and numpy's reductions took 0.1 ms here.
    values = by_name["probabilities"].ravel().tolist()
    index = min(by_name["indices"].ravel().tolist(), default=0)
    total = sum(values)  # NaN if one of them is, which `min` and `max` may pass over
    least, most = (total, total) if isnan(total) else (min(values, default=0), max(values, default=0))
    if not (least >= -_TOLERANCE and most <= 1 + _TOLERANCE):  # written so that NaN fails too
        raise BackendFailure(
            f"the graph put out what cannot be probabilities: the least is {least:g}, the greatest {most:g}"
        )
    if index < 0:
        raise BackendFailure(f"the graph put out an index below zero: {index}")
    return [dict(zip(names, row, strict=True)) for row in zip(*outputs, strict=True)]


def first_of(row: Row) -> tuple[str, int, float]:
    """An image's first label, its class and its probability; empty, 0 and 0 if the graph put out no label for it.

    A place whose label is empty holds no answer.
    """
    labels, at = row["classes"], 0
    if not len(labels) or not labels[0]:
        at = next((at for at, label in enumerate(labels.tolist()) if label), -1)
        if at < 0:
            return "", 0, 0.0
    return str(labels[at]), int(row["indices"][at]), float(row["probabilities"][at])
