"""RepVGG: train blocks of three branches, serve each as one 3x3 convolution with the same answers.

Ding et al., arXiv:2101.03697, section 3: a 3x3 convolution, a 1x1 convolution and, where shapes allow, the input
itself, each behind a batch normalisation of its own, are added. All three are affine, so their sum is one 3x3
convolution. The branches help training; the engine never sees them.
"""

from __future__ import annotations

import copy
import time
from collections import OrderedDict
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from recipes.kit.networks import plain
from recipes.kit.publishing import evaluate, publish, to_onnx
from recipes.kit.rows import Row, rows_of
from recipes.kit.setting import Setting
from recipes.kit.side_by_side import ratios, said
from recipes.kit.training import Schedule, fit, shifted
from topfive.ground.errors import ConfigurationError

WIDTH: Final = 16
PICTURES: Final = 6000
"""For training: branches take so long that all pictures would take too long."""
Affine = tuple[torch.Tensor, torch.Tensor]
"""Weight FP64 [outputs, inputs / groups, 3, 3] and bias FP64 [outputs] of a convolution with a border of 1."""


class Branches(nn.Module):
    """FP32 [n, inputs, h, w] -> [n, outputs, h / stride, w / stride]: 3x3, 1x1 and identity, added, then ReLU.

    The identity is there only if it fits: as many outputs as inputs, and stride 1.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv_3x3 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, groups=groups, bias=False)
        self.norm_3x3 = nn.BatchNorm2d(outputs)
        self.conv_1x1 = nn.Conv2d(inputs, outputs, 1, stride, groups=groups, bias=False)
        self.norm_1x1 = nn.BatchNorm2d(outputs)
        self.norm_same = nn.BatchNorm2d(outputs) if inputs == outputs and stride == 1 else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The sum of the branches, behind a ReLU."""
        total = self.norm_3x3(self.conv_3x3(x)) + self.norm_1x1(self.conv_1x1(x))
        return functional.relu(total if self.norm_same is None else total + self.norm_same(x))

    def merged(self) -> nn.Sequential:
        """One convolution with a bias, and ReLU: the same answers in eval mode; section 3.3 of the paper."""
        own = self.conv_3x3
        found = [
            behind(self.norm_3x3, own.weight),
            # a 1x1 kernel is a 3x3 kernel that is 0 but in its middle; padding of 1 makes both read the same pixels
            behind(self.norm_1x1, functional.pad(self.conv_1x1.weight, (1, 1, 1, 1))),
        ]
        if self.norm_same is not None:
            found.append(behind(self.norm_same, identity(own.out_channels, own.groups)))
        one = nn.Conv2d(own.in_channels, own.out_channels, 3, own.stride, padding=1, groups=own.groups)
        one.weight = nn.Parameter(torch.stack([weight for weight, _ in found]).sum(0).float())
        one.bias = nn.Parameter(torch.stack([bias for _, bias in found]).sum(0).float())
        return nn.Sequential(OrderedDict(conv=one, relu=nn.ReLU()))


def identity(channels: int, groups: int = 1) -> torch.Tensor:
    """The 3x3 convolution that changes nothing: FP32 [channels, channels / groups, 3, 3].

    In a convolution with groups, output channel i sees only its own group, in which input i is number
    i mod (channels / groups).
    """
    width = channels // groups
    kernel = torch.zeros(channels, width, 3, 3)
    kernel[torch.arange(channels), torch.arange(channels) % width, 1, 1] = 1
    return kernel


def behind(norm: nn.BatchNorm2d, weight: torch.Tensor) -> Affine:
    """A convolution of this `weight`, and no bias, with `norm` behind it, as one convolution; in FP64.

    Raises `ConfigurationError` if `norm` has no statistics of training: then it is no fixed map.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ConfigurationError("a BatchNorm2d without running statistics is no fixed map: it cannot be merged")
    scale = norm.weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
    merged = weight.detach().double() * scale.reshape(-1, 1, 1, 1)
    return merged, norm.bias.detach().double() - norm.running_mean.double() * scale


def branched(classes: int, *, width: int = WIDTH) -> nn.Sequential:
    """`plain` of the same `width` with three branches in each block; merged, it has the very shape of `plain`."""
    network = plain(classes, width=width)
    for name, child in network.named_children():
        if hasattr(child, "conv"):
            conv = child.conv
            setattr(network, name, Branches(conv.in_channels, conv.out_channels, stride=conv.stride[0]))
    return network


def reparametrised(network: nn.Module) -> nn.Module:
    """A copy of `network` in eval mode in which each `Branches` is one convolution."""
    if isinstance(network, Branches):
        return network.merged().eval()
    network = copy.deepcopy(network).eval()
    for name, child in list(network.named_modules()):
        if isinstance(child, Branches):
            network.set_submodule(name, child.merged())
    return network.eval()


def run(setting: Setting) -> list[Row]:
    """Train branches and a plain network of the same served shape; merge the branches; serve all three."""
    data, some = setting.data, setting.data.train.first(PICTURES)
    inputs, labels = data.inputs(some), torch.from_numpy(some.labels)
    schedule = Schedule(epochs=setting.either(4, 1), seed=setting.seed)
    networks: dict[str, nn.Module] = {}
    seconds = {}
    for name, make in (("repvgg_branches", branched), ("repvgg_plain", plain)):
        torch.manual_seed(setting.seed)
        networks[name] = make(len(data.classes), width=WIDTH)
        started = time.perf_counter()
        fit(networks[name], inputs, labels, schedule, setting.say, augment=shifted)
        seconds[name] = time.perf_counter() - started
    branches = networks["repvgg_branches"].eval()
    networks["repvgg_merged"] = one = reparametrised(branches)
    asked = data.inputs(data.dev)
    notes = {name: f"{schedule.epochs} epochs in {took:.0f} s" for name, took in seconds.items()}
    with torch.inference_mode():
        expected, found = branches(asked), one(asked)
        change = float((expected - found).abs().max() / expected.abs().max())
        eager = ratios({"branches": lambda: branches(asked[:8]), "merged": lambda: one(asked[:8])},
                       rounds=setting.either(11, 1))  # fmt: skip
    notes["repvgg_merged"] = (
        f"largest change of a logit {change:.1e} of the largest; PyTorch eager, batch 8: × {said(eager['merged'])}"
    )
    # the exporter folds what normalisations it can: what is left to gain is the merging alone, not folding once more
    names = [
        publish(setting, to_onnx(each, inputs[:2], setting.out / "onnx" / f"{name}.onnx"), name)
        for name, each in networks.items()
    ]
    names.sort(key=["repvgg_branches", "repvgg_merged", "repvgg_plain"].index)
    judgement = evaluate(setting, "repvgg", names)
    return rows_of("repvgg", judgement, dict.fromkeys(networks, "training"), notes)
