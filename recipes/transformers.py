"""A small vision transformer, made smaller and faster in four ways, and in two of them at once.

Eight bits for its Linear layers; two smaller layers for each by singular values (Eckart and Young, 1936); two heads
instead of eight; the Fourier transform instead of attention (FNet: Lee-Thorp et al., arXiv:2105.03824).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch
from torch import nn

from recipes.kit.linear_int8 import calibrated, dynamic
from recipes.kit.publishing import evaluate, publish, to_onnx
from recipes.kit.rows import Difficulty, Row, rows_of
from recipes.kit.setting import Setting
from recipes.kit.training import Schedule, accuracy, fit
from recipes.kit.vit import DIM, TOKENS, Attention, Fourier, VisionTransformer
from topfive.ground.errors import ConfigurationError

SHARES: Final = (0.5, 0.25)
"""Weights of two factors, as a share of those of the layer that they stand for."""
_STEP: Final = 8
"""Ranks are multiples of it: a register of the processor's holds so many numbers of FP32."""


def low_rank(layer: nn.Linear, rank: int) -> nn.Sequential:
    """The two Linear layers whose product is the best approximation of `layer` by a matrix of this `rank`.

    W = U S V is cut behind the first singular values; each factor takes their square roots, so that both learn at the
    same pace. Best of all in the sum of squares: Eckart and Young, Psychometrika 1 (1936). It pays if
    rank < m n / (m + n). Raises `ConfigurationError` if a matrix of this shape cannot have this rank.
    """
    if not 1 <= rank <= min(layer.weight.shape):
        raise ConfigurationError(f"rank {rank} of {tuple(layer.weight.shape)}: choose 1 to {min(layer.weight.shape)}")
    left, values, right = torch.linalg.svd(layer.weight.detach().double(), full_matrices=False)
    roots = values[:rank].sqrt()
    first = nn.Linear(layer.in_features, rank, bias=False)
    second = nn.Linear(rank, layer.out_features)
    with torch.no_grad():
        first.weight.copy_(roots[:, None] * right[:rank])
        second.weight.copy_(left[:, :rank] * roots)
        second.bias.copy_(layer.bias)
    return nn.Sequential(first, second)


def rank_of(layer: nn.Linear, share: float) -> int:
    """The rank at which two factors have this `share` of the weights of `layer`: a multiple of 8 below it, or 1."""
    outputs, inputs = layer.out_features, layer.in_features
    return max(1, int(share * outputs * inputs / (outputs + inputs)) // _STEP * _STEP)


def factorised(network: VisionTransformer, share: float) -> VisionTransformer:
    """A copy of `network` with two factors in place of each Linear layer of its blocks."""
    network = copy.deepcopy(network)
    for module in list(network.blocks.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, low_rank(child, rank_of(child, share)))
    return network


def trained(setting: Setting, mixer: Callable[[int], nn.Module]) -> VisionTransformer:
    """A transformer with this `mixer`, trained from the same seed and as long as every other."""
    torch.manual_seed(setting.seed)
    network = VisionTransformer(setting.data.side, len(setting.data.classes), mixer)
    _fit(network, setting, Schedule(epochs=setting.either(3, 1), rate=1e-3))
    return network


def _fit(network: nn.Module, setting: Setting, schedule: Schedule) -> None:
    """Train as long as `schedule` says; without augmentation, which a few epochs are too short for."""
    schedule = replace(schedule, optimiser="adamw", decay=0.05, batch=64, seed=setting.seed)
    train = setting.data.train
    fit(network, setting.data.inputs(train), torch.from_numpy(train.labels), schedule, setting.say)


def networks_of(setting: Setting) -> tuple[dict[str, VisionTransformer], dict[str, str]]:
    """All networks in FP32, trained, by the names that they are served as; and what is to be said of them."""
    fourier = Fourier(TOKENS, DIM)  # its matrices are stored once for all blocks
    mixers: dict[str, Callable[[int], nn.Module]] = {
        "vit": lambda dim: Attention(dim, 8),
        "vit_heads2": lambda dim: Attention(dim, 2),
        "vit_fnet": lambda _: fourier,
    }
    networks: dict[str, VisionTransformer] = {}
    notes: dict[str, str] = {}
    for name, mixer in mixers.items():
        setting.say(name)
        networks[name] = trained(setting, mixer)
    factors = {f"vit_svd{round(100 * share)}": factorised(networks["vit"], share) for share in SHARES}
    # What is not cut is trained on too, to tell what the epoch gives from what the cut takes; it is not served.
    for name, network in {"vit": copy.deepcopy(networks["vit"]), **factors}.items():
        setting.say(f"{name}, a further epoch")
        before = accuracy(network, setting.data, setting.data.dev)
        _fit(network, setting, Schedule(epochs=1, rate=5e-4))
        after = accuracy(network, setting.data, setting.data.dev)
        notes[name] = f"dev: {100 * before:.1f} % before, {100 * after:.1f} % after a further epoch"
    return networks | factors, notes


def product(name: str, rows: dict[str, Row]) -> str:
    """What the gains of a change and of eight bits would be together if they multiplied; nothing for one by itself."""
    one, other = rows.get(name.removesuffix("_int8")), rows["vit_int8"]
    if not name.endswith("_int8") or one is None or one.alone is None or one.batch_8 is None:
        return ""
    assert other.alone is not None
    assert other.batch_8 is not None
    speeds = f"alone {one.alone[0] * other.alone[0]:.2f}, batch 8 {one.batch_8[0] * other.batch_8[0]:.2f}"
    return f"multiplied: size {one.size * other.size:.1f}, {speeds}"


def run(setting: Setting) -> list[Row]:
    """Train, cut, quantise and serve all of them, and judge them beside the transformer that they are changes of."""
    networks, notes = networks_of(setting)
    inputs, folder = setting.data.inputs(setting.data.train.first(512)), setting.out / "onnx"
    files: dict[str, Path] = {}
    for name, network in networks.items():
        files[name] = to_onnx(network, inputs[:2], folder / f"{name}.onnx")
    files["vit_dynamic"] = dynamic(files["vit"], folder / "vit_dynamic.onnx")
    for name in networks:
        files[f"{name}_int8"] = calibrated(files[name], inputs.numpy(), folder / f"{name}_int8.onnx")
    names = [publish(setting, file, name) for name, file in files.items()]
    effort: dict[str, Difficulty] = {
        name: "a line" if name in {"vit_dynamic", "vit_int8"} else "training" for name in names
    }
    rows = {row.model: row for row in rows_of("transformers", evaluate(setting, "transformers", names), effort, notes)}
    return [replace(row, note=row.note or product(name, rows)) for name, row in rows.items()]
