"""The interface between the batcher and whatever runs a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from topfive.machine.workers import WorkerPool
from topfive.repository.model_config import ModelConfig

Tensor = NDArray[np.uint8]
"""One image: UINT8 [H, W, 3], RGB."""

Row = Mapping[str, NDArray[Any]]
"""One image's outputs by name, without the batch dimension."""


class Batch(Protocol):
    """A batch of images of one shape, not yet started.

    `deadline`: once it is claimed, the monotonic second by which the first of its members must be answered.
    """

    @property
    def deadline(self) -> float: ...

    def claim(self) -> Sequence[Tensor]:
        """The members to run now, perhaps none; called once, on any thread, when the batch is about to run."""


class Backend(Protocol):
    """Runs batches, up to `slots` at a time; it is handed up to `prefetch` more, to start the moment a slot is free.

    - `batch_size_that_pays`: beyond it, a larger batch does not lower the cost per image enough (measured at warm-up;
      at most the model's `max_batch_size`).
    - `prepares`: whether its slots are the cores' own threads, on which small images are best prepared too. Where slots
      only wait for a device, preparation should overlap them.
    - `cancels`: whether cancelling a batch's future ends the batch, so that its slot is free then. A call to a server
      can be taken back; a thread must come back by itself.
    - `serves_alone`: whether `infer(..., alone=True)` can use all slots' cores for one batch, for a request that would
      otherwise leave them idle.
    """

    slots: int
    prefetch: int
    prepares: bool
    batch_size_that_pays: int
    serves_alone: bool
    cancels: bool

    async def warm_up(self) -> None:
        """Run every batch size that can occur once, so that no client pays for a first time."""

    def infer(self, batch: Batch, *, alone: bool) -> asyncio.Future[Sequence[Row]]:
        """Start `batch`; the future has the outputs of each member that was claimed, in order, or the batch's error.

        `BackendUnreachable`, `QueueFull` and `DeadlineExceeded` are told to the members as they are; after any other
        error they may be run again one by one.
        """

    def end(self, run: asyncio.Future[Sequence[Row]]) -> None:
        """Make a `run`, as `infer` gave it, fail soon, for it does not end; it may be that this cannot be done."""

    async def check(self) -> None:
        """Raise `BackendUnreachable` if no batch could run now; asked every second, and must end by itself."""

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
    """Makes what runs a stored model's graphs. `name` is the backend's, as in the settings.

    `left_behind`: whether a thread of a load that was given up has never come back, so that the process cannot end as
    usual.
    """

    name: str

    @property
    def left_behind(self) -> bool: ...

    async def wait_until_reachable(self) -> None:
        """Return when the graphs can be run; at once, unless something else runs them."""

    async def per_image(self, config: ModelConfig, path: Path) -> PerImageGraph:
        """The graph at `path`, ready to run; raises `ConfigurationError`."""

    async def batched(self, config: ModelConfig, path: Path, pool: WorkerPool) -> Backend:
        """A backend for the graph at `path`, whose folder is named for its version, loaded, not yet warm.

        It runs on `pool`, if it needs threads. Raises `ConfigurationError` or `BackendUnreachable`.
        """

    async def close(self) -> None:
        """Release what its backends share, once they are closed."""
