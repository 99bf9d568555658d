"""The embedded backend: graphs run in this process, on its own threads.

What lives here: the batched graph as `instance_group.count` slots, the per-image graph, what is measured at warm-up,
and the factory that makes both from a model's configuration. What does not: batching, image sizes, labels, the runtime.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.backends.base import Batch, Row
from service.backends.onnx_runtime import Graph, give_back_freed_memory, runtime
from service.backends.sizing import find_batch_size_that_pays, sample_shape
from service.errors import ConfigurationError
from service.model_config import ModelConfig, WarmUp
from service.workers import WorkerPool

T = TypeVar("T")


class EmbeddedBackend:
    """A batched graph as several sessions in this process, on the CPU or on a GPU.

    Each of `graphs`, one a slot, runs batches side by side with the others, on a thread of `pool`. `alone`, if given,
    is one more session, with as many threads as all of them, that serves a lone request.
    """

    cancels = False

    def __init__(
        self,
        graphs: Sequence[Graph],
        *,
        alone: Graph | None,
        pool: WorkerPool,
        max_batch_size: int,
        image_shape: tuple[int, ...],
        warm_up_batches: Sequence[NDArray[np.uint8]],
    ) -> None:
        self.slots = len(graphs)
        self.prefetch = len(graphs)
        self.serves_alone = alone is not None
        self.prepares = not graphs[0].on_gpu
        self.batch_size_that_pays = max_batch_size
        self._max_batch_size = max_batch_size
        self._image = np.zeros((1, *image_shape), np.uint8)
        self._warm_up_batches = warm_up_batches
        self._alone = alone
        self._graphs = [*graphs, alone] if alone is not None else graphs
        self._free: SimpleQueue[Graph] = SimpleQueue()
        for graph in graphs:
            self._free.put(graph)
        # Whichever thread of the pool is free takes the next batch, so none waits behind a busy one.
        self._pool = pool
        pool.ensure_threads(self.slots)

    async def warm_up(self) -> None:
        """Find the batch size that pays, then run each size up to it (or `model_warmup`'s samples) on each session.

        It is done in calls of at most two runs, so that batches of the models that are served meanwhile, on the same
        threads, get their turn soon.
        """
        self.batch_size_that_pays = await find_batch_size_that_pays(self._measure, max_batch_size=self._max_batch_size)
        sizes = range(1, self.batch_size_that_pays + 1)
        for batch in self._warm_up_batches or [self._batch(size) for size in sizes]:
            await self._on_all_slots(Graph.run, batch)
        if self._alone is not None:
            await self._pool.run(self._alone.run, self._image)
        await self._on_all_slots(Graph.give_back_memory, self._image)

    def infer(self, batch: Batch, *, alone: bool) -> asyncio.Future[Sequence[Row]]:
        """Run `batch` on the next free session; `alone` on the one that has all cores."""
        if alone and self._alone is not None:
            return self._pool.run(_run_batch, self._alone, batch)
        return self._pool.run(self._with_free_graph, _run_batch, batch)

    async def check(self) -> None:
        """Nothing stands between this and its graphs."""

    async def close(self) -> None:
        """Give back the sessions and their memory; the pool is its owner's."""
        for graph in self._graphs:
            graph.close()
        await asyncio.to_thread(give_back_freed_memory)

    def _with_free_graph(self, call: Callable[[Graph, Any], T], argument: Any) -> T:
        graph = self._free.get()  # a batch handed over ahead waits here if the pool has more threads than slots
        try:
            return call(graph, argument)
        finally:
            self._free.put(graph)

    async def _measure(self, size: int) -> float:
        """Seconds that a batch of `size` takes on the slowest slot, all running at once."""
        return max(await self._on_all_slots(_faster_seconds, self._batch(size)))

    def _batch(self, size: int) -> NDArray[np.uint8]:
        return np.repeat(self._image, size, axis=0)

    async def _on_all_slots(self, call: Callable[[Graph, Any], T], argument: Any) -> list[T]:
        jobs = (self._pool.run(self._with_free_graph, call, argument) for _ in range(self.slots))
        return list(await asyncio.gather(*jobs))


class EmbeddedPerImageGraph:
    """A graph that runs on the calling worker thread, on at most `max_batch_size` images at a time."""

    blocking = True

    def __init__(self, graph: Graph, *, max_batch_size: int) -> None:
        self._graph = graph
        self._max_batch_size = max_batch_size

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The first output of the graph on `images`."""
        most = self._max_batch_size
        if len(images) <= most:
            return self._graph.run(images)[0]
        return np.concatenate(
            [self._graph.run(images[start : start + most])[0] for start in range(0, len(images), most)]
        )


class EmbeddedFactory:
    """Makes graphs and backends for `cores` cores.

    Where a config.pbtxt names no thread or instance count, slots of one thread fill the cores. `alone_threads` is the
    number of threads for a lone request: 0 for all cores, 1 for none beyond its slot's. Raises `ConfigurationError` if
    ONNX Runtime is not installed, or not whole.
    """

    name = "embedded"

    def __init__(self, *, cores: int, alone_threads: int) -> None:
        runtime()
        self._cores = cores
        self._alone_threads = alone_threads or cores

    async def wait_until_reachable(self) -> None:
        """They are here."""

    async def per_image(self, config: ModelConfig, path: Path) -> EmbeddedPerImageGraph:
        """The graph at `path` on the calling thread's core; more threads per image would only take them from others.

        Raises `ConfigurationError` for the fields that mean nothing here: these images are not batched or instanced.
        """
        for field, is_set in (
            ("instance_group.count", config.instances),
            ("instance_group.kind: KIND_GPU", config.device == "gpu"),
            ("dynamic_batching", config.batches),
        ):
            if is_set:
                raise ConfigurationError(
                    f"model '{config.name}': {field} is not honoured for a graph that runs on each request's images by "
                    "themselves; remove it from its config.pbtxt"
                )
        graph = await asyncio.to_thread(
            Graph, path, threads=config.threads or 1, inputs=config.inputs, outputs=config.outputs
        )
        small = np.zeros([abs(size) for size in config.inputs[0].shape], np.uint8)
        for batch in [small, *(batch for sample in config.warm_ups for batch in _warm_up_batches(sample))]:
            await asyncio.to_thread(graph.run, batch)
        return EmbeddedPerImageGraph(graph, max_batch_size=config.graph_batch_size)

    async def batched(self, config: ModelConfig, path: Path, pool: WorkerPool) -> EmbeddedBackend:
        """Sessions for the graph at `path`; one if it is on a GPU."""
        threads = config.threads or 1
        first = await _load(config, path, threads)
        if first.on_gpu:
            slots, alone, sessions = config.instances or 1, False, 1
        else:
            slots = config.instances or max(1, self._cores // threads)
            alone = self._alone_threads > threads and slots > 1
            # A session of one thread runs on whichever thread calls it, so all slots can share one, and its weights.
            sessions = 1 if threads == 1 else slots
        more = [threads] * (sessions - 1) + [self._alone_threads] * alone
        graphs = [first, *await asyncio.gather(*(_load(config, path, count) for count in more))]
        return EmbeddedBackend(
            [graphs[slot % sessions] for slot in range(slots)],
            alone=graphs[sessions] if alone else None,
            pool=pool,
            max_batch_size=config.max_batch_size,
            image_shape=sample_shape(config),
            warm_up_batches=[batch for sample in config.warm_ups for batch in _warm_up_batches(sample)],
        )

    async def close(self) -> None:
        """Nothing is shared."""


async def _load(config: ModelConfig, path: Path, threads: int) -> Graph:
    return await asyncio.to_thread(
        Graph, path, threads=threads, inputs=config.inputs, outputs=config.outputs, device=config.device
    )


def _warm_up_batches(sample: WarmUp) -> list[NDArray[np.uint8]]:
    generator = np.random.default_rng(0)
    batch = generator.integers(0, 256, sample.shape, np.uint8) if sample.random else np.zeros(sample.shape, np.uint8)
    return [batch] * sample.count


def _run_batch(graph: Graph, batch: Batch) -> Sequence[Row]:
    tensors = batch.claim()
    if not tensors:
        return []
    results = graph.run(tensors[0][np.newaxis] if len(tensors) == 1 else np.stack(tensors))
    return [dict(zip(graph.outputs, row, strict=True)) for row in zip(*results, strict=True)]


def _faster_seconds(graph: Graph, batch: NDArray[Any]) -> float:
    """Of two runs in a row: the first may find the caches full of something else, as no size under load does."""
    # The CPU time of a graph that runs on this very thread is its cost whatever else the machine is doing.
    clock = time.thread_time if graph.threads == 1 and not graph.on_gpu else time.monotonic
    fastest = float("inf")
    for _ in range(2):
        started = clock()
        graph.run(batch)
        fastest = min(fastest, clock() - started)
    return fastest
