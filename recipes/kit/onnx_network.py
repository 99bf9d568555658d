"""An ONNX graph as a network in PyTorch: it can be trained, and what it learnt can be written back.

So training begins with the graph that is served, wherever that came from, and ends with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

from topfive.ground.errors import ConfigurationError

LAYERS: Final = ("Conv", "Gemm")
"""What multiplies by weights: their second and third inputs are trained."""
Change = Callable[[str, torch.Tensor], torch.Tensor]
"""What becomes of a value, or of a weight, of this name before it is used."""


class OnnxNetwork(nn.Module):
    """The graph of a `model` with one input FP32 [N, ...] and one output; a layer of it may be a Conv or a Gemm.

    `on_value`, `on_weight`: what becomes of each value and of each layer's weight. Raises `ConfigurationError` if an
    operator is not known here.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        graph = model.graph
        self.model = model
        self.given, self.result = graph.input[0].name, graph.output[0].name
        unknown = {node.op_type for node in graph.node} - set(_OPERATORS)
        if unknown:
            raise ConfigurationError(f"{', '.join(sorted(unknown))}: there is no such operator here; see {__name__}")
        for node in graph.node:
            _check(node)
        arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        trained = {name for node in graph.node if node.op_type in LAYERS for name in node.input[1:]}
        self.names = sorted(trained)
        self.weights = nn.ParameterList(torch.from_numpy(arrays[name].copy()) for name in self.names)
        self.constants = {name: array for name, array in arrays.items() if name not in trained}
        self.on_value: Change = lambda _, value: value
        self.on_weight: Change = lambda _, weight: weight

    def weight(self, name: str) -> torch.Tensor:
        """The trained weight or bias of this name."""
        found: torch.Tensor = self.weights[self.names.index(name)]
        return found

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """FP32 [n, ...] -> the output of the graph."""
        values: dict[str, Any] = {self.given: self.on_value(self.given, inputs), **self.constants}
        for node in self.model.graph.node:
            taken = [values[name] for name in node.input if name in values]
            if node.op_type in LAYERS:
                weight, *bias = (self.weight(name) for name in node.input[1:])
                taken += [self.on_weight(node.input[1], weight), *bias]
            attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
            value = _OPERATORS[node.op_type](attributes, *taken)
            values[node.output[0]] = self.on_value(node.output[0], value)
        found: torch.Tensor = values[self.result]
        return found

    def written(self) -> onnx.ModelProto:
        """The graph with the weights as they are now."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        for each in model.graph.initializer:
            if each.name in self.names:
                each.CopyFrom(numpy_helper.from_array(self.weight(each.name).detach().numpy(), each.name))
        return model


def _check(node: onnx.NodeProto) -> None:
    """Raise `ConfigurationError` if an attribute of `node` asks for what is not done here."""
    for each in node.attribute:
        value, done = onnx.helper.get_attribute_value(each), _DONE.get((node.op_type, each.name))
        if done is not None and value not in done:
            raise ConfigurationError(f"{node.op_type} with {each.name} {value!r}: here it is only done with {done}")
    if node.op_type == "Clip" and not all([*node.input, "", ""][1:3]):
        raise ConfigurationError("Clip without both bounds: it is only done with both here")


_DONE: Final[dict[tuple[str, str], tuple[Any, ...]]] = {
    ("Conv", "auto_pad"): (b"NOTSET",),
    ("Gemm", "alpha"): (1.0,),
    ("Gemm", "beta"): (1.0,),
    ("Gemm", "transA"): (0,),
    ("ReduceMean", "noop_with_empty_axes"): (0,),
}
"""Attributes that not every value is done of, and those that are."""


def _conv(attributes: dict[str, Any], x: torch.Tensor, weight: torch.Tensor, bias: Any = None) -> torch.Tensor:
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    strides, dilations = attributes.get("strides", (1, 1)), attributes.get("dilations", (1, 1))
    if (top, left) == (bottom, right):
        return functional.conv2d(x, weight, bias, strides, (top, left), dilations, attributes.get("group", 1))
    padded = functional.pad(x, (left, right, top, bottom))
    return functional.conv2d(padded, weight, bias, strides, 0, dilations, attributes.get("group", 1))


def _gemm(attributes: dict[str, Any], x: torch.Tensor, weight: torch.Tensor, bias: Any = None) -> torch.Tensor:
    return functional.linear(x, weight if attributes.get("transB") else weight.T, bias)


def _mean(attributes: dict[str, Any], x: torch.Tensor, axes: np.ndarray[Any, Any]) -> torch.Tensor:
    return x.mean(axes.tolist(), keepdim=bool(attributes.get("keepdims", 1)))


def _reshape(attributes: dict[str, Any], x: torch.Tensor, shape: np.ndarray[Any, Any]) -> torch.Tensor:
    copies = not attributes.get("allowzero")  # then 0 is the length that this dimension has
    return x.reshape([x.shape[at] if length == 0 and copies else length for at, length in enumerate(shape.tolist())])


_OPERATORS: Final[dict[str, Callable[..., torch.Tensor]]] = {
    "Add": lambda _, x, y: x + y,
    "Clip": lambda _, x, low, high: x.clamp(float(low), float(high)),
    "Conv": _conv,
    "Gemm": _gemm,
    "ReduceMean": _mean,
    "Relu": lambda _, x: x.relu(),
    "Reshape": _reshape,
}
