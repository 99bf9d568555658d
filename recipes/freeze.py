"""Freeze: take a network out of PyTorch's eager mode, and see what the graph alone gains before a server has it.

`torch.jit.freeze` makes weights constants and folds them (pytorch.org/docs/stable/jit.html); `torch.export` writes
down one graph of operators (pytorch.org/docs/stable/export.html); `torch.compile` makes C++ of it (Ansel et al., ASPLOS
2024, doi:10.1145/3620665.3640366), for which it needs a compiler where it runs; ONNX leaves PyTorch altogether.
"""

from __future__ import annotations

import shutil
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, cast

import onnxruntime
import torch
from torch import nn

from recipes.kit import base
from recipes.kit.publishing import evaluate, publish, to_onnx
from recipes.kit.rows import Row, rows_of
from recipes.kit.setting import Setting
from recipes.kit.side_by_side import ratios, said, table

BATCHES: Final = (1, 8)
Forward = Callable[[torch.Tensor], torch.Tensor]
"""Inputs FP32 [n, ...] -> logits FP32 [n, classes]."""


def traced(network: nn.Module, example: torch.Tensor) -> Forward:
    """The operators that `network` runs on `example`, frozen. A branch that depends on values is lost."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is no longer developed
        return cast(Forward, torch.jit.freeze(torch.jit.trace(network.eval(), example)))


def scripted(network: nn.Module, example: torch.Tensor) -> Forward:
    """The Python code of `network`, translated and frozen. Branches stay."""
    del example
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return cast(Forward, torch.jit.freeze(torch.jit.script(network.eval())))


def exported(network: nn.Module, example: torch.Tensor) -> Forward:
    """One graph of operators for every batch, run by Python, an operator after another."""
    program = torch.export.export(network.eval(), (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    return cast(Forward, program.module())


def compiled(network: nn.Module, example: torch.Tensor) -> Forward:
    """C++ made and compiled for the operators of `network`; for all batches at once."""
    found = torch.compile(network.eval(), dynamic=True)
    with torch.inference_mode():
        found(example)  # compiling happens at the first call
    return cast(Forward, found)


def in_onnx_runtime(network: nn.Module, example: torch.Tensor, *, file: Path, threads: int) -> Forward:
    """The ONNX graph of `network`, written to `file`, in ONNX Runtime, with as many `threads` as PyTorch has."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # threads that wait by spinning would take the cores from those that are measured next
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(to_onnx(network, example, file), options, providers=["CPUExecutionProvider"])
    return lambda inputs: torch.from_numpy(session.run(None, {"normalised": inputs.numpy()})[0])


def has_compiler() -> bool:
    """Whether `torch.compile` finds the C++ compiler that it takes by default."""
    return shutil.which("g++") is not None


def run(setting: Setting) -> list[Row]:
    """Hold all ways side by side, in one process and with the same number of threads; serve that of ONNX."""
    network = base.trained(setting)
    inputs = setting.data.inputs(setting.data.dev.first(500))
    file, threads = setting.out / "onnx" / "freeze_onnx.onnx", torch.get_num_threads()
    makers: dict[str, Callable[[nn.Module, torch.Tensor], Forward]] = {
        "eager": lambda network, _: network,
        "jit.trace, frozen": traced,
        "jit.script, frozen": scripted,
        "torch.export": exported,
        "torch.compile": compiled,
        "ONNX Runtime": partial(in_onnx_runtime, file=file, threads=threads),
    }
    if not has_compiler():
        setting.say("torch.compile is left out: it needs a C++ compiler, and there is no g++")
        del makers["torch.compile"]
    ways, seconds = {}, {}
    for name, make in makers.items():
        started = time.perf_counter()
        ways[name] = make(network, inputs[:2])
        seconds[name] = time.perf_counter() - started
    with torch.inference_mode():
        expected = network(inputs)
        scale = expected.abs().max()
        changes = {name: float((way(inputs) - expected).abs().max() / scale) for name, way in ways.items()}
        paces = [
            ratios({name: partial(way, inputs[:batch]) for name, way in ways.items()}, rounds=setting.either(21, 1))
            for batch in BATCHES
        ]
    lines = [
        [name, f"{changes[name]:.1e}", f"{seconds[name]:.1f}", *(said(pace[name]) for pace in paces)] for name in ways
    ]
    head = ["way", "largest change of a logit", "seconds to make", *(f"batch {batch} ×" for batch in BATCHES)]
    setting.say("\n" + table(head, lines, setting.out / "tables" / "freeze.md"))
    judgement = evaluate(setting, "freeze", [publish(setting, file, "freeze_onnx")])
    note = f"before the server, with {threads} threads, of PyTorch eager: " + ", ".join(
        f"batch {batch} × {said(pace['ONNX Runtime'])}" for batch, pace in zip(BATCHES, paces, strict=True)
    )
    return rows_of("freeze", judgement, {}, {"freeze_onnx": note})
