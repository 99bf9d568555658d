"""Quantises a prepared classify graph by ONNX Runtime's tools: weights for each channel, activations by their ranges.

What lives here: one graph out of a source, what photos say of it, and a recipe. What does not: which recipe is best.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import onnx
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from topfive_pipeline.graphs.pruning import prune
from topfive_pipeline.optimising.calibrated import Calibrated
from topfive_pipeline.optimising.calibration import Method
from topfive_pipeline.optimising.machine import Kind
from topfive_pipeline.optimising.placing import place_weights
from topfive_pipeline.optimising.source import BETWEEN, CLAMPS, LAYERS, Source

Scope = Literal["all", "layers"]
"""What is quantised: all that has integer kernels, or only what multiplies by weights."""
Rounding = Literal["nearest", "compensated"]
"""How weights become integers: each by itself, or so that their layer's output stays what it was (`rounding`)."""
_TYPES: Final = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}
_QUANTISE: Final = "QuantizeLinear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to quantise.

    `floats`: the layers that stay in floating point. `folds_pixels`: the crop's bytes are taken as the first quantised
    value, if the source allows it, instead of normalising and quantising them anew.
    """

    kind: Kind
    method: Method
    scope: Scope = "all"
    rounding: Rounding = "compensated"
    folds_pixels: bool = True
    floats: frozenset[str] = frozenset()


def can_fold(source: Source, kind: Kind) -> bool:
    """Whether the bytes of the crop can be the first quantised value: then nothing is lost there."""
    return source.pixels is not None and kind.activations == "uint8"


def quantised(source: Source, calibrated: Calibrated, recipe: Recipe) -> Any:
    """The ModelProto of `source` by `recipe`; its inputs and outputs are the same, and its scores are floats."""
    kind = recipe.kind
    model = onnx.ModelProto()
    model.CopyFrom(source.model)
    types = LAYERS | CLAMPS | (BETWEEN if recipe.scope == "all" else frozenset())
    chosen = [node.name for node in source.of_types(types) if node.name not in recipe.floats]
    folds = recipe.folds_pixels and can_fold(source, kind)
    spread = dict(calibrated.ranges[recipe.method])
    if folds:  # exactly the levels of the bytes
        spread[source.begin] = (-source.zero * source.step, (255 - source.zero) * source.step)
    quantiser = QDQQuantizer(
        model,
        True,  # per channel
        kind.is_narrow,
        _TYPES[kind.weights],
        _TYPES[kind.activations],
        TensorsData(
            CalibrationMethod.MinMax,
            {
                name: TensorData(lowest=np.array(low, np.float32), highest=np.array(high, np.float32))
                for name, (low, high) in spread.items()
            },
        ),
        chosen,
        [],
        sorted(types),
        {"WeightSymmetric": True, "ActivationSymmetric": False},
    )
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # the tool's advice is for its own users
    try:
        quantiser.quantize_model()
    finally:
        root.setLevel(level)
    quantiser.model.topological_sort()
    result = quantiser.model.model
    if folds:
        assert source.pixels is not None
        _replace(result, _quantised_value(result, source.begin), source.pixels)
    if (value := _quantised_value(result, source.scores)) is not None:
        restored = next(node.output[0] for node in result.graph.node if value in node.input)
        _replace(result, restored, source.scores)
    if recipe.rounding == "compensated":
        place_weights(result, calibrated.weights[kind.top])
    prune(result.graph, [output.name for output in result.graph.output])
    del result.graph.value_info[:]  # what the tool leaves there is of the old graph
    return result


def _quantised_value(model: Any, value: str) -> str | None:
    """The bytes that `value` is quantised to, if it is."""
    return next(
        (node.output[0] for node in model.graph.node if node.op_type == _QUANTISE and node.input[0] == value), None
    )


def _replace(model: Any, value: str | None, other: str) -> None:
    """Let whoever takes `value` take `other`."""
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == value:
                node.input[place] = other
