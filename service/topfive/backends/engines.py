"""The engines that run batched graphs in this process: which sessions a model gets, opened side by side.

What lives here: how many sessions, with how many threads. What does not: the engines (`backends.onnx_runtime`,
`backends.openvino_runtime`), and running batches on what is opened (`backends.embedded`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from topfive.backends import onnx_runtime, openvino_runtime
from topfive.backends.graph import LoadedGraph
from topfive.machine.workers import WorkerPool
from topfive.repository.model_config import ModelConfig


@dataclass(frozen=True, slots=True)
class Sessions:
    """The graph of each slot, perhaps the same for all; and one for a request that comes alone, if that pays."""

    slots: Sequence[LoadedGraph]
    alone: LoadedGraph | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPlan:
    """The cores to fill, and the threads for a request that comes alone."""

    cores: int
    alone_threads: int


async def open_sessions(config: ModelConfig, path: Path, plan: SessionPlan, pool: WorkerPool) -> Sessions:
    """Open the graph at `path` on the engine of `config`, on threads of `pool`; raises `ConfigurationError`."""
    threads = config.threads or 1
    slots = config.instances or max(1, plan.cores // threads)
    alone = plan.alone_threads if plan.alone_threads > threads and slots > 1 else 0
    if config.engine == "openvino":
        return await _on_openvino(config, path, pool, threads=threads, slots=slots, alone=alone)
    first = await _onnx_runtime(config, path, pool, threads)
    if first.on_gpu:
        return Sessions([first] * (config.instances or 1), None)
    # A session of one thread runs on the thread that calls it, so all slots can share it, and its weights.
    sessions = 1 if threads == 1 else slots
    more = [threads] * (sessions - 1) + [alone] * bool(alone)
    pool.ensure_threads(len(more))
    graphs = [first, *await asyncio.gather(*(_onnx_runtime(config, path, pool, count) for count in more))]
    return Sessions([graphs[slot % sessions] for slot in range(slots)], graphs[-1] if alone else None)


async def _onnx_runtime(config: ModelConfig, path: Path, pool: WorkerPool, threads: int) -> onnx_runtime.Graph:
    interface = {"inputs": config.inputs, "outputs": config.outputs}
    return await pool.run(partial(onnx_runtime.Graph, path, threads=threads, device=config.device, **interface))


async def _on_openvino(
    config: ModelConfig, path: Path, pool: WorkerPool, *, threads: int, slots: int, alone: int
) -> Sessions:
    """One session, of which each slot runs a stream with threads of its own: so all slots share its weights."""
    pool.ensure_threads(2)

    def opening(threads: int, streams: int) -> asyncio.Future[openvino_runtime.Graph]:
        return pool.run(
            partial(
                openvino_runtime.Graph,
                path,
                threads=threads,
                streams=streams,
                inputs=config.inputs,
                outputs=config.outputs,
                precision=config.precision,
            )
        )

    shared, *more = await asyncio.gather(opening(threads, slots), *([opening(alone, 1)] if alone else []))
    return Sessions([shared] * slots, more[0] if more else None)
