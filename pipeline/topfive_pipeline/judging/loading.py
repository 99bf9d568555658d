"""Loads graphs and says what that took: run as a process of its own, for a process is warm after its first load.

`python -m topfive_pipeline.judging.loading '[["model.onnx", 1], …]'`: files with the threads of their sessions, the
classify graph last. One JSON document on standard output: `Loaded`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from topfive.backends.onnx_runtime import runtime
from topfive.machine.usage import read_usage
from topfive_pipeline.proof.running import Graph

_BATCH: Final = 8
_FREE_SIDE_PIXELS: Final = 256
"""The side of an image if the graph takes any."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The seconds to open all sessions, the memory by which the process grew with one image, and with each further."""

    seconds: float
    memory_bytes: int
    image_bytes: float


def load(graphs: Sequence[tuple[str, int]]) -> Loaded:
    """Open `graphs`, and run the last on one image, then on a batch."""
    runtime()  # its own libraries are not the model's
    before, started = read_usage().resident_bytes, time.perf_counter()
    opened = [Graph(Path(path), threads=threads) for path, threads in graphs]
    seconds = time.perf_counter() - started
    for graph in opened:
        graph.run(_noise(graph, 1))
    alone = read_usage().resident_bytes
    opened[-1].run(_noise(opened[-1], _BATCH))
    return Loaded(seconds, alone - before, max(0, read_usage().resident_bytes - alone) / (_BATCH - 1))


def _noise(graph: Graph, images: int) -> np.typing.NDArray[np.uint8]:
    shape = [size if isinstance(size, int) else _FREE_SIDE_PIXELS for size in graph.shape[1:]]
    return np.random.default_rng(0).integers(0, 256, (images, *shape), np.uint8)


if __name__ == "__main__":
    json.dump(asdict(load(json.loads(sys.argv[1]))), sys.stdout)
