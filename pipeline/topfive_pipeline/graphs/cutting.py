"""Cuts the network out of a classify graph: what is between the normalised input and the probabilities of all classes.

It makes no difference who built the graph: the head is whatever is done to the pixels by arithmetic with constants and
by moving them about, and the tail begins at the `TopK`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import onnx

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.reference import Layout

_HEAD: Final = frozenset(
    {"Cast", "Transpose", "Sub", "Add", "Mul", "Div", "Gather", "Identity"} | {"ReduceSum", "Floor"}
)
"""Operators that colours are normalised and ordered by; the last two make them grey."""
_FLOATS: Final = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
_RANK: Final = 4
_COLOURS: Final = 3


@dataclass(frozen=True, slots=True)
class Cut:
    """The network alone: `model` takes one float tensor in `layout`, and puts out `output`: all classes [N, k]."""

    model: Any
    output: str
    layout: Layout
    channels: int


def cut(model: Any) -> Cut:
    """The network of a classify graph `pixels` UINT8 [N, h, w, 3] -> labels.

    Raises `ConfigurationError` if it cannot be told where the network begins or ends.
    """
    inferred = onnx.shape_inference.infer_shapes(model)
    graph = inferred.graph
    begin, skipped = _end_of_head(graph)
    output = all_probabilities(graph)
    layout, shape = _layout(graph, begin)
    channels = shape[0] if layout == "NCHW" else shape[2]
    result = onnx.ModelProto()
    result.CopyFrom(model)
    kept = [node for index, node in enumerate(model.graph.node) if index not in skipped]
    needed = _upstream(kept, {output}, begin)
    del result.graph.node[:]
    result.graph.node.extend(node for index, node in enumerate(kept) if index in needed)
    del result.graph.input[:]
    kind = _type_of(graph, begin)
    if kind not in _FLOATS:
        raise ConfigurationError("the network does not begin where the pixels have become floating-point numbers")
    result.graph.input.append(onnx.helper.make_tensor_value_info(begin, kind, ["N", *shape]))
    del result.graph.output[:]
    result.graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, ["N", None]))
    del result.graph.value_info[:]
    return Cut(result, output, layout, channels)


def _end_of_head(graph: Any) -> tuple[str, set[int]]:
    """The value that the network begins with, and the places of the nodes before it."""
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {node.output[0] for node in graph.node if node.op_type == "Constant"}
    uses = Counter(name for node in graph.node for name in node.input)
    value, skipped = graph.input[0].name, set[int]()
    while uses[value] == 1:
        index, node = next((index, node) for index, node in enumerate(graph.node) if value in node.input)
        others = [name for name in node.input if name != value]
        if node.op_type not in _HEAD or not set(others) <= constants or len(node.output) != 1:
            break
        skipped.add(index)
        value = node.output[0]
    if not skipped:
        raise ConfigurationError("the graph does nothing to its pixels before the network that could be left out")
    return value, skipped


def all_probabilities(graph: Any) -> str:
    """The value that the one `TopK` of a classify graph chooses from; raises `ConfigurationError` if there is none."""
    chosen = [node for node in graph.node if node.op_type == "TopK"]
    if len(chosen) != 1:
        raise ConfigurationError(
            f"the graph has {len(chosen)} TopK nodes, so the probabilities of all classes are unknown"
        )
    return str(chosen[0].input[0])


def _layout(graph: Any, value: str) -> tuple[Layout, list[int]]:
    shape = next(
        (
            [each.dim_value for each in info.type.tensor_type.shape.dim]
            for info in graph.value_info
            if info.name == value
        ),
        [],
    )
    if len(shape) == _RANK and shape[1] in (1, _COLOURS):
        return "NCHW", shape[1:]
    if len(shape) == _RANK and shape[3] in (1, _COLOURS):
        return "NHWC", shape[1:]
    raise ConfigurationError(f"the network's input has shape {shape}, which is neither NCHW nor NHWC")


def _type_of(graph: Any, value: str) -> int:
    return int(next(info.type.tensor_type.elem_type for info in graph.value_info if info.name == value))


def _upstream(nodes: list[Any], wanted: set[str], begin: str) -> set[int]:
    """The places of the nodes that `wanted` values need, back to `begin`."""
    needed: set[int] = set()
    for index in range(len(nodes) - 1, -1, -1):
        if wanted & set(nodes[index].output):
            needed.add(index)
            wanted = wanted | (set(_inputs(nodes[index])) - {begin})
    return needed


def _inputs(node: Any) -> list[str]:
    """The values that a node reads, also those that its subgraphs read from outside."""
    names = list(node.input)
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            for inner in graph.node:
                names += _inputs(inner)
    return names
