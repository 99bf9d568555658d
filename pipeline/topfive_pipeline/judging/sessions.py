"""A model's sessions as the embedded backend opens them on this machine: how many, and with how many threads each."""

from __future__ import annotations

from dataclasses import dataclass

from topfive.backends.onnx_runtime import Graph
from topfive.repository.model_config import ModelConfig
from topfive_pipeline.judging.subjects import Part, Subject


@dataclass(frozen=True, slots=True)
class Sessions:
    """`slots` batches run side by side, each on `threads`, in `sessions` sessions.

    `alone`: the threads of one more session, for an image that comes alone; 0 if there is none.
    """

    threads: int
    slots: int
    sessions: int
    alone: int


def planned(config: ModelConfig, *, cores: int) -> Sessions:
    """What `Embedded.batched` of the server opens on a CPU for `config`, which may set threads and instances."""
    threads = config.threads or 1
    slots = config.instances or max(1, cores // threads)
    # A session of one thread runs on the thread that calls it, so all slots share it.
    return Sessions(threads, slots, 1 if threads == 1 else slots, cores if cores > threads and slots > 1 else 0)


def threads_of_graphs(subject: Subject, *, cores: int) -> list[tuple[Part, int]]:
    """Every session that the server opens for `subject`, with its threads; the resize graph has one."""
    plan = planned(subject.classify.config, cores=cores)
    all_threads = [plan.threads] * plan.sessions + [plan.alone] * (plan.alone > 0)
    resize = [] if subject.resize is None else [(subject.resize, 1)]
    return [*resize, *((subject.classify, threads) for threads in all_threads)]


def opened(part: Part, *, threads: int) -> Graph:
    """The server's own session of a graph; raises `ConfigurationError` if it cannot be loaded as configured."""
    config = part.config
    return Graph(part.path, threads=threads, inputs=config.inputs, outputs=config.outputs, device=config.device)
