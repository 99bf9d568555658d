"""Rounds weights so that a layer's output stays what it was on photos, instead of each weight by itself.

Two corrections, both by what the layer takes on photos (`inputs`), neither of which costs any speed:

- What one weight is rounded by, the weights that follow take back as far as their inputs go together: the next weight's
  target is moved by the error so far. With L L^T the covariance of the inputs, the error of an output is |e L|^2 for
  the errors e of its weights, and going backwards each weight is rounded to what makes one more component of e L
  smallest. That is GPTQ (Frantar et al., "GPTQ", ICLR 2023) in the form of Babai's nearest plane (Chen et al., "The
  Geometry of LLM Quantization", 2025), which needs no inverse.
- What is left of it on average goes into the bias (Nagel et al., "Data-Free Quantization Through Weight Equalization
  and Bias Correction", ICCV 2019, section 4.2). Hence the covariance above: the mean is not the weights' business.

On EfficientNet-Lite0 (126 photos) the second alone takes SQNR from 19.6 to 24.3 dB, and both to 25.9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from topfive_pipeline.optimising.inputs import Inputs, Matrix

TOP: Final = 127
"""The highest level of a weight of eight bits, symmetric around zero."""
_DAMPING: Final = 0.01
"""Of the mean variance, added to each (GPTQ, section 3.3): inputs that hardly vary would be trusted without bound."""
_BLOCK: Final = 64
"""Columns after which the errors are handed on to all that follow, by one product of matrices."""
_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Rounded:
    """A layer's weights as integers: `levels` FP64 [groups, outputs, d] are `weights / scale`, rounded.

    `scale` FP32 [groups, outputs]; `bias` FP32 [groups * outputs], None for a layer without one.
    """

    levels: NDArray[np.float64]
    scale: NDArray[np.float32]
    bias: NDArray[np.float32] | None


def rounded(layers: Sequence[Matrix], inputs: Mapping[str, Inputs], *, top: int = TOP) -> dict[str, Rounded]:
    """The weights of `layers` by their names, in levels from -`top` to `top`."""
    return {layer.name: _rounded(layer, inputs[layer.name], top) for layer in layers}


def _rounded(layer: Matrix, inputs: Inputs, top: int) -> Rounded:
    weights = layer.weights.astype(np.float64)
    scale = (np.maximum(np.abs(weights).max(axis=2), _TINY) / top).astype(np.float32)
    wanted = weights / scale[:, :, np.newaxis]
    moments = inputs.moments(centred=layer.bias is not None)
    levels = np.round(wanted).clip(-top, top) if moments is None else compensated(wanted, moments, top=top)
    bias = layer.bias
    if bias is not None:
        left = np.einsum("god,gd->go", weights - levels * scale[:, :, np.newaxis], inputs.mean)
        bias = (bias + left.reshape(-1)).astype(np.float32)
    return Rounded(levels, scale, bias)


def compensated(wanted: NDArray[np.float64], moments: NDArray[np.float64], *, top: int = TOP) -> NDArray[np.float64]:
    """Whole numbers from -`top` to `top` for `wanted` [g, o, d], whose products with the inputs are nearly the same.

    `moments` [g, d, d] are those of the inputs.
    """
    d = wanted.shape[2]
    variances = np.diagonal(moments, axis1=1, axis2=2)
    order = np.argsort(variances.sum(axis=0))  # from the last to the first: inputs that vary most are rounded freely
    given = wanted[:, :, order]
    damped = moments[:, order][:, :, order]
    damped[:, range(d), range(d)] += _DAMPING * variances.mean(axis=1, keepdims=True) + _TINY
    lower = np.linalg.cholesky(damped)
    lower /= np.diagonal(lower, axis1=1, axis2=2)[:, np.newaxis, :].copy()
    target, found = given.copy(), np.empty_like(given)
    for end in range(d, 0, -_BLOCK):
        first = max(0, end - _BLOCK)
        for place in range(end - 1, first - 1, -1):
            found[:, :, place] = np.round(target[:, :, place]).clip(-top, top)
            error = given[:, :, place] - found[:, :, place]
            target[:, :, first:place] += error[:, :, np.newaxis] * lower[:, place, np.newaxis, first:place]
        errors = given[:, :, first:end] - found[:, :, first:end]
        target[:, :, :first] += np.matmul(errors, lower[:, first:end, :first])
    result = np.empty_like(found)
    result[:, :, order] = found
    return result
