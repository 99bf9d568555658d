"""Whether the int8 graph that lies beside a graph answers like it, by and large: one of another model would not.

What does not live here: what it loses, which takes labelled photos and `judging`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from topfive.repository.reading import StoredModel
from topfive_pipeline.proof.running import Graph
from topfive_pipeline.proof.verdict import Finding

STEP: Final = "int8"
_LEAST: Final = 0.5
"""The share of images with the same first label, below which the two are hardly of one network."""


def int8_of(original: Graph, classifier: StoredModel) -> Graph | None:
    """The int8 graph that lies beside `original`, a graph of `classifier`, on its engine; None if there is none."""
    path = original.path.with_name(classifier.config.int8_filename or original.path.name)
    if path == original.path or not path.is_file():
        return None
    return Graph(path, engine=original.engine, precision=original.precision)


def compare(original: Graph, int8: Graph, crops: Sequence[NDArray[Any]]) -> Finding:
    """Compare the first labels and their probabilities for `crops`, each UINT8 [1, h, w, 3]."""
    same, largest = 0, 0.0
    for crop in crops:
        one, other = (graph.named(crop) for graph in (original, int8))
        if one["indices"][0, 0] == other["indices"][0, 0]:
            same += 1
            largest = max(largest, float(np.abs(one["probabilities"][0, 0] - other["probabilities"][0, 0])))
    said = f"{int8.path.name}: the same first label as {original.path.name} on {same} of {len(crops)} images"
    if same < _LEAST * len(crops):
        return Finding(STEP, False, f"{said}; is it of this network? `topfive optimise NAME --as beside` makes one")
    return Finding(STEP, True, f"{said}, whose probability moves by at most {largest:.3f}")
