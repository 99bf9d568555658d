"""Where the time of one graph goes, by operator and by node, as the engine itself tells it; in a process of its own.

What lives here: ONNX Runtime with its profile on, and what that says. What does not: OpenVINO's counters
(`profiling.openvino_counters`), and what a graph needs at least (`profiling.roofline`).
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from topfive.backends.onnx_runtime import runtime
from topfive.ground.errors import ConfigurationError
from topfive.repository.accelerators import Engine, Precision
from topfive_pipeline.profiling import openvino_counters, roofline
from topfive_pipeline.profiling.evidence import GraphTime, Roof, Spent

SHOWN: Final = 10
"""Nodes that are told."""
_FEWEST: Final = 3
_MOST: Final = 200
"""Runs: the engine's profile holds a million events, and a graph has some hundred nodes."""
_WARM: Final = 2
_KERNEL: Final = "_kernel_time"
_FATAL_ONLY: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The graph at `path`, as the service opens it: for a batch UINT8 `shape`, with `threads` on the CPU.

    `precision` is what the engine is asked for, `numbers` what the network computes in.
    """

    title: str
    path: Path
    engine: Engine
    precision: Precision
    numbers: str
    threads: int
    shape: tuple[int, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Node:
    """A node in one run: its operator, its own microseconds, and bytes that went in and out."""

    name: str
    operator: str
    microseconds: float
    moved: int = 0


def timed(asked: Asked, *, stop: Connection | None = None) -> GraphTime:
    """Run the graph, first as it is, then counted; for `Aside`, whose `stop` it does not heed.

    Raises `ConfigurationError` if it cannot be run here.
    """
    del stop
    batch = np.random.default_rng(0).integers(0, 256, asked.shape, np.uint8)
    plain, nodes, runs = (_openvino if asked.engine == "openvino" else _onnx_runtime)(asked, batch)
    images = asked.shape[0]
    whole = sum(node.microseconds for node in nodes) / runs * 1e-6
    return GraphTime(
        title=asked.title,
        file=asked.path.name,
        engine=asked.engine,
        precision=asked.numbers,
        threads=asked.threads,
        batch=images,
        seconds=plain / images,
        overhead=whole / plain - 1 if plain else 0.0,
        operators=summed(nodes, lambda node: node.operator, images=runs * images),
        nodes=summed(nodes, lambda node: f"{node.name} ({node.operator})", images=runs * images)[:SHOWN],
        roof=_roof(asked, plain / images, sum(node.moved for node in nodes) / (runs * images)),
    )


def summed(nodes: Iterable[Node], name_of: Callable[[Node], str], *, images: int) -> list[Spent]:
    """The nodes of all runs together, by name, for one of `images`; the dearest first."""
    times: defaultdict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    for node in nodes:
        times[name_of(node)] += node.microseconds
        counts[name_of(node)] += 1
    whole = sum(times.values()) or 1.0
    found = [Spent(name, spent / images / 1e3, spent / whole, counts[name]) for name, spent in times.items()]
    return sorted(found, key=lambda each: (-each.share, each.name))


def own_times(events: Sequence[Mapping[str, Any]]) -> list[Node]:
    """The nodes of ONNX Runtime's profile, whose times hold those of the nodes within them (If, Loop) no more.

    Events are intervals, `ts` and `dur` in microseconds, of threads `tid`; one within another is its body's.
    """
    found: list[Node] = []
    kernels = [event for event in events if event.get("cat") == "Node" and str(event["name"]).endswith(_KERNEL)]
    by_thread: defaultdict[object, list[Mapping[str, Any]]] = defaultdict(list)
    for event in kernels:
        by_thread[event["tid"]].append(event)
    for mine in by_thread.values():
        mine.sort(key=lambda event: (event["ts"], -event["dur"]))
        own = [float(event["dur"]) for event in mine]
        open_ones: list[int] = []
        for place, event in enumerate(mine):
            while open_ones and event["ts"] >= mine[open_ones[-1]]["ts"] + mine[open_ones[-1]]["dur"]:
                open_ones.pop()
            if open_ones:
                own[open_ones[-1]] -= event["dur"]
            open_ones.append(place)
        found += [_node(event, max(0.0, spent)) for event, spent in zip(mine, own, strict=True)]
    return found


def _node(event: Mapping[str, Any], microseconds: float) -> Node:
    told = event["args"]
    sizes = (int(told.get(name, 0)) for name in ("activation_size", "parameter_size", "output_size"))
    return Node(str(event["name"]).removesuffix(_KERNEL), str(told["op_name"]), microseconds, sum(sizes))


def _onnx_runtime(asked: Asked, batch: NDArray[np.uint8]) -> tuple[float, list[Node], int]:
    """Seconds of a run without the profile, the median; and the nodes of so many runs with it."""
    plain, _ = _repeated(_session(asked, None), batch, asked.seconds / 2)
    with TemporaryDirectory(prefix="topfive-profile-") as folder:
        session = _session(asked, Path(folder) / "nodes")
        _, runs = _repeated(session, batch, asked.seconds / 2)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    # The first runs allocate: only what began after them counts.
    begun = sorted(event["ts"] for event in events if event["name"] == "model_run")
    counted = begun[_WARM]
    return plain, own_times([event for event in events if event["ts"] >= counted]), runs


def _session(asked: Asked, profile: Path | None) -> Any:
    """With the options of the service's own sessions (`topfive.backends.onnx_runtime`)."""
    ort = runtime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = asked.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    try:
        return ort.InferenceSession(asked.path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises a dozen unrelated types for a bad file
        raise ConfigurationError(f"{asked.path}: onnxruntime cannot load this graph: {error}") from error


def _repeated(session: Any, batch: NDArray[np.uint8], seconds: float) -> tuple[float, int]:
    """Run for `seconds`, after runs that do not count; the median of a run in seconds, and how many counted."""
    feed = {session.get_inputs()[0].name: batch}
    return median_run(lambda: session.run(None, feed), seconds)


def median_run(run: Callable[[], object], seconds: float) -> tuple[float, int]:
    """The median of a run in seconds, and how many counted: those of `seconds`, but three at least, 200 at most."""
    for _ in range(_WARM):
        run()
    taken: list[float] = []
    ends = time.perf_counter() + seconds
    while len(taken) < _FEWEST or (time.perf_counter() < ends and len(taken) < _MOST):
        began = time.perf_counter()
        run()
        taken.append(time.perf_counter() - began)
    return sorted(taken)[len(taken) // 2], len(taken)


def _openvino(asked: Asked, batch: NDArray[np.uint8]) -> tuple[float, list[Node], int]:
    counted = openvino_counters.Counted(asked.path, threads=asked.threads, precision=asked.precision)
    plain, _ = median_run(lambda: counted.run(batch), asked.seconds / 2)
    nodes = [Node(*each) for each in counted.counters(batch, runs=_FEWEST)]
    return plain, nodes, _FEWEST


def _roof(asked: Asked, seconds: float, moved: float) -> Roof | None:
    """None for a graph that multiplies nothing to speak of, or where the engine tells no sizes."""
    macs = roofline.macs(asked.path, asked.shape) / asked.shape[0]
    if macs < roofline.FEW or not moved:
        return None
    integers = roofline.is_integer(asked.path)
    peak = roofline.peak_flops(threads=asked.threads, integers=integers)
    return Roof(macs=macs, moved=moved, seconds=seconds, flops=peak, copied=roofline.copied(threads=asked.threads))
