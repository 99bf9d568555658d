"""The interface between the batcher and whatever runs a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from service.model_config import ModelConfig

Tensor = NDArray[np.uint8]
"""One image: UINT8 [H, W, 3], RGB."""

Row = Mapping[str, NDArray[Any]]
"""One image's outputs by name, without the batch dimension."""


class Backend(Protocol):
    """Runs batches of tensors of one shape, up to `slots` at a time.

    `batch_size_that_pays`: beyond it, a larger batch no longer lowers the cost per image (measured at warm-up, at most
    the model's `max_batch_size`). `serves_alone`: whether `infer(..., alone=True)` can use all slots' cores for one
    batch, for a request that would otherwise leave them idle.
    """

    slots: int
    batch_size_that_pays: int
    serves_alone: bool

    async def warm_up(self) -> None:
        """Run every batch size that can occur once, so that no client pays for a first time."""

    async def infer(self, batch: Sequence[Tensor], *, alone: bool) -> Sequence[Row]:
        """Outputs of each member of `batch`, in its order. Any exception fails this batch only."""

    async def close(self) -> None:
        """Finish what runs and release everything."""


class PerImageGraph(Protocol):
    """A graph that each request runs by itself, on its own images of any one size.

    `blocking`: whether a call takes long enough to need a worker thread; if not, it may run on the event loop.
    """

    blocking: bool

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """UINT8 [N, H, W, 3] to UINT8 [N, height, width, 3]; called on worker threads, several at once."""


class BackendFactory(Protocol):
    """Makes what runs a stored model's graphs. `name` is the backend's, as in the settings."""

    name: str

    async def per_image(self, config: ModelConfig, path: Path) -> PerImageGraph:
        """The graph at `path`, ready to run; raises `ConfigurationError`."""

    async def batched(self, config: ModelConfig, path: Path) -> Backend:
        """A backend for the graph at `path`, loaded, not yet warm; raises `ConfigurationError`."""
