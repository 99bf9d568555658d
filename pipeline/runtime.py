"""Runs a graph, and makes sample images. The only module of the pipeline that imports ONNX Runtime."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# From 1.29 on ONNX Runtime sends telemetry unless this variable is set when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime


class Graph:
    """An ONNX file, loaded for the CPU. Calling it with one array returns its outputs in the graph's order."""

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        """Load `path`; `threads` per run, 0 to let ONNX Runtime choose."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        (the_input,) = self._session.get_inputs()
        self._input: str = the_input.name
        self.shape: list[int | str] = the_input.shape
        """The shape of the input; a free dimension is given by its name."""
        self.outputs: list[str] = [value.name for value in self._session.get_outputs()]

    def __call__(self, array: npt.NDArray[np.uint8]) -> list[npt.NDArray[Any]]:
        """Run the graph once."""
        outputs: list[npt.NDArray[Any]] = self._session.run(None, {self._input: array})
        return outputs


def samples(count: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Return images UINT8 [count,height,width,3] with structure at every scale, the same ones every time."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[0:height, 0:width][..., np.newaxis]
    phase, frequency = generator.uniform(0, 2 * np.pi, (count, 1, 1, 3)), 2.0 ** -np.arange(1, count + 1)
    waves = np.sin(rows * frequency[:, None, None, None] + columns * 0.1 + phase)
    noise = generator.normal(0, 0.2, waves.shape)
    image: npt.NDArray[np.uint8] = np.clip((waves + noise) * 100 + 128, 0, 255).astype(np.uint8)
    return image
