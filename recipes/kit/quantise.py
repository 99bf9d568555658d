"""Post-training quantisation of an ONNX graph to eight bits, by ONNX Runtime's tool, with ranges found on pictures.

`topfive optimise` does the same with more care (how it rounds, what it leaves in floating point, whether it pays): it
is what to use on a model that is served. Here it is the plain method, which recipes compare with or build on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from topfive.machine.cpu_features import dot_products_of_bytes
from topfive_pipeline.optimising.machine import kinds

TOP: Final = kinds(dot_products_of_bytes())[0].top
"""The highest level of a weight that this processor multiplies without overflow: 127, or 64 where it lacks VNNI."""
_AT_ONCE: Final = 64


class _Pictures(CalibrationDataReader):
    """Feeds `inputs` [n, ...] in batches."""

    def __init__(self, inputs: NDArray[np.float32]) -> None:
        self._batches: Iterator[NDArray[np.float32]] = iter(
            [inputs[start : start + _AT_ONCE] for start in range(0, len(inputs), _AT_ONCE)]
        )

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"normalised": batch}


def post_training(model: Path, inputs: NDArray[np.float32], file: Path, *, per_channel: bool = True) -> Path:
    """Write the ONNX `model` to `file` as a QDQ graph: activations UINT8, weights INT8 symmetric; return `file`.

    `inputs` FP32 [n, ...]: what the ranges of activations are the extremes of (min-max). `per_channel`: a step for each
    channel of a weight; or one for each whole weight.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # the tool's advice is for its own users
    try:
        quantize_static(
            model,
            file,
            _Pictures(inputs),
            quant_format=QuantFormat.QDQ,
            per_channel=per_channel,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=TOP < 127,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"WeightSymmetric": True, "ActivationSymmetric": False},
        )
    finally:
        root.setLevel(level)
    return file
