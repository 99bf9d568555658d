"""Prepares a classify graph for quantisation: what stands before and behind the network, its layers, and its values.

Constants are folded and normalisations join the weights before them, by ONNX Runtime's basic optimisations, as it would
do when it loads the graph; so layers are quantised as they run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs.cutting import cut

LAYERS: Final = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Operators that multiply by weights: nearly all of the time, and the units of sensitivity."""
CLAMPS: Final = frozenset({"Clip", "Relu"})
"""They vanish into the quantisation of the layer before them, whose integers cannot leave the range."""
BETWEEN: Final = frozenset(
    {"Add", "Mul", "LeakyRelu", "Sigmoid"}
    | {"AveragePool", "GlobalAveragePool", "MaxPool"}
    | {"Concat", "Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
)
"""Operators between layers that ONNX Runtime has for bytes. Softmax and normalisations have not the precision."""
_OPSET: Final = 13
"""The first in which `DequantizeLinear` takes a scale for each channel."""
_FROM_OPSET: Final = 17
"""What older graphs are converted to."""
_MADE_OF: Final = frozenset({"Concat", "Softmax", "Sigmoid", "Exp", "Cast", "Flatten"})
"""What tails make probabilities of scores by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A classify graph, prepared: every node has a name of its own, and values their shapes.

    `begin`: the value that the network takes; `scores`: the one that it puts out. `pixels`: the value of bytes that
    becomes `begin` as (byte - `zero`) * `step`, if it does so by one whole `zero` and one `step` for all channels;
    else None. `nodes`: the names of the network's nodes.
    """

    path: Path
    model: Any
    begin: str
    scores: str
    nodes: frozenset[str]
    pixels: str | None = None
    zero: int = 0
    step: float = 1.0

    def of_types(self, types: frozenset[str]) -> list[Any]:
        """The network's nodes of these operators, in order."""
        return [node for node in self.model.graph.node if node.name in self.nodes and node.op_type in types]

    @property
    def layers(self) -> list[str]:
        """The names of the layers, in order."""
        return [node.name for node in self.of_types(LAYERS)]


def prepare(path: Path) -> Source:
    """Read and prepare the classify graph in the file `path`; raises `ConfigurationError` if it cannot be quantised."""
    model = onnx.load(path)
    _check(model, path)
    if _opset(model) < _OPSET:
        try:
            model = onnx.version_converter.convert_version(model, _FROM_OPSET)
        except Exception as error:  # the converter raises what its C++ does
            raise ConfigurationError(
                f"{path}: it has opset {_opset(model)}, int8 for each channel needs {_OPSET}, and ONNX cannot convert "
                f"it ({str(error).splitlines()[0]}); export the network with opset {_FROM_OPSET} and import it again"
            ) from error
    model = onnx.shape_inference.infer_shapes(_optimised(model))
    _name_nodes(model)
    network = cut(model)
    begin = network.model.graph.input[0].name
    scores = _scores(model, network.output)
    nodes = frozenset(_between(model, begin, scores))
    pixels, zero, step = _head(model, begin)
    source = Source(
        path=path, model=model, begin=begin, scores=scores, nodes=nodes, pixels=pixels, zero=zero, step=step
    )
    if not source.layers:
        raise ConfigurationError(
            f"{path}: the network has no layer that could be quantised ({', '.join(sorted(LAYERS))})"
        )
    return source


def constants(model: Any) -> dict[str, Any]:
    """The graph's initialisers by name."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def with_outputs(model: Any, names: Sequence[str]) -> Any:
    """`model` with the floating-point values `names` as its outputs."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.output[:]
    result.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    return result


def _check(model: Any, path: Path) -> None:
    if any(node.op_type in {"QuantizeLinear", "DequantizeLinear"} for node in model.graph.node):
        raise ConfigurationError(f"{path}: it is quantised already; name a version in floating point, as in NAME:1")
    if any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in model.graph.initializer):
        raise ConfigurationError(
            f"{path}: its weights are FP16, which ONNX Runtime computes as FP32 on a CPU and cannot quantise; import "
            "the network in FP32"
        )


def _opset(model: Any) -> int:
    return int(next(each.version for each in model.opset_import if each.domain in {"", "ai.onnx"}))


def _optimised(model: Any) -> Any:
    """`model` after ONNX Runtime's basic optimisations, which leave operators of ONNX only."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    with TemporaryDirectory() as folder:
        given, made = Path(folder, "given.onnx"), Path(folder, "made.onnx")
        onnx.save(model, given)
        options.optimized_model_filepath = str(made)
        onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
        result = onnx.load(made)
    used = {node.domain for node in result.graph.node} | {""}
    kept = [each for each in result.opset_import if each.domain in used]
    del result.opset_import[:]
    result.opset_import.extend(kept)
    result.ir_version = model.ir_version
    return result


def _name_nodes(model: Any) -> None:
    seen: set[str] = set()
    for place, node in enumerate(model.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_{place}"
        seen.add(node.name)


def _scores(model: Any, probabilities: str) -> str:
    """The value that `probabilities` are made of."""
    makers = {output: node for node in model.graph.node for output in node.output}
    value = probabilities
    while (node := makers.get(value)) is not None and node.op_type in _MADE_OF:
        value = node.input[-1 if node.op_type == "Concat" else 0]
    return value


def _between(model: Any, begin: str, end: str) -> Iterator[str]:
    """The names of the nodes that lie on a way from `begin` to `end`."""
    reached = {begin}
    for node in model.graph.node:
        if reached & set(node.input):
            reached |= set(node.output)
    needed = {end}
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            if reached & set(node.input):
                yield node.name


def _head(model: Any, begin: str) -> tuple[str | None, int, float]:
    """The bytes that become `begin`, their zero, and their step; see `Source`."""
    makers = {output: node for node in model.graph.node for output in node.output}
    values = constants(model)
    zero, step = 0.0, 1.0
    value = begin
    for operator in ("Mul", "Sub"):
        node = makers.get(value)
        if node is None or node.op_type != operator:
            continue
        number = _number(values, node.input)
        if number is None:
            return None, 0, 1.0
        zero, step = (number, step) if operator == "Sub" else (zero, number)
        value = node.input[0]
    node = makers.get(value)
    if node is None or node.op_type != "Cast" or zero != round(zero) or not 0 <= zero <= 255 or step <= 0:
        return None, 0, 1.0
    return node.input[0], int(zero), step


def _number(values: dict[str, Any], inputs: Sequence[str]) -> float | None:
    """The one number that the second of `inputs` is, if it is one."""
    if inputs[1] not in values:
        return None
    array = onnx.numpy_helper.to_array(values[inputs[1]])
    return float(array.flat[0]) if array.size and np.all(array == array.flat[0]) else None
