"""Collects nodes and constants for a piece of a graph, in whatever opset from 7 on the rest of the graph is in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx

ELEMENT_TYPES: Final = {
    "float32": onnx.TensorProto.FLOAT,
    "float16": onnx.TensorProto.FLOAT16,
    "float64": onnx.TensorProto.DOUBLE,
    "uint8": onnx.TensorProto.UINT8,
    "int64": onnx.TensorProto.INT64,
    "bool": onnx.TensorProto.BOOL,
}
"""ONNX's element types by NumPy's names."""
_AXES_ARE_INPUTS: Final = 13
"""The opset in which Squeeze, Unsqueeze and ReduceSum take their axes as an input; an attribute before."""


class Nodes:
    """Nodes and initialisers so far; each value is named `prefix` + a counted stem, so that names never collide."""

    def __init__(self, *, opset: int, prefix: str) -> None:
        self.opset = opset
        self.nodes: list[Any] = []
        self.initialisers: list[Any] = []
        self._prefix = prefix
        self._count = 0

    def named(self, stem: str) -> str:
        """A name that no other value has."""
        self._count += 1
        return f"{self._prefix}{stem.lower()}_{self._count}"

    def add(self, op: str, *inputs: str, to: str | None = None, **attributes: Any) -> str:
        """Add a node of one output, and return the name of that output."""
        output = to or self.named(op)
        self.nodes.append(onnx.helper.make_node(op, list(inputs), [output], name=self._node(output), **attributes))
        return output

    def add_several(self, op: str, *inputs: str, to: Sequence[str], **attributes: Any) -> None:
        """Add a node of the outputs `to`."""
        self.nodes.append(onnx.helper.make_node(op, list(inputs), list(to), name=self._node(to[0]), **attributes))

    def constant(self, value: npt.NDArray[Any] | np.number[Any]) -> str:
        """Add an initialiser and return its name."""
        name = self.named("constant")
        self.initialisers.append(onnx.numpy_helper.from_array(np.array(value), name))
        return name

    def integers(self, *values: int) -> str:
        """Add an initialiser INT64 [n]."""
        return self.constant(np.array(values, np.int64))

    def strings(self, values: Sequence[str]) -> str:
        """Add an initialiser STRING [n]."""
        name = self.named("constant")
        encoded = [value.encode() for value in values]
        self.initialisers.append(onnx.helper.make_tensor(name, onnx.TensorProto.STRING, [len(encoded)], encoded))
        return name

    def cast(self, value: str, dtype: str, *, to: str | None = None) -> str:
        """Cast `value` to NumPy's `dtype`."""
        output = to or self.named("cast")
        self.nodes.append(
            onnx.helper.make_node("Cast", [value], [output], name=self._node(output), to=ELEMENT_TYPES[dtype])
        )
        return output

    def over_axes(self, op: str, value: str, axes: Sequence[int], *, to: str | None = None, **attributes: Any) -> str:
        """Add Squeeze, Unsqueeze or ReduceSum over `axes`."""
        if self.opset >= _AXES_ARE_INPUTS:
            return self.add(op, value, self.integers(*axes), to=to, **attributes)
        return self.add(op, value, to=to, axes=list(axes), **attributes)

    def _node(self, output: str) -> str:
        return output if output.startswith(self._prefix) else f"{self._prefix}{output}"


def producers(graph: Any) -> dict[str, Any]:
    """The node that computes each value of `graph`, subgraphs not included."""
    return {output: node for node in graph.node for output in node.output if output}


def attribute(node: Any, name: str, default: Any = None) -> Any:
    """The value of an attribute of `node`."""
    for entry in node.attribute:
        if entry.name == name:
            return onnx.helper.get_attribute_value(entry)
    return default


def constants(graph: Any) -> dict[str, Any]:
    """The tensors of `graph` that are constant, by name: initialisers and `Constant` nodes' values."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and (tensor := constant_tensor(node)) is not None:
            found[node.output[0]] = tensor
    return found


def constant_tensor(node: Any) -> Any:
    """The tensor of a `Constant` node; None if it is sparse or text."""
    for entry in node.attribute:
        value = onnx.helper.get_attribute_value(entry)
        if entry.name == "value":
            return value
        if entry.name in {"value_int", "value_ints"}:
            return onnx.numpy_helper.from_array(np.array(value, np.int64))
        if entry.name in {"value_float", "value_floats"}:
            return onnx.numpy_helper.from_array(np.array(value, np.float32))
    return None


def graphs_in(graph: Any) -> Iterator[Any]:
    """`graph` and all graphs in its nodes' attributes."""
    yield graph
    for node in graph.node:
        yield from _graphs_of(node)


def nodes_in(model: Any) -> Iterator[Any]:
    """All nodes of `model`: of its graph, its subgraphs and its functions."""
    for graph in graphs_in(model.graph):
        yield from graph.node
    for function in model.functions:
        for node in function.node:
            yield node
            for graph in _graphs_of(node):
                yield from graph.node


def _graphs_of(node: Any) -> Iterator[Any]:
    for entry in node.attribute:
        if entry.type == onnx.AttributeProto.GRAPH:
            yield from graphs_in(entry.g)
        for graph in entry.graphs:
            yield from graphs_in(graph)
