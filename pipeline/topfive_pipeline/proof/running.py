"""Runs ONNX files on the CPU, on any engine that serves.

Whole files only: parts of graphs are tried in `graphs.running`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topfive.ground.errors import ConfigurationError
from topfive.repository.accelerators import Engine, Precision
from topfive_pipeline.patience import patience
from topfive_pipeline.proof.engines import opened

_TAKES: Mapping[str, type[np.generic]] = {"tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
"""What FP32 becomes for an input of these types."""


class Graph:
    """An ONNX file with one input, loaded for the CPU. Raises `ConfigurationError` if it cannot be loaded.

    `threads` for each run, 0 to let the engine choose; `streams`: how many runs go on at once on OpenVINO.
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 0,
        engine: Engine = "onnxruntime",
        precision: Precision = "fp32",
        streams: int = 1,
    ) -> None:
        self._session = opened(path, engine=engine, precision=precision, threads=threads, streams=streams)
        inputs = self._session.inputs
        if len(inputs) != 1:
            names = ", ".join(f"'{each.name}'" for each in inputs) or "none"
            raise ConfigurationError(f"{path}: this graph takes {len(inputs)} inputs ({names}), and one is an image")
        (only,) = inputs
        self.path = path
        self.engine, self.precision = engine, precision
        self.input_name: str = only.name
        self.shape: list[int | str | None] = only.shape
        """The shape of the input; a free dimension is given by its name, or None."""
        self.outputs: tuple[str, ...] = tuple(output.name for output in self._session.outputs)
        self.output_shapes: dict[str, list[int | str | None]] = {
            output.name: output.shape for output in self._session.outputs
        }
        self._takes = _TAKES.get(only.type, np.float32)

    def run(self, tensor: NDArray[Any], *names: str) -> list[NDArray[Any]]:
        """The outputs `names`, or all, for `tensor`; FP32 is rounded to FP16 or to bytes for a graph that takes these.

        Raises `ConfigurationError` if it cannot be run on it.
        """
        if tensor.dtype == np.float32:
            tensor = tensor.astype(self._takes)
        session = self._session
        try:
            with patience(session.new_run()) as limited:
                outputs = session.run(names or self.outputs, (self.input_name, tensor), limited)
        except ConfigurationError:
            raise
        except Exception as error:  # as an engine raises unrelated types for whatever it is
            raise ConfigurationError(
                f"{self.path}: {session.engine} cannot run this graph on {tensor.dtype} {list(tensor.shape)}: {error}"
            ) from error
        return outputs

    def named(self, tensor: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        """All outputs for `tensor`, by name."""
        return dict(zip(self.outputs, self.run(tensor), strict=True))
