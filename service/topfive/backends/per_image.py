"""The per-image graph, which runs on each request's images separately: in this process, whatever the backend is.

What lives here: that graph, and its loading. What does not: which graphs these are (`models.wiring`), and the threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from topfive.backends.bounded_loading import BoundedLoading
from topfive.backends.onnx_runtime import Graph
from topfive.backends.real_outputs import check_prepared, described, images_of_all_sizes
from topfive.backends.sizing import warm_up_batches
from topfive.ground.errors import ConfigurationError
from topfive.ground.next_steps import import_command
from topfive.machine.workers import WorkerPool
from topfive.repository.model_config import ModelConfig


class EmbeddedPerImageGraph:
    """A graph that runs on the calling worker thread, on at most `max_batch_size` images at a time.

    `alone`, if given, is the same graph with the threads of all cores, for an image that comes alone. `made`: the
    shapes that it was seen to make of an image.
    """

    blocking = True

    def __init__(
        self, graph: Graph, alone: Graph | None, *, max_batch_size: int, made: frozenset[tuple[int, ...]]
    ) -> None:
        self.made = made
        self._graph = graph
        self._alone = alone or graph
        self._max_batch_size = max_batch_size

    def __call__(self, images: NDArray[np.uint8], *, alone: bool = False) -> NDArray[np.uint8]:
        """The first output of the graph for `images`."""
        most, graph = self._max_batch_size, self._alone if alone else self._graph
        if len(images) <= most:
            return graph.run(images)[0]
        return np.concatenate([graph.run(images[start : start + most])[0] for start in range(0, len(images), most)])


async def load_per_image(
    config: ModelConfig, path: Path, loading: BoundedLoading, *, alone_threads: int
) -> EmbeddedPerImageGraph:
    """The graph at `path`, opened and warm; raises `ConfigurationError`.

    It has run on images of several sizes, and made of each what config.pbtxt declares. It is opened once more, with
    `alone_threads`, if these are more than its own.
    """
    graphs = await loading.run(f"{path}: opening the graph", partial(_open, config, path, alone_threads))
    made = await loading.run(f"{path}: its warm-up", partial(_warm_up, config, path, graphs))
    alone = graphs[1] if len(graphs) > 1 else None
    return EmbeddedPerImageGraph(graphs[0], alone, max_batch_size=config.graph_batch_size, made=made)


async def _open(config: ModelConfig, path: Path, alone_threads: int, pool: WorkerPool) -> Sequence[Graph]:
    threads = config.threads or 1
    opening = partial(Graph, path, inputs=config.inputs, outputs=config.outputs)
    counts = [threads, alone_threads] if alone_threads > threads else [threads]
    return [await pool.run(partial(opening, threads=count)) for count in counts]


async def _warm_up(
    config: ModelConfig, path: Path, graphs: Sequence[Graph], pool: WorkerPool
) -> frozenset[tuple[int, ...]]:
    made = set()
    sizes = images_of_all_sizes(config.inputs[0], most=config.graph_batch_size)
    try:
        for images in [*sizes, *warm_up_batches(config)]:
            for graph in graphs:
                prepared = await pool.run(_run, path, graph, images)
                check_prepared(path, config.outputs[0], images, prepared)
                made.add(prepared.shape[1:])
    except BaseException:  # also a cancellation, which ends a warm-up that hangs: `close` ends its run
        for graph in graphs:
            graph.close()
        raise
    return frozenset(made)


def _run(path: Path, graph: Graph, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    try:
        return graph.run(images)[0]
    except Exception as error:  # the runtime raises a dozen unrelated types
        raise ConfigurationError(
            f"{path}: the graph fails on {described(images)}: {str(error).strip()}; build it anew so that it takes "
            f"images of every size, as {import_command()} does"
        ) from error
