"""From a batch's outputs to a row for each image, where they can be what they are called: pure, on any thread.

What lives here: that judgement, the same whatever ran the batch. What does not: shapes and datatypes (the backends).

A graph that puts out no probabilities, for an image that it cannot bear say, has failed on it: an answer that says so
is better than one that cannot be right. Those of an image may come to more than 1: where several labels can be true,
each has a probability of its own. Outputs beside the three of a classifier are not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from topfive.backends.base import Row
from topfive.ground.errors import BackendFailure

_TOLERANCE: Final = 0.01
"""Beyond what rounding does, also to numbers of 16 bits."""


def rows_of(names: Sequence[str], outputs: Sequence[NDArray[Any]]) -> list[Row]:
    """The outputs of each image, by name; raises `BackendFailure` if they cannot be those of a classifier."""
    by_name = dict(zip(names, outputs, strict=True))
    probabilities = by_name["probabilities"]
    # The ufuncs themselves: `min` and `max` would take twice as long to find them.
    index = np.minimum.reduce(by_name["indices"], axis=None, initial=0)
    least = np.minimum.reduce(probabilities, axis=None, initial=0)
    most = np.maximum.reduce(probabilities, axis=None, initial=0)
    if not (least >= -_TOLERANCE and most <= 1 + _TOLERANCE):  # so that it holds for NaN
        raise BackendFailure(
            f"the graph put out what cannot be probabilities: the least is {least:g}, the greatest {most:g}"
        )
    if index < 0:
        raise BackendFailure(f"the graph put out an index below zero: {index}")
    return [dict(zip(names, row, strict=True)) for row in zip(*outputs, strict=True)]
