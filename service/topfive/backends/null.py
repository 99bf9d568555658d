"""A backend that answers at once, without looking at the pixels, to measure the front end alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from topfive.backends.base import Batch, Row
from topfive.ground.types import WIRE_DTYPES, TensorSpec
from topfive.machine.workers import WorkerPool
from topfive.repository.model_config import ModelConfig

_TEXT: Final = "null"
"""An empty label would be no answer, so that less would be measured."""


class NullBackend:
    """Answers every image with the same row of zeros and of one text, in the declared shapes."""

    slots = 1
    prefetch = 0
    prepares = False
    serves_alone = False
    cancels = False
    engine = ""

    def __init__(self, *, outputs: Sequence[TensorSpec], max_batch_size: int) -> None:
        self.batch_size_that_pays = max_batch_size
        self._row: Row = {output.name: _blank(output) for output in outputs}

    async def warm_up(self) -> None:
        """Do nothing: no first run is slower."""

    def infer(self, batch: Batch, *, alone: bool) -> asyncio.Future[Sequence[Row]]:
        """The same row for every member."""
        rows: asyncio.Future[Sequence[Row]] = asyncio.get_running_loop().create_future()
        rows.set_result([self._row] * len(batch.claim()))
        return rows

    def end(self, run: asyncio.Future[Sequence[Row]]) -> None:
        """Do nothing: `run` has ended already."""

    async def check(self) -> None:
        """Do nothing: it can always run."""

    async def close(self) -> None:
        """Do nothing: it holds nothing."""


def _blank(output: TensorSpec) -> NDArray[Any]:
    shape = [abs(size) for size in output.shape[1:]]
    return (
        np.full(shape, _TEXT, np.object_)
        if output.datatype == "BYTES"
        else np.zeros(shape, WIRE_DTYPES[output.datatype])
    )


class NullPerImageGraph:
    """Answers with black images of the declared size."""

    blocking = False

    def __init__(self, output: TensorSpec) -> None:
        self._image = np.zeros([abs(size) for size in output.shape[1:]], np.uint8)
        self.made = frozenset({self._image.shape})

    def __call__(self, images: NDArray[np.uint8], *, alone: bool = False) -> NDArray[np.uint8]:
        """UINT8 [N, ...] of zeros, N as in `images`."""
        return np.broadcast_to(self._image, (len(images), *self._image.shape))


class NullFactory:
    """Makes null backends and graphs; it opens no file."""

    name = "null"
    left_behind = False

    async def wait_until_reachable(self) -> None:
        """Return at once: there is nothing to wait for."""

    async def per_image(self, config: ModelConfig, path: Path) -> NullPerImageGraph:
        """A stand-in for the graph of `config`."""
        return NullPerImageGraph(config.outputs[0])

    async def batched(self, config: ModelConfig, path: Path, pool: WorkerPool) -> NullBackend:
        """A stand-in for the backend of `config`."""
        return NullBackend(outputs=config.outputs, max_batch_size=config.max_batch_size)

    async def close(self) -> None:
        """Do nothing: the backends share nothing."""
