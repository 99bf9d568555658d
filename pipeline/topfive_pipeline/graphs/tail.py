"""Builds what stands behind a network: from its scores to the best labels with their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs.nodes import Nodes
from topfive_pipeline.graphs.scores import Scores

CLASSES: Final = "classes"
"""STRING [N,k]: labels, the most probable first."""
PROBABILITIES: Final = "probabilities"
"""FP32 [N,k]."""
INDICES: Final = "indices"
"""INT64 [N,k]: the places of the labels in the list."""
EMBEDDING: Final = "embedding"
"""FP32 [N,d]."""
NO_LABEL: Final = ""
"""Stands in `classes` where the probability is below the threshold."""
_TOPK_TAKES_K: Final = 10
"""The opset in which TopK takes k as an input; an attribute before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """An output with scores: its name, NumPy's `dtype`, its rank, and for how many classes it has them."""

    name: str
    dtype: str
    rank: int
    classes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """How scores become an answer: what makes probabilities of them, the labels, and how many at most.

    `top` None stands for 5, or for all with a `threshold`, below which a class is not named: for networks whose
    classes do not exclude one another.
    """

    scores: Scores
    labels: Sequence[str]
    top: int | None = None
    threshold: float | None = None

    @property
    def places(self) -> int:
        """How many places an answer has: never more than there are labels."""
        wanted = self.top if self.top is not None else 5 if self.threshold is None else len(self.labels)
        return min(wanted, len(self.labels))


def add_tail(nodes: Nodes, scored: Scored, ranking: Ranking) -> None:
    """Add the nodes from scores to `classes`, `probabilities` and `indices`.

    Raises `ConfigurationError` if the number of labels is another one than that of the scores.
    """
    check(scored, ranking)
    probabilities = _probabilities(nodes, scored, ranking)
    k = ranking.places
    best = PROBABILITIES if ranking.threshold is None else nodes.named("best")
    if nodes.opset < _TOPK_TAKES_K:
        nodes.add_several("TopK", probabilities, to=[best, INDICES], axis=1, k=k)
    else:
        nodes.add_several("TopK", probabilities, nodes.integers(k), to=[best, INDICES], axis=1)
    if ranking.threshold is None:
        nodes.add("Gather", nodes.strings(ranking.labels), INDICES, to=CLASSES, axis=0)
    else:
        _add_threshold(nodes, best, ranking)


def add_embedding(nodes: Nodes, value: str, *, dtype: str) -> None:
    """Add the output `embedding`: `value`, a row of floats for each image, whatever its further dimensions."""
    if dtype == "float32":
        nodes.add("Flatten", value, to=EMBEDDING, axis=1)
    else:
        nodes.cast(nodes.add("Flatten", value, axis=1), "float32", to=EMBEDDING)


def check(scored: Scored, ranking: Ranking) -> None:
    """Raise `ConfigurationError` unless the labels, `top` and `threshold` fit the scores."""
    labels = len(ranking.labels)
    if scored.classes == 1:
        if labels != 2:
            raise ConfigurationError(
                f"the network gives one score, of yes against no, and there are {labels} labels; give two, that "
                "for no first"
            )
        if ranking.scores == "softmax":
            raise ConfigurationError("a softmax over one score is always 1; say --scores sigmoid")
    elif labels != scored.classes:
        background = (
            "; if the first class is a background that no label stands for, put a line for it first"
            if labels == scored.classes - 1
            else ""
        )
        raise ConfigurationError(
            f"the network gives {scored.classes} scores, and there are {labels} labels; give one for each{background}"
        )
    if ranking.top is not None and ranking.top < 1:
        raise ConfigurationError(f"top is {ranking.top}; an answer has at least one place")
    if ranking.threshold is not None and not 0 < ranking.threshold < 1:
        raise ConfigurationError(f"threshold is {ranking.threshold}; a probability between 0 and 1 is needed")


def _probabilities(nodes: Nodes, scored: Scored, ranking: Ranking) -> str:
    """FP32 [N,k]."""
    value = scored.name
    if scored.rank > 2:
        value = nodes.add("Flatten", value, axis=1)
    if scored.dtype != "float32":
        value = nodes.cast(value, "float32")
    if ranking.scores == "softmax":
        value = nodes.add("Softmax", value, axis=1)
    elif ranking.scores == "sigmoid":
        value = nodes.add("Sigmoid", value)
    elif ranking.scores == "exp":
        value = nodes.add("Exp", value)
    if scored.classes == 1:
        other = nodes.add("Sub", nodes.constant(np.float32(1)), value)
        value = nodes.add("Concat", other, value, axis=1)
    return value


def _add_threshold(nodes: Nodes, best: str, ranking: Ranking) -> None:
    """Below the threshold, probabilities become 0 and labels `NO_LABEL`. There is no `Where` before opset 9."""
    below = nodes.add("Less", best, nodes.constant(np.float32(ranking.threshold)))
    kept = nodes.add("Sub", nodes.constant(np.float32(1)), nodes.cast(below, "float32"))
    nodes.add("Mul", best, kept, to=PROBABILITIES)
    # The place behind the last label holds NO_LABEL; an index below the threshold is moved there.
    missing = nodes.cast(below, "int64")
    named = nodes.add("Mul", INDICES, nodes.add("Sub", nodes.constant(np.int64(1)), missing))
    moved = nodes.add("Mul", missing, nodes.constant(np.int64(len(ranking.labels))))
    places = nodes.add("Add", named, moved)
    nodes.add("Gather", nodes.strings([*ranking.labels, NO_LABEL]), places, to=CLASSES, axis=0)
