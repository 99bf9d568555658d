"""The embedded backend: graphs run in this process, on its own threads.

What lives here: the batched graph as `instance_group.count` slots, what is measured at warm-up, and the factory that
makes graphs from a model's configuration. What does not: the per-image graph (`per_image`), what loading may take
(`bounded_loading`), the runtime; batching, image sizes, labels.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from topfive.backends.base import Batch, Row
from topfive.backends.bounded_loading import BoundedLoading
from topfive.backends.onnx_runtime import Graph, give_back_freed_memory, run_options, runtime
from topfive.backends.per_image import EmbeddedPerImageGraph, load_per_image
from topfive.backends.rows import rows_of
from topfive.backends.sizing import find_batch_size_that_pays, sample_shape, warm_up_batches
from topfive.ground.clock import Clock
from topfive.ground.errors import ConfigurationError
from topfive.machine.workers import WorkerPool
from topfive.repository.model_config import ModelConfig

T = TypeVar("T")


class EmbeddedBackend:
    """A batched graph as several sessions in this process, on the CPU or on a GPU.

    Each of `graphs`, one a slot, runs batches side by side with the others, on a thread of `pool`. `alone`, if given,
    is one more session, with as many threads as all of them, that serves a lone request. They come from `path`, and
    are warmed up as `bounded` allows.
    """

    cancels = False

    def __init__(
        self,
        graphs: Sequence[Graph],
        *,
        alone: Graph | None,
        pool: WorkerPool,
        bounded: BoundedLoading,
        path: Path,
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
        self._bounded = bounded
        self._path = path
        self._options: dict[asyncio.Future[Sequence[Row]], Any] = {}

    async def warm_up(self) -> None:
        """Find the batch size that pays, then run each size up to it (or `model_warmup`'s samples) on each session.

        Not on the threads that run batches: a graph that does not end must not take them from the models that are
        served. What has not ended in time is ended.
        """
        await self._bounded.run(f"{self._path}: its warm-up", self._warm_up)

    async def _warm_up(self, pool: WorkerPool) -> None:
        pool.ensure_threads(self.slots)
        measure = partial(self._measure, pool)
        try:
            self.batch_size_that_pays = await find_batch_size_that_pays(measure, max_batch_size=self._max_batch_size)
            sizes = range(1, self.batch_size_that_pays + 1)
            for batch in self._warm_up_batches or [self._batch(size) for size in sizes]:
                await self._on_all_slots(pool, Graph.run, batch)
            if self._alone is not None:
                await pool.run(self._alone.run, self._image)
            await self._on_all_slots(pool, Graph.give_back_memory, self._image)
        except BaseException:  # a cancellation too, which is how a warm-up that does not end is ended
            self._close_graphs()
            raise

    def infer(self, batch: Batch, *, alone: bool) -> asyncio.Future[Sequence[Row]]:
        """Run `batch` on the next free session; `alone` on the one that has all cores."""
        options = run_options()
        if alone and self._alone is not None:
            run = self._pool.run(_run_batch, self._alone, batch, options)
        else:
            run = self._pool.run(self._with_free_graph, _run_batch, batch, options)
        self._options[run] = options
        run.add_done_callback(self._options.pop)
        return run

    def end(self, run: asyncio.Future[Sequence[Row]]) -> None:
        """Have the runtime end it, after the node of the graph that it is at."""
        self._options[run].terminate = True

    async def check(self) -> None:
        """Nothing stands between this and its graphs."""

    async def close(self) -> None:
        """Give back the sessions and their memory; the pool is its owner's."""
        self._close_graphs()
        await asyncio.to_thread(give_back_freed_memory)

    def _close_graphs(self) -> None:
        for graph in self._graphs:
            graph.close()

    def _with_free_graph(self, call: Callable[..., T], *arguments: Any) -> T:
        graph = self._free.get()  # a batch handed over ahead waits here if the pool has more threads than slots
        try:
            return call(graph, *arguments)
        finally:
            self._free.put(graph)

    async def _measure(self, pool: WorkerPool, size: int) -> float:
        """Seconds that a batch of `size` takes on the slowest slot, all running at once."""
        return max(await self._on_all_slots(pool, _faster_seconds, self._batch(size)))

    def _batch(self, size: int) -> NDArray[np.uint8]:
        return np.repeat(self._image, size, axis=0)

    async def _on_all_slots(self, pool: WorkerPool, call: Callable[[Graph, Any], T], argument: Any) -> list[T]:
        jobs = (pool.run(self._with_free_graph, call, argument) for _ in range(self.slots))
        return list(await asyncio.gather(*jobs))


class EmbeddedFactory:
    """Makes graphs and backends for `cores` cores.

    Where a config.pbtxt names no thread or instance count, slots of one thread fill the cores. `alone_threads` is the
    number of threads for a lone request: 0 for all cores, 1 for none beyond its slot's. Opening a graph, and warming
    it up, may take `load_seconds` each. Raises `ConfigurationError` if ONNX Runtime is not installed, or not whole.
    """

    name = "embedded"

    def __init__(
        self, *, cores: int, alone_threads: int, load_seconds: float = math.inf, clock: Clock | None = None
    ) -> None:
        runtime()
        self._cores = cores
        self._alone_threads = alone_threads or cores
        self.bounded = BoundedLoading(seconds=load_seconds, clock=clock)

    @property
    def left_behind(self) -> bool:
        """Whether a thread is still inside the runtime."""
        return self.bounded.left_behind

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
        return await load_per_image(config, path, self.bounded)

    async def batched(self, config: ModelConfig, path: Path, pool: WorkerPool) -> EmbeddedBackend:
        """Sessions for the graph at `path`; one if it is on a GPU."""
        graphs, slots, alone = await self.bounded.run(
            f"{path}: opening the graph", partial(self._open_sessions, config, path)
        )
        return EmbeddedBackend(
            graphs[:slots],
            alone=graphs[-1] if alone else None,
            pool=pool,
            bounded=self.bounded,
            path=path,
            max_batch_size=config.max_batch_size,
            image_shape=sample_shape(config),
            warm_up_batches=warm_up_batches(config),
        )

    async def _open_sessions(self, config: ModelConfig, path: Path, pool: WorkerPool) -> tuple[list[Graph], int, bool]:
        """A graph for each slot, one more if there is one for a lone request; how many slots, and whether there is."""
        threads = config.threads or 1
        first = await _open(config, path, pool, threads)
        if first.on_gpu:
            slots, alone, sessions = config.instances or 1, False, 1
        else:
            slots = config.instances or max(1, self._cores // threads)
            alone = self._alone_threads > threads and slots > 1
            # A session of one thread runs on whichever thread calls it, so all slots can share one, and its weights.
            sessions = 1 if threads == 1 else slots
        more = [threads] * (sessions - 1) + [self._alone_threads] * alone
        pool.ensure_threads(len(more))
        graphs = [first, *await asyncio.gather(*(_open(config, path, pool, count) for count in more))]
        return [graphs[slot % sessions] for slot in range(slots)] + graphs[sessions:], slots, alone

    async def close(self) -> None:
        """Nothing is shared."""


async def _open(config: ModelConfig, path: Path, pool: WorkerPool, threads: int) -> Graph:
    open_graph = partial(Graph, inputs=config.inputs, outputs=config.outputs, device=config.device)
    return await pool.run(partial(open_graph, path, threads=threads))


def _run_batch(graph: Graph, batch: Batch, options: Any) -> Sequence[Row]:
    tensors = batch.claim()
    if not tensors:
        return []
    results = graph.run(tensors[0][np.newaxis] if len(tensors) == 1 else np.stack(tensors), options)
    return rows_of(graph.outputs, results)


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
