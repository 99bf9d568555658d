"""Prune: take whole channels out, so that the graph is really smaller; zeros alone make no dense engine faster.

Which channels: those whose filters have the smallest L1 norm (Li et al., arXiv:1608.08710), or the smallest |gamma| in
batch normalisation (Network Slimming, Liu et al., arXiv:1708.06519). What is tied together goes together
(`recipes.kit.channels`). Is it worth more than a narrower network trained from scratch? That is the question of Liu et
al., arXiv:1810.05270. Single weights go by their magnitude, more of them in each round (Han et al., arXiv:1506.02626).
"""

from __future__ import annotations

import copy
import gzip
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from recipes.kit import base
from recipes.kit.channels import Group, groups_of
from recipes.kit.curve import draw
from recipes.kit.publishing import evaluate, publish, to_onnx
from recipes.kit.rows import Row, rows_of
from recipes.kit.setting import Setting
from recipes.kit.training import Schedule, accuracy, fit, shifted
from topfive.ground.errors import ConfigurationError

Saliency = Callable[[Group], torch.Tensor]
"""How much each channel of a group matters: FP32 [size]; those that matter least go."""
MULTIPLE = 8
"""Channels are kept in multiples of this: the engine works on blocks of them (docs/recipes/prune.md: what it gains)."""
SERIES = {
    "by L1": {"prune_all": "all", "prune_l1_75": "75 %", "prune_l1_50": "50 %", "prune_l1_25": "25 %"},
    "by |gamma|": {"prune_gamma_25": ""},
    "at random": {"prune_random_25": ""},
    "from scratch": {"prune_scratch_25": "", "prune_scratch_25_long": "9 epochs"},
    "zeros": {"prune_zeros_50": "", "prune_zeros_90": ""},
}
"""What is drawn, and what is written beside it."""


def by_l1(group: Group) -> torch.Tensor:
    """The L1 norm of a channel's filters, each divided by the mean of its layer, so that no layer outvotes others."""
    norms = [layer.weight.detach().abs().flatten(1).sum(1) for layer in group.writers]
    return torch.stack([norm / norm.mean() for norm in norms]).sum(0)


def by_gamma(group: Group) -> torch.Tensor:
    """|gamma| of a channel in the batch normalisations that it passes. Raises `ConfigurationError` if there is none."""
    if not group.norms:
        raise ConfigurationError("a layer has no batch normalisation behind it: prune it by_l1 instead of by_gamma")
    return torch.stack([norm.weight.detach().abs() for norm in group.norms]).sum(0)


def at_random(seed: int) -> Saliency:
    """Any channels: what a saliency has to beat."""
    chance = torch.Generator().manual_seed(seed)
    return lambda group: torch.rand(group.size, generator=chance)


def pruned(
    network: nn.Module, example: torch.Tensor, keep: float, saliency: Saliency = by_l1, multiple: int = MULTIPLE
) -> nn.Module:
    """A smaller copy of `network`, in eval mode: of each group about the share `keep` of its channels, the best.

    `example`: an input FP32 [n, ...]. The number kept is rounded to a `multiple`; a group of fewer stays whole. Raises
    `ConfigurationError` if `keep` is no share, and at what `groups_of` cannot follow.
    """
    if not 0 < keep <= 1:
        raise ConfigurationError(f"keep is the share of channels that stays, over 0 and at most 1; it is {keep}")
    smaller = copy.deepcopy(network).eval()
    for group in groups_of(smaller, example):
        number = min(group.size, multiple * max(1, round(keep * group.size / multiple)))
        group.keep(saliency(group).topk(number).indices.sort().values)
    return smaller


def sparse(network: nn.Module, share: float) -> nn.Module:
    """A copy of `network` with this share of each layer's weights zero, the smallest; they stay zero in training."""
    thinned = copy.deepcopy(network)
    for layer in thinned.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            size = layer.weight.detach().abs()
            mask = (size > size.flatten().kthvalue(max(1, round(share * size.numel()))).values).float()
            layer.weight.data.mul_(mask)
            layer.weight.register_hook(lambda gradient, mask=mask: gradient * mask)
    return thinned


def from_scratch(network: nn.Module) -> nn.Module:
    """A network of the same shape as `network`, with new random weights."""
    fresh = copy.deepcopy(network)
    for layer in fresh.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear, nn.BatchNorm2d)):
            layer.reset_parameters()
    return fresh


def run(setting: Setting) -> list[Row]:
    """Prune the trained network in several ways, train each briefly, and serve all, and the same shape from scratch."""
    network, data, tune = base.trained(setting), setting.data, 1
    inputs, labels = data.inputs(data.train), torch.from_numpy(data.train.labels)
    example, half, names, notes = inputs[:2], len(inputs) // 2, [], {}

    def serve(name: str, made: nn.Module, epochs: int, rate: float = 0.05, pictures: int | None = None) -> nn.Module:
        """Train `made` for `epochs` of the first so many `pictures`, and serve it as `name`."""
        before = accuracy(made, data, data.dev)
        if epochs:
            schedule = Schedule(epochs=epochs, rate=rate, seed=setting.seed)
            fit(made, inputs[:pictures], labels[:pictures], schedule, setting.say, augment=shifted)
        file = to_onnx(made, example, setting.out / "onnx" / f"{name}.onnx")
        names.append(publish(setting, file, name))
        packed = len(gzip.compress(file.read_bytes())) / 1000
        notes[name] = (
            f"{flops(made, example) / 1e6:.1f} MFLOP; {packed:.0f} kB by gzip; dev {before:.1%}, "
            f"and {accuracy(made, data, data.dev):.1%} after {epochs * len(inputs[:pictures])} pictures"
        )
        setting.say(f"{name}: {notes[name]}")
        return made

    serve("prune_all", network, 0)
    for percent in (75, 50, 25):
        small = serve(f"prune_l1_{percent}", pruned(network, example, percent / 100), tune)
    serve("prune_gamma_25", pruned(network, example, 0.25, by_gamma), tune)
    serve("prune_random_25", pruned(network, example, 0.25, at_random(setting.seed)), tune)
    serve("prune_scratch_25", from_scratch(small), tune, rate=0.1)
    serve("prune_scratch_25_long", from_scratch(small), tune + setting.either(8, 2), rate=0.1)  # as long as both stages
    serve("prune_l1_75_any_width", pruned(network, example, 0.75, multiple=1), 0)  # for its speed
    thin = network
    for percent in (50, 90):
        thin = serve(f"prune_zeros_{percent}", sparse(thin, percent / 100), 1, pictures=half)
    rows = rows_of("prune", evaluate(setting, "prune", names), dict.fromkeys(names[1:], "training"), notes)
    draw(rows, SERIES, setting.out / "reports" / "prune" / "curve.png")
    return rows


def flops(network: nn.Module, example: torch.Tensor) -> float:
    """Floating-point operations of one picture: two for each multiplication and addition of its layers."""
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        network(example)
    return float(counted.get_total_flops()) / len(example)
