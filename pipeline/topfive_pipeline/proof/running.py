"""Runs ONNX files on the CPU. Whole files only: parts of graphs are tried in `graphs.running`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topfive.backends.graph_files import why_not_loaded
from topfive.backends.onnx_runtime import runtime
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.patience import patience

_FATAL_ONLY = 4
"""What goes wrong is raised; the runtime would write it to standard error too."""
_TAKES: Mapping[str, type[np.generic]] = {"tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
"""What FP32 becomes for an input of these types."""


class Graph:
    """An ONNX file with one input, loaded for the CPU. Raises `ConfigurationError` if it cannot be loaded."""

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        """Load `path`; `threads` per run, 0 to let ONNX Runtime choose."""
        ort = runtime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _FATAL_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # which takes CPU of others
        try:
            self._session: Any = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime raises a dozen unrelated types for a bad file
            raise ConfigurationError(
                f"{path}: onnxruntime cannot load this graph: {why_not_loaded(path, error)}"
            ) from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(f"'{each.name}'" for each in inputs) or "none"
            raise ConfigurationError(f"{path}: this graph takes {len(inputs)} inputs ({names}), and one is an image")
        (only,) = inputs
        self.path = path
        self.input_name: str = only.name
        self.shape: list[int | str | None] = only.shape
        """The shape of the input; a free dimension is given by its name, or None."""
        self.outputs: tuple[str, ...] = tuple(output.name for output in self._session.get_outputs())
        self.output_shapes: dict[str, list[int | str | None]] = {
            output.name: output.shape for output in self._session.get_outputs()
        }
        self._takes = _TAKES.get(only.type, np.float32)

    def run(self, tensor: NDArray[Any], *names: str) -> list[NDArray[Any]]:
        """The outputs `names`, or all, for `tensor`; FP32 is rounded to FP16 or to bytes for a graph that takes these.

        Raises `ConfigurationError` if it cannot be run on it.
        """
        if tensor.dtype == np.float32:
            tensor = tensor.astype(self._takes)
        try:
            with patience() as limited:
                outputs: list[NDArray[Any]] = self._session.run(list(names) or None, {self.input_name: tensor}, limited)
        except ConfigurationError:
            raise
        except Exception as error:  # as above
            raise ConfigurationError(
                f"{self.path}: onnxruntime cannot run this graph on {tensor.dtype} {list(tensor.shape)}: {error}"
            ) from error
        return outputs

    def named(self, tensor: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        """All outputs for `tensor`, by name."""
        return dict(zip(self.outputs, self.run(tensor), strict=True))
