"""Fold batch normalisation into the convolution before it: in inference both are one affine map.

W' = W * gamma / sqrt(variance + epsilon), b' = beta - mean * gamma / sqrt(variance + epsilon): Jacob et al.,
arXiv:1712.05877, section 3.2.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from recipes.kit import base
from recipes.kit.publishing import evaluate, publish, to_onnx
from recipes.kit.rows import Row, rows_of
from recipes.kit.setting import Setting


def folded(network: nn.Module) -> nn.Module:
    """A copy of `network` in which each convolution has taken in the batch normalisation behind it."""
    network = copy.deepcopy(network).eval()
    for child in network.modules():
        if isinstance(child, nn.Sequential) and hasattr(child, "norm"):
            child.conv, child.norm = fuse_conv_bn_eval(child.conv, child.norm), nn.Identity()
    return network


def run(setting: Setting) -> list[Row]:
    """Fold the trained network, prove that the answers stay, and serve both."""
    network = base.trained(setting)
    fused = folded(network)
    inputs = setting.data.inputs(setting.data.dev)
    with torch.inference_mode():
        change = float((network(inputs) - fused(inputs)).abs().max())
    names = [
        publish(setting, to_onnx(each, inputs[:2], setting.out / "onnx" / f"{name}.onnx", optimise=False), name)
        for name, each in (("fold_plain", network), ("fold_folded", fused))
    ]
    judgement = evaluate(setting, "fold", names)
    return rows_of("fold", judgement, {}, {"fold_folded": f"largest change of a logit {change:.1e}"})
