"""Evidence for tests: a service on two cores that is asked for little, of which each test changes what it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from topfive_pipeline.profiling.evidence import Driven, Evidence, GraphTime, Roof, Spent
from topfive_pipeline.profiling.stages import Stages
from topfive_pipeline.profiling.usage import LOOP, Role, Usage


def stages(**changes: Any) -> Stages:
    """A request of 12 ms, most of it in the network; `changes` of fields, and of stages by their names."""
    seconds = {"decode": 0.001, "resize": 0.001, "queue": 0.001, "inference": 0.008, "rest": 0.001}
    seconds |= {name: changes.pop(name) for name in list(changes) if name in seconds}
    fields: dict[str, Any] = {
        "model": "m",
        "engine": "onnxruntime",
        "precision": "FP32",
        "seconds": seconds,
        "rate": 50.0,
        "images": 50.0,
        "batch": 1.2,
        "refused": {},
        "slots": 2.0,
        "slots_busy": 0.5,
        "queued": 0.1,
        "in_flight": 2.0,
        "cores_limit": 2.0,
    }
    return Stages(**(fields | changes))


def driven(connections: int, *, cpu: float, failed: dict[str, int] | None = None) -> Driven:
    """A load of a thousand requests that took `cpu` cores for itself."""
    return Driven(connections=connections, rate=50.0, p50=0.012, p99=0.02, failed=failed or {}, cpu=cpu, sent=1000)


def role(cpu: float, *, waited: float = 0.0, name: str = LOOP) -> Role:
    return Role(name, 1, cpu, cpu, waited, 100.0, 10.0)


def evidence(**changes: Any) -> Evidence:
    """`changes` of `Evidence`, of `Usage`, and of stages, by the names of their fields."""
    usage: dict[str, Any] = {
        "seconds": 20.0,
        "cores": 0.5,
        "machine": 0.6,
        "cpus": 2,
        "waits": 0.0,
        "steal": 0.0,
        "roles": (role(0.1),),
        "throttled": 0.0,
        "throttled_seconds": 0.0,
        "pressure": {"cpu": 0.0, "memory": 0.0, "io": 0.0},
        "major_faults": 0.0,
        "swapped": 0.0,
        "memory_events": 0,
        "read_rate": 0.0,
        "write_rate": 0.0,
        "resident": 200_000_000,
        "proportional": 190_000_000,
        "megahertz": (2000.0, 3000.0),
    }
    usage |= {name: changes.pop(name) for name in list(changes) if name in usage}
    whole: dict[str, Any] = {"load": driven(8, cpu=0.05), "model": "m", "graphs": (graph(),)}
    whole |= {name: changes.pop(name) for name in list(changes) if name in ("load", "gpu", "graphs", "own_cpu")}
    return Evidence(stages=stages(**changes), usage=Usage(**usage), **whole)


def graph(title: str = "inference") -> GraphTime:
    """Of which Conv takes three quarters."""
    operators = (Spent("Conv", 6.0, 0.75, 300), Spent("Gemm", 2.0, 0.25, 10))
    return GraphTime(
        title=title,
        file="model.onnx",
        engine="onnxruntime",
        precision="fp32",
        threads=1,
        batch=1,
        seconds=0.008,
        overhead=0.05,
        operators=operators,
        nodes=tuple(replace(each, name=f"a/{each.name}_1 ({each.name})") for each in operators),
        roof=Roof(macs=4e8, moved=8e7, seconds=0.008, flops=2e11, copied=4e10),
    )
