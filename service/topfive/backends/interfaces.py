"""Compares the tensors that a graph has with those that config.pbtxt declares: pure functions, for any engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from topfive.ground.errors import ConfigurationError
from topfive.ground.next_steps import import_advice
from topfive.ground.types import TensorSpec

ONNX_TYPES: Final[Mapping[str, str]] = {
    "BOOL": "tensor(bool)",
    "UINT8": "tensor(uint8)",
    "INT32": "tensor(int32)",
    "INT64": "tensor(int64)",
    "FP16": "tensor(float16)",
    "FP32": "tensor(float)",
    "FP64": "tensor(double)",
    "BYTES": "tensor(string)",
}
"""By datatype of the protocol, the type as ONNX Runtime names it."""
_FLOATS: Final = ("tensor(float)", "tensor(float16)", "tensor(double)")
"""What a network takes as a framework exports it."""


class FoundTensor(Protocol):
    """A tensor of a graph. `type`: as in `ONNX_TYPES`; `shape`: a dimension that is no number is free."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def shape(self) -> Sequence[Any]: ...


def check_interface(
    path: Path,
    declared: tuple[Sequence[TensorSpec], Sequence[TensorSpec]],
    found: tuple[Sequence[FoundTensor], Sequence[FoundTensor]],
) -> None:
    """Raise `ConfigurationError` unless the graph's inputs and outputs, `found`, are exactly those `declared`."""
    remedy = "make them the same"
    if any(tensor.type in _FLOATS for tensor in found[0]):
        remedy += f"; or, {import_advice(path)}"
    for specs, tensors in zip(declared, found, strict=True):
        _check_tensors(path, specs, tensors, remedy)


def _check_tensors(path: Path, declared: Sequence[TensorSpec], found: Sequence[FoundTensor], remedy: str) -> None:
    by_name = {tensor.name: tensor for tensor in found}
    if set(by_name) != {spec.name for spec in declared}:
        raise ConfigurationError(
            f"{path}: the graph has the tensors {sorted(by_name)}, its config.pbtxt declares "
            f"{sorted(spec.name for spec in declared)}; {remedy}"
        )
    for spec in declared:
        tensor = by_name[spec.name]
        dims = [size if isinstance(size, int) else -1 for size in tensor.shape]
        if tensor.type != ONNX_TYPES[spec.datatype] or dims != list(spec.shape):
            raise ConfigurationError(
                f"{path}: '{spec.name}' is {tensor.type} {dims} in the graph, but {spec.datatype} "
                f"{list(spec.shape)} (batch dimension first) in config.pbtxt; {remedy}"
            )
