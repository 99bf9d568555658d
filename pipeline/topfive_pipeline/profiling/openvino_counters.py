"""OpenVINO's own counters of a graph's nodes (`PERF_COUNT`): microseconds by node and by what it runs as."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topfive.backends import openvino_runtime
from topfive.ground.errors import ConfigurationError
from topfive.repository.accelerators import Precision


class Counted:
    """A graph on OpenVINO with the properties of the service's own, and its counters on."""

    def __init__(self, path: Path, *, threads: int, precision: Precision) -> None:
        openvino_runtime.load()
        import openvino

        properties = openvino_runtime.properties(threads, 1, precision)
        try:
            compiled = openvino.Core().compile_model(path, "CPU", properties | {"PERF_COUNT": True})
        except Exception as error:  # OpenVINO raises RuntimeError for whatever it is
            raise ConfigurationError(f"{path}: OpenVINO cannot load this graph: {error}") from error
        self._request: Any = compiled.create_infer_request()

    def run(self, batch: NDArray[np.uint8]) -> None:
        """Once."""
        self._request.infer([batch])

    def counters(self, batch: NDArray[np.uint8], *, runs: int) -> Iterator[tuple[str, str, float]]:
        """Name, operator and microseconds of each node that ran, of each of `runs`."""
        for _ in range(runs):
            self.run(batch)
            for node in self._request.get_profiling_info():
                spent = node.real_time.total_seconds() * 1e6
                if spent:
                    yield node.node_name, node.node_type, spent
