"""A model's sessions as the embedded backend opens them on this machine: how many, and with how many threads each."""

from __future__ import annotations

from dataclasses import dataclass

from topfive.backends.engines import Layout, SessionPlan, layout_of, open_graph
from topfive.backends.graph import LoadedGraph
from topfive.repository.accelerators import Engine, Precision
from topfive.repository.model_config import ModelConfig
from topfive_pipeline.judging.subjects import Part, Subject


@dataclass(frozen=True, slots=True)
class Opening:
    """One session to open: a graph's file, the engine and its precision, threads for a run, and runs at once."""

    path: str
    engine: Engine
    precision: Precision
    threads: int
    streams: int = 1


def planned(config: ModelConfig, *, cores: int) -> Layout:
    """The sessions that the server opens on a CPU for `config`, which may set threads and instances."""
    return layout_of(config, SessionPlan(cores=cores, alone_threads=cores))


def openings(subject: Subject, *, cores: int) -> list[Opening]:
    """Every session that the server opens for `subject`, the classifier's largest last; the resize graph has one."""
    plan = planned(subject.classify.config, cores=cores)
    found = [(part, 1, 1) for part in (subject.resize,) if part is not None]
    found += [(subject.classify, plan.threads, plan.streams)] * plan.sessions
    if plan.alone:
        found.append((subject.classify, plan.alone, 1))
    return [
        Opening(str(part.path), part.config.engine, part.config.precision, threads, streams)
        for part, threads, streams in found
    ]


def opened(part: Part, *, threads: int, streams: int = 1) -> LoadedGraph:
    """The server's own session of a graph, on its engine; raises `ConfigurationError` if it cannot be loaded so."""
    return open_graph(part.path, part.config, threads=threads, streams=streams)
