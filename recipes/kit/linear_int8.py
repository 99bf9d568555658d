"""The Linear layers of an exported network in eight bits; all else stays FP32.

Weights: one scale for each column (output), symmetric, and in 7 bits: processors without VNNI add two products of
bytes in 16 bits, and cut what is more than 32 767; with 7 bits it is at most 2 x 255 x 64 = 32 640. What is multiplied
with them is quantised in one of two ways: `dynamic` finds its range in every run, `calibrated` found it once, on
pictures. Both after Jacob et al., arXiv:1712.05877, section 2.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

from topfive.ground.errors import ConfigurationError

_AT_ONCE = 64


def dynamic(file: Path, to: Path) -> Path:
    """Quantise the Linear layers of `file` with ranges that each run finds for itself; return `to`.

    DynamicQuantizeLinear takes one range for a whole batch: what a picture gets would depend on its neighbours.
    `topfive import` therefore lets such a network run picture by picture. A Gemm, as the head is exported, stays FP32:
    the tool renames it before it looks which layers are meant.
    Raises `ConfigurationError` if there is none to quantise.
    """
    model, layers = _with_layers(file)
    to.parent.mkdir(parents=True, exist_ok=True)
    with _quiet():
        quantize_dynamic(
            model, to, nodes_to_quantize=layers, per_channel=True, weight_type=QuantType.QInt8, reduce_range=True
        )
    return to


def calibrated(file: Path, inputs: NDArray[np.float32], to: Path) -> Path:
    """Quantise the Linear layers of `file` with the ranges that `inputs` [n, ...] have in them; return `to`.

    Raises `ConfigurationError` if there is none to quantise.
    """
    model, layers = _with_layers(file)
    to.parent.mkdir(parents=True, exist_ok=True)
    with _quiet():
        quantize_static(
            model,
            to,
            _Reader(inputs),
            quant_format=QuantFormat.QDQ,
            nodes_to_quantize=layers,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=True,
            # What comes out stays FP32: to round it too would cost an operator and twice the error.
            extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"], "QuantizeBias": False},
        )
    return to


def layers_of(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that multiply by a matrix of weights."""
    weights = {each.name for each in model.graph.initializer}
    return [node.name for node in model.graph.node if node.op_type in {"MatMul", "Gemm"} and node.input[1] in weights]


def _with_layers(file: Path) -> tuple[onnx.ModelProto, list[str]]:
    model = onnx.load(file)
    del model.graph.value_info[:]  # the exporter leaves shapes of weights that it has transposed, and the tool refuses
    if not (layers := layers_of(model)):
        raise ConfigurationError(
            f"{file} has no Linear layer to quantise: no MatMul or Gemm of it has constant weights"
        )
    return model, layers


class _Reader(CalibrationDataReader):
    """Hands the pictures to the quantiser, some at a time."""

    def __init__(self, inputs: NDArray[np.float32]) -> None:
        self._left = [inputs[start : start + _AT_ONCE] for start in range(0, len(inputs), _AT_ONCE)]

    def get_next(self) -> dict[str, Any] | None:
        """The next ones; None at the end."""
        return {"normalised": self._left.pop(0)} if self._left else None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's advice to prepare the graph first: ONNX Runtime fuses more after it than before."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
