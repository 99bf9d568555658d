"""Quantisation-aware training: what eight or four bits lose when a trained network is rounded, training gives back.

Fake quantisation forward, straight through backward: Jacob et al., arXiv:1712.05877. Shown where rounding costs most:
on a network of depthwise convolutions with one step for a whole weight, and with weights of four bits (Krishnamoorthi,
arXiv:1806.08342). Per channel and with eight bits nothing is lost: `topfive optimise` is all that it takes.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import onnx
import torch
from torch import nn

from recipes.kit.data import Data
from recipes.kit.fake_quantise import Aware
from recipes.kit.networks import block
from recipes.kit.onnx_network import OnnxNetwork
from recipes.kit.publishing import evaluate, publish, to_onnx
from recipes.kit.qdq import to_qdq
from recipes.kit.rows import Difficulty, Row, rows_of
from recipes.kit.setting import Setting
from recipes.kit.training import Schedule, fit, logits_of, mode, shifted

CALIBRATING: Final = 512
"""Pictures of the training part that the ranges of activations are found on."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to eight bits or fewer: how many bits a weight has, whether each channel has its step, and training."""

    bits: int
    per_channel: bool
    trains: bool

    @property
    def name(self) -> str:
        """What it is served as: `ptq` is only rounded, `qat` is trained."""
        return f"{'qat' if self.trains else 'ptq'}_{'channel' if self.per_channel else 'tensor'}_{self.bits}bit"

    @property
    def difficulty(self) -> Difficulty:
        """Rounding is a flag, training is training."""
        return "training" if self.trains else "a line"


ARMS: Final = tuple(
    Arm(bits, per_channel, trains)
    for bits, per_channel in ((8, True), (8, False), (4, True), (4, False))
    for trains in (False, True)
    if not (trains and per_channel and bits == 8)  # nothing to give back
)


def separable(classes: int, *, width: int = 32) -> nn.Sequential:
    """A depthwise-separable network (Howard et al., arXiv:1704.04861): FP32 [n, 1, side, side] -> [n, classes].

    A depthwise convolution has few weights, and its channels' sizes differ much: one step for all of them fits none.
    """
    layers = OrderedDict(stem=block(1, width, stride=2))
    inputs = width
    for number, (outputs, stride) in enumerate(((2 * width, 1), (4 * width, 2), (4 * width, 1))):
        layers[f"deep{number}"] = block(inputs, inputs, stride=stride, groups=inputs)
        layers[f"wide{number}"] = block(inputs, outputs, kernel=1)
        inputs = outputs
    head = OrderedDict(mean=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), head=nn.Linear(inputs, classes))
    return nn.Sequential(layers | head)


def aware(graph: onnx.ModelProto, arm: Arm, inputs: torch.Tensor) -> Aware:
    """`graph` with fake quantisation, its ranges found on `inputs` FP32 [n, ...], and not trained yet."""
    network = Aware(OnnxNetwork(graph), bits=arm.bits, per_channel=arm.per_channel)
    with mode(network, training=True), torch.no_grad():
        for some in inputs.split(64):
            network(some)
    network.eval()
    return network


def agreement(one: nn.Module, other: nn.Module, data: Data) -> float:
    """The share of dev pictures to which both give the same first class."""
    inputs = data.inputs(data.dev)
    same = logits_of(one, inputs).argmax(1) == logits_of(other, inputs).argmax(1)
    return float(same.float().mean())


def run(setting: Setting) -> list[Row]:
    """Train a network in floating point; round it in each way, and train what was rounded; serve and judge all."""
    data, folder = setting.data, setting.out / "onnx"
    inputs, labels = data.inputs(data.train), torch.from_numpy(data.train.labels)
    torch.manual_seed(setting.seed)
    network = separable(len(data.classes))
    schedule = Schedule(epochs=setting.either(8, 1), seed=setting.seed)
    fit(network, inputs, labels, schedule, setting.say, augment=shifted)
    file = to_onnx(network, inputs[:2], folder / "qat_float.onnx")
    names, notes = [publish(setting, file, "qat_float")], {}
    graph = onnx.load(file)
    again = Schedule(epochs=setting.either(2, 1), rate=0.01, decay=0, seed=setting.seed)
    for arm in ARMS:
        quantised = aware(graph, arm, inputs[:CALIBRATING])
        if arm.trains:
            setting.say(f"{arm.name}: training")
            fit(quantised, inputs, labels, again, setting.say, augment=shifted)
        notes[arm.name] = f"agrees with floating point on {100 * agreement(network, quantised, data):.1f} % of dev"
        names.append(publish(setting, to_qdq(quantised, folder / f"{arm.name}.onnx"), arm.name))
    difficulty = {arm.name: arm.difficulty for arm in ARMS} | {"qat_float": "training"}
    return rows_of("qat", evaluate(setting, "qat", names), difficulty, notes)
