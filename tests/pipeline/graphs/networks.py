"""Small networks for the tests: written as ONNX text, or as nodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.parser
import onnxruntime

from topfive_pipeline.graphs.network import Network, read

SIDE = 4
CLASSES = 3


def parsed(body: str, *, opset: int = 17, ir: int = 8, domains: str = "", **weights: npt.NDArray[Any]) -> Any:
    """The model of `body`, a graph in ONNX's text form, with `weights` as initialisers."""
    model = onnx.parser.parse_model(f'<ir_version: {ir}, opset_import: ["" : {opset}{domains}]> {body}')
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in weights.items())
    return model


def linear(*, shape: str = "N,3,4,4", opset: int = 17, ir: int = 8, dtype: str = "float", end: str = "") -> Any:
    """A network of one matrix: pixels of `shape` -> `scores` of 3 classes; `end` makes them of `raw`."""
    numpy_dtype = np.float16 if dtype == "float16" else np.float32
    length = int(np.prod([int(part) for part in shape.split(",")[1:]]))
    end = end or "scores = Identity(raw)"
    return parsed(
        f"net ({dtype}[{shape}] image) => ({dtype}[N,{CLASSES}] scores) "
        f"{{ flat = Flatten<axis=1>(image) raw = MatMul(flat, weights) {end} }}",
        opset=opset,
        ir=ir,
        weights=matrix(length, CLASSES).astype(numpy_dtype),
    )


def matrix(*shape: int) -> npt.NDArray[np.float32]:
    """Weights that are the same every time."""
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32) / np.float32(np.sqrt(shape[0]))


def saved(model: Any, folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save(model, path)
    return path


def network(model: Any, folder: Path) -> Network:
    return read(saved(model, folder))


def outputs(model: Any, **feeds: npt.NDArray[Any]) -> dict[str, Any]:
    """All outputs of `model` by name."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def pictures(count: int, height: int = SIDE, width: int = SIDE) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 256, (count, height, width, 3), np.uint8)


def softmax(scores: Any) -> Any:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def names(count: int) -> Sequence[str]:
    return [f"label {number}" for number in range(count)]
