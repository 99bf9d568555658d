"""Loads graphs and says what that took: run as a process of its own, for a process is warm after its first load.

`python -m topfive_pipeline.judging.loading '[["model.onnx", "onnxruntime", "fp32", 1, 1], …]'`: the fields of
`judging.sessions.Opening`, the classify graph last. One JSON document on standard output: `Loaded`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Barrier
from typing import Final

import numpy as np

from topfive.machine.usage import read_usage
from topfive_pipeline.judging.sessions import Opening
from topfive_pipeline.proof.engines import prepare
from topfive_pipeline.proof.running import Graph

_BATCH: Final = 8
_FREE_SIDE_PIXELS: Final = 256
"""The side of an image if the graph takes any."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The seconds to open all sessions, and the memory by which the process grew.

    `memory_bytes`: until every session had answered an image, on each of its streams. `image_bytes`: by each further
    image of a batch.
    """

    seconds: float
    memory_bytes: int
    image_bytes: float


def load(openings: Sequence[Opening]) -> Loaded:
    """Open all `openings` and run each on an image, then the last on a batch."""
    for each in openings:
        prepare(each.engine)  # its own libraries are not the model's
    before, started = read_usage().resident_bytes, time.perf_counter()
    opened = [
        Graph(
            Path(each.path),
            engine=each.engine,
            precision=each.precision,
            threads=each.threads,
            streams=each.streams,
        )
        for each in openings
    ]
    seconds = time.perf_counter() - started
    for graph, each in zip(opened, openings, strict=True):
        _run_on_all_streams(graph, each.streams)
    alone = read_usage().resident_bytes
    opened[-1].run(_noise(opened[-1], _BATCH))
    return Loaded(seconds, alone - before, max(0, read_usage().resident_bytes - alone) / (_BATCH - 1))


def _run_on_all_streams(graph: Graph, streams: int) -> None:
    """Each stream takes memory of its own when it first runs, so all of them must run at once."""
    image, together = _noise(graph, 1), Barrier(streams)

    def run() -> None:
        together.wait()
        graph.run(image)

    with ThreadPoolExecutor(streams) as pool:
        for done in [pool.submit(run) for _ in range(streams)]:
            done.result()


def _noise(graph: Graph, images: int) -> np.typing.NDArray[np.uint8]:
    shape = [size if isinstance(size, int) else _FREE_SIDE_PIXELS for size in graph.shape[1:]]
    return np.random.default_rng(0).integers(0, 256, (images, *shape), np.uint8)


if __name__ == "__main__":
    json.dump(asdict(load([Opening(*each) for each in json.loads(sys.argv[1])])), sys.stdout)
