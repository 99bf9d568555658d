"""Writes a network that was trained with fake quantisation as a QDQ graph, which runtimes run in integers.

Each value that integers hold has a QuantizeLinear and a DequantizeLinear behind it; weights and biases are stored as
integers with a DequantizeLinear (onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from recipes.kit.fake_quantise import Aware
from recipes.kit.onnx_network import LAYERS
from recipes.kit.publishing import save


def to_qdq(aware: Aware, file: Path, properties: Mapping[str, str] | None = None) -> Path:
    """Write `aware` to `file`, with these `properties` in its `metadata_props`; return `file`."""
    model = aware.network.written()
    graph = model.graph
    ranges = {name: each.step_and_zero() for name, each in zip(aware.places, aware.activations, strict=True)}
    renamed = {name: f"{name}_dequantised" for name in ranges}
    nodes = [
        node for name in (aware.network.given,) if name in ranges for node in _quantised(graph, name, *ranges[name])
    ]
    for node in graph.node:
        if node.op_type in LAYERS:
            nodes += _layer(graph, node, aware, ranges[node.input[0]][0])
        node.input[:] = [renamed.get(name, name) for name in node.input]
        nodes.append(node)
        if node.output[0] in ranges:
            nodes += _quantised(graph, node.output[0], *ranges[node.output[0]])
    del graph.node[:]
    graph.node.extend(nodes)
    taken = {name for node in graph.node for name in node.input}
    kept = [each for each in graph.initializer if each.name in taken]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return save(model, file, properties)


def _layer(graph: Any, node: Any, aware: Aware, step: float) -> list[Any]:
    """The weight of a layer as INT8, and its bias as INT32 in steps of the products; `step`: of the layer's input."""
    levels, steps = (each.numpy() for each in aware.levels_of(node.input[1]))
    weight, *bias = node.input[1:]
    for name in bias:  # a channel of hardly any weight gets a larger step, or its bias would not fit into INT32
        least = np.abs(aware.network.weight(name).detach().numpy()) / (step * 2.0**30)
        larger = np.maximum(steps, least if steps.ndim else least.max()).astype(np.float32)
        by = (steps / larger).reshape(-1, *[1] * (levels.ndim - 1)) if steps.ndim else steps / larger
        levels, steps = np.round(levels * by).astype(np.int8), larger
    node.input[1] = f"{weight}_dequantised"
    found = [_dequantised(graph, weight, levels, steps)]
    for name in bias:
        products = (steps * np.float32(step)).astype(np.float32)
        whole = np.round(aware.network.weight(name).detach().numpy() / products).astype(np.int32)
        node.input[2] = f"{name}_dequantised"
        found.append(_dequantised(graph, name, whole, products))
    return found


def _quantised(graph: Any, value: str, step: float, zero: int) -> list[Any]:
    """The nodes that round `value` to its levels."""
    said = [f"{value}_step", f"{value}_zero"]
    for name, number in zip(said, (np.array(step, np.float32), np.array(zero, np.uint8)), strict=True):
        graph.initializer.append(numpy_helper.from_array(number, name))
    return [
        helper.make_node("QuantizeLinear", [value, *said], [f"{value}_levels"]),
        helper.make_node("DequantizeLinear", [f"{value}_levels", *said], [f"{value}_dequantised"]),
    ]


def _dequantised(graph: Any, name: str, levels: NDArray[Any], steps: NDArray[np.float32]) -> Any:
    """The node that makes the weight or bias `name` of its `levels`; per channel along the first axis."""
    said = [f"{name}_levels", f"{name}_steps"]
    for each, numbers in zip(said, (levels, steps), strict=True):
        graph.initializer.append(numpy_helper.from_array(numbers, each))
    return helper.make_node("DequantizeLinear", said, [f"{name}_dequantised"], **({"axis": 0} if steps.ndim else {}))
