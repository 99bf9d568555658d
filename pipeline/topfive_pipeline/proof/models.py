"""What a proof looks at: the network as it was given, and the model that was written of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topfive_pipeline.preprocessing.reference import Layout, network_input
from topfive_pipeline.preprocessing.rules import Preprocessing
from topfive_pipeline.proof.running import Graph
from topfive_pipeline.proof.scores import probabilities

Progress = Callable[[str], None]
"""Is told what is being done."""


@dataclass(frozen=True, slots=True)
class Original:
    """The network as the user gave it: its file, and how its input and its scores are to be read."""

    graph: Graph
    output: str
    rules: Preprocessing
    layout: Layout
    scores: str

    def probabilities(self, crop: NDArray[np.uint8]) -> NDArray[np.float64]:
        """FP64 [k], all classes, for one crop UINT8 [h, w, 3]."""
        return self.probabilities_of(network_input(crop[np.newaxis], self.rules, layout=self.layout))

    def probabilities_of(self, tensor: NDArray[Any]) -> NDArray[np.float64]:
        """FP64 [k], all classes, for one input of the network, in its layout."""
        (scores,) = self.graph.run(tensor, self.output)
        chances: NDArray[np.float64] = probabilities(scores, kind=self.scores)[0]
        return chances


@dataclass(frozen=True, slots=True)
class Written:
    """The model in a repository: its name, version and folder, its two graphs, its labels, and its threshold if any."""

    repository: Path
    name: str
    resize: Graph
    classify: Graph
    labels: Sequence[str]
    threshold: float | None = None
