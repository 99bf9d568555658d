"""The per-image graph, which runs on each request's images separately: in this process, whatever the backend is.

What lives here: that graph, and its loading. What does not: which graphs these are (`models.wiring`), and the threads.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from topfive.backends.bounded_loading import BoundedLoading
from topfive.backends.onnx_runtime import Graph
from topfive.backends.sizing import warm_up_batches
from topfive.machine.workers import WorkerPool
from topfive.repository.model_config import ModelConfig


class EmbeddedPerImageGraph:
    """A graph that runs on the calling worker thread, on at most `max_batch_size` images at a time."""

    blocking = True

    def __init__(self, graph: Graph, *, max_batch_size: int) -> None:
        self._graph = graph
        self._max_batch_size = max_batch_size

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The first output of the graph for `images`."""
        most = self._max_batch_size
        if len(images) <= most:
            return self._graph.run(images)[0]
        return np.concatenate(
            [self._graph.run(images[start : start + most])[0] for start in range(0, len(images), most)]
        )


async def load_per_image(config: ModelConfig, path: Path, loading: BoundedLoading) -> EmbeddedPerImageGraph:
    """The graph at `path`, opened and warm; raises `ConfigurationError`, or the error that the graph fails with."""
    graph = await loading.run(f"{path}: opening the graph", partial(_open, config, path))
    await loading.run(f"{path}: its warm-up", partial(_warm_up, config, graph))
    return EmbeddedPerImageGraph(graph, max_batch_size=config.graph_batch_size)


async def _open(config: ModelConfig, path: Path, pool: WorkerPool) -> Graph:
    inputs, outputs = config.inputs, config.outputs
    return await pool.run(partial(Graph, path, threads=config.threads or 1, inputs=inputs, outputs=outputs))


async def _warm_up(config: ModelConfig, graph: Graph, pool: WorkerPool) -> None:
    small = np.zeros([abs(size) for size in config.inputs[0].shape], np.uint8)
    try:
        for batch in [small, *warm_up_batches(config)]:
            await pool.run(graph.run, batch)
    except BaseException:  # also a cancellation, which ends a warm-up that hangs: `close` ends its run
        graph.close()
        raise
