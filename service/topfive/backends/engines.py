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
    """The cores to fill, the threads for a request that comes alone, and where TensorRT may keep its engines."""

    cores: int
    alone_threads: int
    engine_cache: Path | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Which sessions of a graph are opened on the CPU: `slots` batches run side by side, each on `threads`.

    `sessions`: how many of them are opened, each with so many `streams`, runs that go on at once on threads of their
    own. `alone`: the threads of one more session, for a request that comes alone; 0 if there is none.
    """

    threads: int
    slots: int
    sessions: int
    streams: int
    alone: int


def layout_of(config: ModelConfig, plan: SessionPlan) -> Layout:
    """The sessions for `config`, which may set threads and instances."""
    threads = config.threads or 1
    slots = config.instances or max(1, plan.cores // threads)
    alone = plan.alone_threads if plan.alone_threads > threads and slots > 1 else 0
    if config.engine == "openvino":  # each slot runs a stream of one session: so all share its weights
        return Layout(threads, slots, 1, slots, alone)
    # A session of one thread runs on the thread that calls it, so all slots can share it, and its weights.
    return Layout(threads, slots, 1 if threads == 1 else slots, 1, alone)


def open_graph(
    path: Path, config: ModelConfig, *, threads: int, streams: int = 1, engine_cache: Path | None = None
) -> LoadedGraph:
    """Open the graph at `path` on the engine, and in the precision, of `config`; raises `ConfigurationError`."""
    if config.engine == "openvino":
        return openvino_runtime.Graph(
            path,
            threads=threads,
            streams=streams,
            inputs=config.inputs,
            outputs=config.outputs,
            precision=config.precision,
        )
    return onnx_runtime.Graph(
        path,
        threads=threads,
        inputs=config.inputs,
        outputs=config.outputs,
        device=config.device,
        gpu=config.gpu,
        engine_cache=engine_cache,
    )


async def open_sessions(config: ModelConfig, path: Path, plan: SessionPlan, pool: WorkerPool) -> Sessions:
    """Open the graph at `path` on the engine of `config`, on threads of `pool`; raises `ConfigurationError`."""
    layout = layout_of(config, plan)

    def opening(threads: int, streams: int = 1) -> asyncio.Future[LoadedGraph]:
        return pool.run(
            partial(open_graph, path, config, threads=threads, streams=streams, engine_cache=plan.engine_cache)
        )

    first = await opening(layout.threads, layout.streams)
    if first.on_gpu:
        return Sessions([first] * (config.instances or 1), None)
    more = [layout.threads] * (layout.sessions - 1) + [layout.alone] * bool(layout.alone)
    pool.ensure_threads(len(more))
    graphs = [first, *await asyncio.gather(*map(opening, more))]
    slots = [graphs[slot % layout.sessions] for slot in range(layout.slots)]
    return Sessions(slots, graphs[-1] if layout.alone else None)
