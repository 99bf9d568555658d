from __future__ import annotations

import numpy as np
import pytest

from topfive_pipeline.proof.scores import probabilities


def test_softmax_does_not_overflow() -> None:
    found = probabilities(np.array([[1000.0, 1000.0, -1000.0]], np.float32), kind="softmax")
    assert found == pytest.approx(np.array([[0.5, 0.5, 0.0]]))
    assert found.dtype == np.float64


def test_the_other_kinds() -> None:
    assert probabilities(np.zeros((1, 3)), kind="sigmoid").tolist() == [[0.5, 0.5, 0.5]]
    assert probabilities(np.log([[0.25, 0.75]]), kind="exp") == pytest.approx(np.array([[0.25, 0.75]]))
    assert probabilities(np.array([[0.2, 0.8]]), kind="as-is").tolist() == [[0.2, 0.8]]


def test_one_column_stands_for_the_second_of_two_classes() -> None:
    assert probabilities(np.array([[0.2]]), kind="as-is").tolist() == [[0.8, 0.2]]


def test_spatial_ones_are_dropped_and_half_is_taken() -> None:
    found = probabilities(np.zeros((2, 4, 1, 1), np.float16), kind="softmax")
    assert found.tolist() == [[0.25] * 4] * 2


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match="no kind of scores 'max'"):
        probabilities(np.zeros((1, 2)), kind="max")
