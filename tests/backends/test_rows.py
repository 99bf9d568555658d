"""A row for each image, where what the graph put out can be labels with their probabilities; else no row at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from topfive.backends.rows import first_of, rows_of
from topfive.ground.errors import BackendFailure

NAMES = ("classes", "probabilities", "indices", "embedding")
ANYTHING = np.array([[np.nan, -1e9], [np.inf, 7.0]], np.float32)
"""A further output, which means what it means."""


def rows(probabilities: object, indices: object = ((0, 1), (2, 3))) -> list[object]:
    classes = np.array([["a", "b"], ["c", "d"]], np.object_)
    return list(rows_of(NAMES, [classes, np.array(probabilities, np.float32), np.array(indices, np.int64), ANYTHING]))


@pytest.mark.parametrize(
    "probabilities",
    [
        [[0.9, 0.1], [0.0, 0.0]],
        [[1.0, 0.0], [0.5, 0.5]],
        [[1.0005, 0.0], [0.5004, 0.5001]],  # as half precision rounds
        [[1.0, -1e-7], [0.5, 0.5]],
        [[0.9, 0.8], [1.0, 1.0]],  # of labels of which several can be true
    ],
)
def test_what_can_be_probabilities_is_answered_as_it_is(probabilities: list[list[float]]) -> None:
    first, second = rows(probabilities)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert (list(first), first["classes"].tolist(), second["indices"].tolist()) == (list(NAMES), ["a", "b"], [2, 3])
    shown = [first["probabilities"], second["probabilities"]]
    np.testing.assert_array_equal(shown, np.array(probabilities, np.float32))
    np.testing.assert_array_equal([first["embedding"], second["embedding"]], ANYTHING)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -0.1, 1.1, 255.0])
@pytest.mark.parametrize("place", [(0, 0), (1, 1)])
def test_what_cannot_be_is_a_failure_wherever_it_stands(bad: float, place: tuple[int, int]) -> None:
    probabilities = np.zeros((2, 2), np.float32)
    probabilities[place] = bad
    with pytest.raises(BackendFailure, match="what cannot be probabilities"):
        rows(probabilities)


def test_an_index_is_not_below_zero() -> None:
    with pytest.raises(BackendFailure, match="an index below zero: -7"):
        rows([[0.5, 0.1], [0.6, 0.1]], [[0, 1], [2, -7]])


@given(arrays(np.float32, st.tuples(st.integers(0, 4), st.integers(0, 6)), elements=st.floats(0, 1, width=32)))
def test_whatever_is_between_nothing_and_all_is_answered(shares: NDArray[np.float32]) -> None:
    blank = np.zeros(shares.shape, np.int64)
    assert len(rows_of(NAMES[:3], [blank, shares, blank])) == len(shares)


@pytest.mark.parametrize(
    ("labels", "first"),
    [
        (["a", "b"], ("a", 3, 0.75)),
        (["", "b"], ("b", 5, 0.25)),  # a place whose label is empty holds no answer
        (["", ""], ("", 0, 0.0)),
        ([], ("", 0, 0.0)),
    ],
)
def test_the_first_label_is_that_of_the_first_place_with_one(labels: list[str], first: tuple[str, int, float]) -> None:
    count = len(labels)
    row = {
        "classes": np.array(labels, np.object_),
        "probabilities": np.array([0.75, 0.25][:count], np.float32),
        "indices": np.array([3, 5][:count]),
    }
    assert first_of(row) == first
