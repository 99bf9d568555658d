"""Fake quantisation: a network computes in floating point with the values that integers can have, and still learns.

Jacob et al., arXiv:1712.05877: section 2.1 has the integers, section 3 the training. What is rounded has no gradient of
use, so it is taken for the identity (the straight-through estimator: Bengio et al., arXiv:1308.3432).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from recipes.kit.onnx_network import OnnxNetwork
from recipes.kit.quantise import TOP

_LEVELS: Final = 255
"""Steps of an activation, UINT8."""
_STEADY: Final = 0.9
"""How much of the range that was seen so far stays, of each batch."""
_LEAST: Final = 1e-8
_BOUNDED: Final = ("Relu", "Clip")


def rounded(values: torch.Tensor) -> torch.Tensor:
    """`values` rounded, with the gradient of `values`."""
    return values + (values.round() - values).detach()


class Activation(nn.Module):
    """FP32 -> FP32 of the same shape, as UINT8 could hold it: between the extremes of the batches that it has seen.

    In training it follows them by a moving average. Outside the range the gradient is 0.
    """

    low: torch.Tensor
    high: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    def step_and_zero(self) -> tuple[float, int]:
        """What one level is worth, and the level of 0, which is exact."""
        step = max(_LEAST, float(self.high - self.low) / _LEVELS)
        return step, round(-float(self.low) / step)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The nearest values that the levels have."""
        if self.training:
            low, high = values.detach().amin().clamp(max=0), values.detach().amax().clamp(min=0)
            is_first = bool(self.high == self.low)
            self.low.copy_(low if is_first else torch.lerp(low, self.low, _STEADY))
            self.high.copy_(high if is_first else torch.lerp(high, self.high, _STEADY))
        step, zero = self.step_and_zero()
        levels = (rounded(values / step) + zero).clamp(0, _LEVELS)
        return (levels - zero) * step


def step_of(weight: torch.Tensor, most: int, *, per_channel: bool) -> torch.Tensor:
    """What one level of `weight` is worth, so that the largest is level `most`: [] or, for each channel, [outputs]."""
    largest = weight.detach().abs().amax(tuple(range(1, weight.dim()))) if per_channel else weight.detach().abs().max()
    return (largest / most).clamp(min=_LEAST)


class Aware(nn.Module):
    """A `network` that trains as it will be served: activations UINT8, weights INT8 of `bits` bits, symmetric.

    Of 8 bits a weight uses as many as this processor multiplies without overflow (`quantise.TOP`). `per_channel`: a
    step for each output channel of a weight, or one for all of it.
    """

    def __init__(self, network: OnnxNetwork, *, bits: int = 8, per_channel: bool = True) -> None:
        super().__init__()
        self.network, self.per_channel = network, per_channel
        self.most = min(2 ** (bits - 1) - 1, TOP)
        self.places = _places(network)
        self.activations = nn.ModuleList(Activation() for _ in self.places)
        network.on_value, network.on_weight = self._value, self._weight

    def _value(self, name: str, value: torch.Tensor) -> torch.Tensor:
        if name not in self.places:
            return value
        found: torch.Tensor = self.activations[self.places.index(name)](value)
        return found

    def _weight(self, _: str, weight: torch.Tensor) -> torch.Tensor:
        step = step_of(weight, self.most, per_channel=self.per_channel)
        step = step.reshape(-1, *[1] * (weight.dim() - 1)) if self.per_channel else step
        return rounded(weight / step).clamp(-self.most, self.most) * step

    def levels_of(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """The weight `name` as levels INT8 of its shape, and what one is worth: FP32 [outputs], or [] for all."""
        weight = self.network.weight(name).detach()
        step = step_of(weight, self.most, per_channel=self.per_channel)
        by = step.reshape(-1, *[1] * (weight.dim() - 1)) if self.per_channel else step
        return (weight / by).round().clamp(-self.most, self.most).to(torch.int8), step

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """FP32 [n, ...] -> logits FP32 [n, classes], as the integers will give them."""
        found: torch.Tensor = self.network(inputs)
        return found


def _places(network: OnnxNetwork) -> list[str]:
    """The values that integer kernels hand on: not what a ReLU still bounds, a Reshape renames, nor the logits."""
    readers: dict[str, list[str]] = {}
    for node in network.model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.op_type)
    inner = (*_BOUNDED, "Reshape")
    values = [network.given, *(node.output[0] for node in network.model.graph.node)]
    return [name for name in values if name != network.result and not set(readers.get(name, ())) <= set(inner)]
