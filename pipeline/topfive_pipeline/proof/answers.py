"""What is wrong with a classifier's answer, whoever made the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

NO_LABEL: Final = ""
"""Stands where the probability is below a threshold; such a place is no answer."""
_OUTPUTS: Final = ("indices", "probabilities", "classes")
_ROUNDING: Final = 1e-3


def fault_of(answer: Mapping[str, NDArray[Any]], labels: Sequence[str] | None) -> str | None:
    """What is wrong with the outputs for the first image of a batch; None if nothing is.

    `labels`: all labels in the order of the indices, if they are known.
    """
    if missing := [name for name in _OUTPUTS if name not in answer]:
        return f"the graph has no output '{missing[0]}'"
    chosen, found, classes = (answer[name][0] for name in _OUTPUTS)
    if not np.isfinite(found).all():
        return "a probability is not a finite number"
    if found.min() < -_ROUNDING or found.max() > 1 + _ROUNDING:
        return (
            f"the scores lie between {found.min():g} and {found.max():g}, so they are no probabilities; say what makes "
            "some of them: --scores softmax or sigmoid"
        )
    if (np.diff(found) > 0).any() or len(set(chosen.tolist())) != len(chosen):
        return "the labels are not in the order of their probabilities, or one is there twice"
    if labels is None:
        return None
    for place, label in enumerate(classes.tolist()):
        if label != NO_LABEL and (chosen[place] >= len(labels) or label != labels[chosen[place]]):
            return f"index {chosen[place]} bears the label {label!r}, which is not that line of labels.txt"
    return None


def difference(answer: Mapping[str, NDArray[Any]], expected: NDArray[np.float64]) -> float:
    """The largest difference of a probability: of the answer's labels, and of the best that should be there."""
    chosen, found, classes = answer["indices"][0], answer["probabilities"][0], answer["classes"][0]
    present = np.array([label != NO_LABEL for label in classes.tolist()])
    best = np.sort(expected)[::-1][: len(found)]
    own = np.abs(expected[chosen] - found)[present]
    ranked = np.abs(best - found)[present]
    return float(max(own.max(initial=0.0), ranked.max(initial=0.0)))
