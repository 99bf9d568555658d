from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from topfive_pipeline.proof.answers import fault_of

LABELS = ("ant", "bee", "cat")


def answer(indices: Sequence[int], probabilities: Sequence[float], classes: Sequence[str]) -> dict[str, Any]:
    return {
        "indices": np.array([indices], np.int64),
        "probabilities": np.array([probabilities], np.float32),
        "classes": np.array([classes], object),
    }


@pytest.mark.parametrize(
    "right",
    [
        answer([2, 0, 1], [0.5, 0.3, 0.2], ["cat", "ant", "bee"]),
        answer([1, 0], [0.5, 0.5], ["bee", "ant"]),
        answer([1, 0, 2], [0.9, 0.8, 0.0], ["bee", "ant", ""]),
        answer([0], [1.0005], ["ant"]),
    ],
    ids=["ordered", "equal", "left out", "rounded"],
)
def test_what_is_right_has_no_fault(right: dict[str, Any]) -> None:
    assert fault_of(right, LABELS) is None
    assert fault_of(right, None) is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (answer([0, 1], [np.nan, 0.1], ["ant", "bee"]), "not a finite number"),
        (answer([0, 1], [np.inf, 0.1], ["ant", "bee"]), "not a finite number"),
        (answer([0, 1], [7.5, -2.0], ["ant", "bee"]), "lie between -2 and 7.5, so they are no probabilities"),
        (answer([0, 1], [0.2, 0.8], ["ant", "bee"]), "not in the order"),
        (answer([0, 0], [0.5, 0.5], ["ant", "ant"]), "or one is there twice"),
    ],
)
def test_numbers_that_are_no_answer_are_found_out_without_labels_too(wrong: dict[str, Any], words: str) -> None:
    assert words in str(fault_of(wrong, LABELS))
    assert fault_of(wrong, None) == fault_of(wrong, LABELS)


@pytest.mark.parametrize("index", [1, 3, -1])
def test_a_label_that_is_not_its_line_is_found_out(index: int) -> None:
    fault = fault_of(answer([index], [0.5], ["ant"]), LABELS)
    assert fault == f"index {index} bears the label 'ant', which is not that line of labels.txt"
