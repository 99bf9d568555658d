"""The embedded backend: graphs run in this process, on its own threads.

What lives here: the batched graph as `instance_group.count` slots, the measurement at warm-up, and the factory that
makes graphs from a model's configuration. What does not: the per-image graph (`backends.per_image`), the bounds of
loading (`backends.bounded_loading`), the engines (`backends.engines`), batching, image sizes, and labels.
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
from topfive.backends.engines import SessionPlan, Sessions, open_sessions
from topfive.backends.graph import LoadedGraph, Run
from topfive.backends.onnx_runtime import may_use_gpu, runtime
from topfive.backends.per_image import EmbeddedPerImageGraph, load_per_image
from topfive.backends.real_outputs import check_answered
from topfive.backends.rows import rows_of
from topfive.backends.sizing import find_batch_size_that_pays, sample_shape, warm_up_batches
from topfive.ground.clock import Clock
from topfive.ground.errors import ConfigurationError
from topfive.machine.freed_memory import give_back_freed_memory
from topfive.machine.workers import WorkerPool
from topfive.repository.model_config import ModelConfig

T = TypeVar("T")


class EmbeddedBackend:
    """A batched graph as several sessions in this process, on the CPU or on a GPU.

    `sessions` has one graph for each slot; they run batches side by side, on threads of `pool`. Its `alone`, if given,
    is one more session, with as many threads as all slots, for a request that comes alone. The graphs come from `path`,
    with `config`, and `bounded` bounds their warm-up.
    """

    cancels = False

    def __init__(
        self,
        sessions: Sessions,
        *,
        pool: WorkerPool,
        bounded: BoundedLoading,
        path: Path,
        config: ModelConfig,
    ) -> None:
        graphs, alone = sessions.slots, sessions.alone
        self.engine: str = config.runs_on
        self.slots = len(graphs)
        self.prefetch = len(graphs)
        self.serves_alone = alone is not None
        self.prepares = not graphs[0].on_gpu
        self.batch_size_that_pays = config.max_batch_size
        self._config = config
        self._image = np.zeros((1, *sample_shape(config)), np.uint8)
        self._alone = alone
        self._graphs = [*graphs, alone] if alone is not None else graphs
        self._free: SimpleQueue[LoadedGraph] = SimpleQueue()
        for graph in graphs:
            self._free.put(graph)
        # Any free thread of the pool takes the next batch, so no batch waits behind a busy thread.
        self._pool = pool
        pool.ensure_threads(self.slots)
        self._bounded = bounded
        self._path = path
        self._runs: dict[asyncio.Future[Sequence[Row]], Run] = {}

    async def warm_up(self) -> None:
        """Find the batch size that pays, then run each size up to it (or `model_warmup`'s samples) on each session.

        This does not use the threads that run batches: a graph that hangs must not take them from the served models. A
        warm-up that takes too long is ended.
        """
        await self._bounded.run(f"{self._path}: its warm-up", self._warm_up)

    async def _warm_up(self, pool: WorkerPool) -> None:
        pool.ensure_threads(self.slots)
        measure = partial(self._measure, pool)
        try:
            await self._check_answers(pool)
            most = self._config.max_batch_size
            self.batch_size_that_pays = await find_batch_size_that_pays(measure, max_batch_size=most)
            sizes = range(1, self.batch_size_that_pays + 1)
            for batch in warm_up_batches(self._config) or [self._batch(size) for size in sizes]:
                await self._on_all_slots(pool, _run, batch)
            if self._alone is not None:
                await pool.run(self._alone.run, self._image)
            for graph in dict.fromkeys(self._graphs):  # slots may share one; and no other run may go on meanwhile
                await pool.run(graph.give_back_memory, self._image)
        except BaseException:  # also a cancellation, which ends a warm-up that hangs
            self._close_graphs()
            raise

    async def _check_answers(self, pool: WorkerPool) -> None:
        """Raise `ConfigurationError` unless the graph puts out what is declared, for one image and for two."""
        for batch in (self._image, self._batch(min(2, self._config.max_batch_size))):
            found = await pool.run(self._graphs[0].run, batch)
            check_answered(self._path, self._config.outputs, batch, found)

    def infer(self, batch: Batch, *, alone: bool) -> asyncio.Future[Sequence[Row]]:
        """Run `batch` on the next free session, or if `alone` on the session with all cores."""
        run = self._graphs[0].new_run()
        if alone and self._alone is not None:
            rows = self._pool.run(_run_batch, self._alone, batch, run)
        else:
            rows = self._pool.run(self._with_free_graph, _run_batch, batch, run)
        self._runs[rows] = run
        rows.add_done_callback(self._runs.pop)
        return rows

    def end(self, run: asyncio.Future[Sequence[Row]]) -> None:
        """Make the engine end `run` after the graph's node that it is at."""
        self._runs[run].terminate = True

    async def check(self) -> None:
        """Do nothing: the graphs are in this process."""

    async def close(self) -> None:
        """Give back the sessions and their memory; the pool's owner closes the pool."""
        self._close_graphs()
        await asyncio.to_thread(give_back_freed_memory)

    def _close_graphs(self) -> None:
        for graph in self._graphs:
            graph.close()

    def _with_free_graph(self, call: Callable[..., T], *arguments: Any) -> T:
        graph = self._free.get()  # a prefetched batch waits here if the pool has more threads than slots
        try:
            return call(graph, *arguments)
        finally:
            self._free.put(graph)

    async def _measure(self, pool: WorkerPool, size: int) -> float:
        """The seconds that a batch of `size` takes on the slowest slot, while all slots run one."""
        batch, graph = self._batch(size), self._graphs[0]
        if graph.on_caller or graph.on_gpu:
            return max(await self._on_all_slots(pool, _faster_seconds, batch))
        return min([await self._seconds_together(pool, batch) for _ in range(2)])

    async def _seconds_together(self, pool: WorkerPool, batch: NDArray[Any]) -> float:
        """The time in which each slot runs `batch` once, or the slots' share of CPU time in it if that is less.

        The engine runs on threads of its own: other processes prolong the one, other work of this process the other.
        """
        began, used = time.monotonic(), time.process_time()
        await self._on_all_slots(pool, _run, batch)
        return min(time.monotonic() - began, (time.process_time() - used) / self.slots)

    def _batch(self, size: int) -> NDArray[np.uint8]:
        return np.repeat(self._image, size, axis=0)

    async def _on_all_slots(self, pool: WorkerPool, call: Callable[[LoadedGraph, Any], T], argument: Any) -> list[T]:
        jobs = (pool.run(self._with_free_graph, call, argument) for _ in range(self.slots))
        return list(await asyncio.gather(*jobs))


class EmbeddedFactory:
    """Makes graphs and backends for `cores` cores.

    If a config.pbtxt has no count of threads or instances, slots of one thread fill the cores. `alone_threads` is the
    number of threads for a request that comes alone: 0 means all cores, 1 no more than its slot's. `engine_cache` is
    the folder within which TensorRT may keep what it has built. Opening a graph, and its warm-up, may take
    `load_seconds` each. Raises `ConfigurationError` if ONNX Runtime is not installed, or damaged.
    """

    name = "embedded"

    def __init__(
        self,
        *,
        cores: int,
        alone_threads: int,
        load_seconds: float = math.inf,
        engine_cache: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        runtime()
        self._cores = cores
        self._alone_threads = alone_threads or cores
        self._engine_cache = engine_cache
        self.bounded = BoundedLoading(seconds=load_seconds, clock=clock)

    @property
    def left_behind(self) -> bool:
        """Whether a thread of a load that was given up is still inside the runtime."""
        return self.bounded.left_behind

    @property
    def has_gpu(self) -> bool:
        """Whether a model that asks for no device may run on a GPU."""
        return may_use_gpu()

    async def wait_until_reachable(self) -> None:
        """Return at once: the graphs run in this process."""

    async def per_image(self, config: ModelConfig, path: Path) -> EmbeddedPerImageGraph:
        """The graph at `path`, which the calling thread runs by itself, unless the image is alone.

        With more threads, it would take the cores from other images. Raises `ConfigurationError` if fields are set that
        have no meaning here: there are no batches or instances.
        """
        for field, is_set in (
            ("instance_group.count", config.instances),
            ("instance_group.kind: KIND_GPU", config.device == "gpu"),
            ("dynamic_batching", config.batches),
            ("optimization.execution_accelerators", config.engine != "onnxruntime"),
            ("parameters.int8_model_filename", config.int8_filename),
        ):
            if is_set:
                raise ConfigurationError(
                    f"model '{config.name}': {field} is not honoured for a graph that runs on each request's images by "
                    "themselves; remove it from its config.pbtxt"
                )
        return await load_per_image(config, path, self.bounded, alone_threads=self._alone_threads)

    async def batched(self, config: ModelConfig, path: Path, pool: WorkerPool) -> EmbeddedBackend:
        """A backend with sessions for the graph at `path`; only one if it is on a GPU."""
        plan = SessionPlan(cores=self._cores, alone_threads=self._alone_threads, engine_cache=self._engine_cache)
        sessions = await self.bounded.run(f"{path}: opening the graph", partial(open_sessions, config, path, plan))
        return EmbeddedBackend(sessions, pool=pool, bounded=self.bounded, path=path, config=config)

    async def close(self) -> None:
        """Do nothing: the backends share nothing."""


def _run(graph: LoadedGraph, batch: NDArray[Any]) -> list[NDArray[Any]]:
    return graph.run(batch)


def _run_batch(graph: LoadedGraph, batch: Batch, run: Run) -> Sequence[Row]:
    tensors = batch.claim()
    if not tensors:
        return []
    results = graph.run(tensors[0][np.newaxis] if len(tensors) == 1 else np.stack(tensors), run)
    return rows_of(graph.outputs, results)


def _faster_seconds(graph: LoadedGraph, batch: NDArray[Any]) -> float:
    """The seconds of the faster of two runs: at the first, the caches may hold other data, unlike under load."""
    # If the graph runs on this thread alone, its CPU time is its cost, whatever else the machine does.
    clock = time.thread_time if graph.on_caller else time.monotonic
    fastest = float("inf")
    for _ in range(2):
        started = clock()
        graph.run(batch)
        fastest = min(fastest, clock() - started)
    return fastest
