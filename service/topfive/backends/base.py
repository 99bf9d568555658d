"""The interface between the batcher and the backends, which run batches."""

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
    """A batch of images of one shape that has not started.

    `deadline`: the earliest deadline of its members, a monotonic second; it is known once the batch is claimed.
    """

    @property
    def deadline(self) -> float: ...

    def claim(self) -> Sequence[Tensor]:
        """The members to run now, perhaps none; called once, on any thread, just before the batch runs."""


class Backend(Protocol):
    """Runs batches, up to `slots` at a time. It gets up to `prefetch` more, which start as soon as a slot is free.

    - `batch_size_that_pays`: a larger batch does not lower the cost per image enough (measured at warm-up; at most the
      model's `max_batch_size`).
    - `prepares`: whether its slots run on the cores' own threads, which then best prepare small images too. If slots
      only wait for a device, images should be prepared meanwhile on other threads.
    - `cancels`: whether cancelling a batch's future ends the batch and frees its slot. A call to a server can be
      cancelled; a thread cannot.
    - `engine`: what runs the graph, if this process does; else empty.
    - `serves_alone`: whether `infer(..., alone=True)` can use the cores of all slots for one batch, when a request
      comes alone and would leave them idle.
    """

    slots: int
    prefetch: int
    prepares: bool
    batch_size_that_pays: int
    serves_alone: bool
    cancels: bool
    engine: str

    async def warm_up(self) -> None:
        """Run every batch size that can occur once, so that no client waits for a slow first run."""

    def infer(self, batch: Batch, *, alone: bool) -> asyncio.Future[Sequence[Row]]:
        """Start `batch`; the future has the outputs of each claimed member, in order, or the batch's error.

        With `BackendUnreachable`, `QueueFull` or `DeadlineExceeded` all members fail; after any other error they may
        run again one by one.
        """

    def end(self, run: asyncio.Future[Sequence[Row]]) -> None:
        """Make `run`, a future from `infer` that hangs, fail soon; this may not be possible."""

    async def check(self) -> None:
        """Raise `BackendUnreachable` if no batch could run now; called every second, and must end by itself."""

    async def close(self) -> None:
        """Finish the batches that run, and release everything."""


class PerImageGraph(Protocol):
    """A graph that runs on each request's images separately; the images of one call have one size, any size.

    `blocking`: whether a call takes long enough to need a worker thread; if not, it may run on the event loop.
    """

    blocking: bool

    def __call__(self, images: NDArray[np.uint8], *, alone: bool = False) -> NDArray[np.uint8]:
        """From UINT8 [N, H, W, 3] to UINT8 [N, height, width, 3]; several worker threads call it at once.

        `alone`: nothing else runs, so that it may use all cores. What it makes is the same.
        """


class TriedPerImageGraph(PerImageGraph, Protocol):
    """A per-image graph that has run. `made`: the shapes, [height, width, 3], that it was seen to make of an image."""

    made: frozenset[tuple[int, ...]]


class BackendFactory(Protocol):
    """Makes the backends and per-image graphs of stored models. `name` is the backend's name in the settings.

    `left_behind`: whether a thread still hangs in a load that was given up, so that the process cannot end as usual.
    """

    name: str

    @property
    def left_behind(self) -> bool: ...

    async def wait_until_reachable(self) -> None:
        """Return when the graphs can run: at once, unless another process runs them."""

    async def per_image(self, config: ModelConfig, path: Path) -> TriedPerImageGraph:
        """The graph at `path`, ready to run; raises `ConfigurationError`, also if it makes another size."""

    async def batched(self, config: ModelConfig, path: Path, pool: WorkerPool) -> Backend:
        """A loaded backend, not yet warm, for the graph at `path`; the folder of `path` has the version as its name.

        It runs on `pool`, if it needs threads. Raises `ConfigurationError` or `BackendUnreachable`.
        """

    async def close(self) -> None:
        """Release what the backends share; call it when all of them are closed."""
