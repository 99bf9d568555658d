"""Fold batch normalisation into the convolution before it: in inference both are one affine map.

W' = W * gamma / sqrt(variance + epsilon), b' = beta + (b - mean) * gamma / sqrt(variance + epsilon): Jacob et al.,
arXiv:1712.05877, section 3.2. ONNX Runtime does so itself when it loads a graph, unless the graph hides its constants.
"""

from __future__ import annotations

import copy
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Final

import onnx
import onnxruntime
import torch
from onnxscript import ir, optimizer
from torch import fx, nn

from recipes.kit import base
from recipes.kit.publishing import evaluate, publish, save, to_onnx
from recipes.kit.rows import Row, rows_of
from recipes.kit.setting import Setting
from recipes.kit.side_by_side import ratios, said, table
from topfive.ground.errors import ConfigurationError

NORM: Final = "BatchNormalization"


def folded(network: nn.Module) -> fx.GraphModule:
    """A copy of `network` in which each `Conv2d` has taken in the `BatchNorm2d` behind it; to be used in eval mode.

    The rule, by the graph of modules that torch.fx traces: the normalisation reads the convolution and nobody else
    does, each of them is called once, and the normalisation has statistics of training. All others stay as they are.
    Raises `ConfigurationError` if torch.fx cannot trace `network`.
    """
    try:
        traced = fx.symbolic_trace(copy.deepcopy(network).eval())
    except (fx.proxy.TraceError, TypeError) as error:
        raise ConfigurationError(
            f"{type(network).__name__} cannot be traced by torch.fx ({error}); fold its parts one by one"
        ) from error
    calls = Counter(node.target for node in traced.graph.nodes if node.op == "call_module")
    for node in list(traced.graph.nodes):
        before = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
            continue
        conv, norm = traced.get_submodule(str(before.target)), traced.get_submodule(str(node.target))
        once = calls[before.target] == calls[node.target] == 1
        # exactly these types: a subclass, as that of weight_norm, computes something else
        if once and type(conv) is nn.Conv2d and type(norm) is nn.BatchNorm2d and norm.running_mean is not None:
            conv.weight, conv.bias = map(nn.Parameter, fold(conv, norm))
            node.replace_all_uses_with(before)
            traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight [outputs, inputs / groups, h, w] and bias [outputs] of the one convolution that does what both do.

    Computed in FP64, so that the only rounding is that to FP32 at the end. Groups change nothing: a normalisation
    scales each output channel, and each output channel has a kernel of its own.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ConfigurationError("a BatchNorm2d without running statistics is no fixed map: it cannot be folded")
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    gamma = torch.ones_like(mean) if norm.weight is None else norm.weight.detach().double()
    beta = torch.zeros_like(mean) if norm.bias is None else norm.bias.detach().double()
    bias = torch.zeros_like(mean) if conv.bias is None else conv.bias.detach().double()
    scale = gamma / torch.sqrt(variance + norm.eps)
    weight = conv.weight.detach().double() * scale.reshape(-1, 1, 1, 1)
    return weight.to(conv.weight.dtype), (beta + (bias - mean) * scale).to(conv.weight.dtype)


def change(one: nn.Module, other: nn.Module, inputs: torch.Tensor) -> float:
    """The largest |difference| of their answers in eval mode, as a share of the largest |answer| of `one`."""
    with torch.inference_mode():
        expected, found = one.eval()(inputs), other.eval()(inputs)
    return float((expected - found).abs().max() / expected.abs().max())


def with_constants(file: Path, to: Path) -> Path:
    """The graph of `file` with what is constant in it computed, and nothing else changed; written to `to`."""
    model = ir.serde.deserialize_model(onnx.load(file))
    optimizer.fold_constants(model)
    return save(ir.serde.serialize_model(model), to)


def opened(file: Path, optimised: Path | None = None) -> onnxruntime.InferenceSession:
    """A session of the graph in `file`; the graph as ONNX Runtime runs it is written to `optimised`."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns that what it writes fits only this processor
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def kinds(file: Path) -> Counter[str]:
    """How many nodes of each kind the graph in `file` has."""
    return Counter(node.op_type for node in onnx.load(file).graph.node)


def run(setting: Setting) -> list[Row]:
    """Fold the trained network, prove that the answers stay, and serve it beside what the exporter makes of it."""
    network = base.trained(setting)
    ours = folded(network)
    inputs = setting.data.inputs(setting.data.dev)
    rounds, folder = setting.either(11, 1), setting.out / "onnx"
    raw = to_onnx(network, inputs[:2], folder / "fold_raw.onnx", optimise=False)
    ours_raw = to_onnx(ours, inputs[:2], folder / "folded_raw.onnx", optimise=False)
    files = {
        "fold_norms": with_constants(raw, folder / "fold_norms.onnx"),
        "fold_folded": with_constants(ours_raw, folder / "fold_folded.onnx"),  # made as fold_norms is, but folded
        "fold_exported": to_onnx(network, inputs[:2], folder / "fold_exported.onnx"),
        "fold_raw": raw,
    }
    loads = ratios({name: partial(opened, file) for name, file in files.items()}, rounds=rounds)
    lines = []
    for name, file in files.items():
        opened(file, inside := file.with_suffix(".loaded.onnx"))
        counts = [count for found in map(kinds, (file, inside)) for count in (found.total(), found[NORM])]
        lines.append([name, *map(str, counts), str(file.stat().st_size), said(loads[name])])
    head = ["graph", "nodes", "norms", "nodes once loaded", "norms once loaded", "bytes", "load ×"]
    setting.say("\n" + table(head, lines, setting.out / "tables" / "fold.md"))
    note = f"largest change of a logit {change(network, ours, inputs):.1e} of the largest"
    with torch.inference_mode():
        for batch in (1, 8):
            eager = {"plain": partial(network, inputs[:batch]), "folded": partial(ours, inputs[:batch])}
            note += f"; PyTorch eager, batch {batch}: × {said(ratios(eager, rounds=rounds)['folded'])}"
    names = [publish(setting, files[name], name) for name in list(files)[: setting.either(4, 2)]]
    return rows_of("fold", evaluate(setting, "fold", names), {"fold_folded": "an afternoon"}, {"fold_folded": note})
