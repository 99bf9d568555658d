"""The bare limit: a loop that runs the same graphs over the same images, without HTTP and without a queue.

It does only what any server must do: decode (JPEG only), resize each image, stack, classify. `answers` and `measure`
run in a separate process, which sleeps in between and keeps its sessions.
"""

import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime as ort

from benchmarks import workloads
from benchmarks.figures import CPU, IMAGES, STEP, Config
from benchmarks.workloads import Payload

Graphs: TypeAlias = tuple[Path, Path]
"""The files of the resize and of the classify graph."""

WARM_SECONDS = 0.3


class BareThread:
    """The sessions of one thread: both graphs run with `threads`."""

    def __init__(self, graphs: Graphs, *, threads: int) -> None:
        self._resize, self._classify = (_session(graph, threads=threads) for graph in graphs)

    def infer(self, payloads: Sequence[Payload]) -> Any:
        """Classes, probabilities and indices of one batch."""
        images = (workloads.decode(one) if isinstance(one, bytes) else one for one in payloads)
        crops = [self._resize.run(["pixels"], {"image": image[np.newaxis]})[0] for image in images]
        pixels = crops[0] if len(crops) == 1 else np.concatenate(crops)
        return self._classify.run(["classes", "probabilities", "indices"], {"pixels": pixels})

    def loop(self, payloads: Sequence[Payload], *, start: int, batch: int, seconds: float) -> list[float]:
        """Run batch after batch for `seconds`; return the seconds of each batch."""
        steps = []
        began = now = time.perf_counter()
        while now < began + seconds:
            self.infer([payloads[(start + offset) % len(payloads)] for offset in range(batch)])
            start += batch
            before, now = now, time.perf_counter()
            steps.append(now - before)
        return steps


def answers(graphs: Graphs, images: Path | None, scenario: str) -> list[list[int]]:
    """For each image, the class indices that are right as first prediction: one, or several that tie."""
    found = []
    for payload in workloads.load(images)[scenario]:
        _, (probabilities,), (indices,) = _lane(graphs, 0, 1).infer([payload])
        found.append([int(index) for index in indices[probabilities >= probabilities[0] - workloads.TIE]])
    return found


def measure(graphs: Graphs, images: Path | None, scenario: str, *, config: Config, seconds: float) -> dict[str, float]:
    """Run all threads at once after a warm-up. Each thread's rate is over its own time, so that no batch is cut."""
    payloads = workloads.load(images)[scenario]
    lanes = [_lane(graphs, number, config.threads) for number in range(config.sessions)]
    gate = threading.Barrier(len(lanes) + 1)

    def loop(number: int) -> list[float]:
        start = number * len(payloads) // len(lanes)
        lanes[number].loop(payloads, start=start, batch=config.batch, seconds=WARM_SECONDS)
        gate.wait()
        return lanes[number].loop(payloads, start=start, batch=config.batch, seconds=seconds)

    with ThreadPoolExecutor(len(lanes)) as threads:
        loops = threads.map(loop, range(len(lanes)))
        gate.wait()
        cpu_before = time.process_time()
        steps = list(loops)
        cpu = time.process_time() - cpu_before
    return {
        IMAGES: sum(config.batch * len(lane) / sum(lane) for lane in steps),
        CPU: cpu / sum(config.batch * len(lane) for lane in steps) * 1e3,
        STEP: statistics.median(step for lane in steps for step in lane) * 1e3,
    }


@cache
def _lane(graphs: Graphs, _number: int, threads: int) -> BareThread:
    return BareThread(graphs, threads=threads)


def _session(path: Path, *, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    # Else the threads of one session spin while the other runs, on the same cores, which halves the speed.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
