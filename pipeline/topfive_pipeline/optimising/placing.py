"""Puts rounded weights and their biases into a quantised graph, in the place of what its tool had rounded.

What lives here: initialisers. What does not: which integers they are (`rounding`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from topfive_pipeline.optimising.rounding import Rounded
from topfive_pipeline.optimising.source import constants

_MOST: Final = 2**30
"""Levels of a bias, whose integers have 32 bits; half of them, for products are added to it."""
_LAST_IS_OUTPUTS: Final = frozenset({"Gemm", "MatMul"})
_DEQUANTISE: Final = "DequantizeLinear"


def place_weights(model: Any, weights: Mapping[str, Rounded]) -> None:
    """Give each layer of `model` its `weights`, by their names; layers in floating point stay as they are."""
    values = constants(model)
    makers = {output: node for node in model.graph.node for output in node.output}
    for node in (node for node in model.graph.node if node.name in weights):
        taken, multiplied, *added = (makers.get(name) for name in node.input)
        if multiplied is None or multiplied.op_type != _DEQUANTISE or multiplied.input[0] not in values:
            continue
        step = 1.0
        if taken is not None and taken.op_type == _DEQUANTISE:
            step = float(_array(values[taken.input[1]]).reshape(-1)[0])
        _place(node, (multiplied, added[0] if added else None), values, weights[node.name], step)


def _place(node: Any, makers: tuple[Any, Any], values: Mapping[str, Any], given: Rounded, step: float) -> None:
    """Exchange the initialisers of one layer; `makers`: of its weights and its bias; `step`: a level of its input."""
    multiplied, added = makers
    scale = given.scale.reshape(-1).astype(np.float64)
    levels = given.levels.reshape(len(scale), -1)
    if given.bias is not None:  # weights that are nearly nothing would leave their bias too many levels
        needed = np.maximum(scale, np.abs(given.bias) / (step * _MOST))
        levels, scale = np.round(levels * (scale / needed)[:, np.newaxis]), needed
    before = values[multiplied.input[0]]
    shape = _array(before).shape
    is_across = node.op_type in _LAST_IS_OUTPUTS and not _attribute(node, "transB")
    zero = _array(values[multiplied.input[2]]).reshape(-1, 1).astype(np.int64)
    whole = levels.astype(np.int64) + zero
    _set(before, (whole.T if is_across else whole).reshape(shape))
    _set(values[multiplied.input[1]], scale)
    if given.bias is None:
        return
    if added is not None and added.op_type == _DEQUANTISE:
        _set(values[added.input[1]], step * scale)
        _set(values[added.input[0]], np.round(given.bias / (step * scale).astype(np.float32)))
    else:
        _set(values[node.input[2]], given.bias)


def _set(tensor: Any, array: NDArray[Any]) -> None:
    """Let `tensor` hold `array`, in its own type and shape."""
    before = _array(tensor)
    tensor.CopyFrom(onnx.numpy_helper.from_array(array.reshape(before.shape).astype(before.dtype), tensor.name))


def _array(tensor: Any) -> NDArray[Any]:
    found: NDArray[Any] = onnx.numpy_helper.to_array(tensor)
    return found


def _attribute(node: Any, name: str) -> int:
    return next((int(each.i) for each in node.attribute if each.name == name), 0)
