"""A model of a repository as it runs: its graphs, one after the other, and its labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from topfive_pipeline.proof.running import Graph


@dataclass(frozen=True, slots=True)
class Chain:
    """A model as it runs: the graph of an ensemble that resizes, the classifier, and the labels if they are known."""

    name: str
    resize: Graph | None
    classify: Graph
    labels: Sequence[str] | None

    def crop(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """UINT8 [1, h, w, 3]."""
        if self.resize is None:
            return image[np.newaxis]
        (made,) = self.resize.run(image[np.newaxis])
        return made
