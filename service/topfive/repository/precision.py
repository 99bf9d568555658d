"""Finds the precision in which a graph computes from its file, for operators who want to know what runs.

Only names, types and shapes are read (`repository.onnx_fields`); weights are skipped.
"""

from __future__ import annotations

import mmap
from collections import Counter
from math import prod
from pathlib import Path
from typing import Final

from topfive.repository.model_config import ModelConfig
from topfive.repository.onnx_fields import BYTES, VARINT, Buffer, fields, messages, varint

_MODEL_GRAPH: Final = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_OP_TYPE: Final = 4
_TENSOR_DIMS, _TENSOR_TYPE = 1, 2
"""The numbers, in onnx.proto, of the fields that are read."""
_NAMES: Final = {1: "FP32", 10: "FP16", 11: "FP64", 16: "BF16"}
"""The types that the weights of a float graph may have, by their number in `TensorProto.DataType`."""
_QUANTISED: Final = ("QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "ConvInteger", "MatMulInteger")
_SCALES: Final = ("QuantizeLinear", "DequantizeLinear")


def precision_of(path: Path) -> str:
    """`INT8` if the graph in the file at `path` quantises, else the type of most of its weights, such as `FP32`.

    Empty if it has no weights, or the file cannot be read as a graph.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _precision(data)
    except (OSError, ValueError, IndexError):
        return ""


def computes_in(path: Path, config: ModelConfig) -> str:
    """The precision in which the graph in the file at `path` runs in this process, on the engine of `config`."""
    found = precision_of(path)
    if found == "INT8":
        return found
    if config.gpu.tensorrt:
        return config.gpu.precision.upper()
    return config.precision.upper() if config.engine == "openvino" else found


def has_scales(path: Path) -> bool:
    """Whether the graph in the file at `path` says by QuantizeLinear and DequantizeLinear how to quantise it."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return set(_SCALES) <= _operators(data)
    except (OSError, ValueError, IndexError):
        return False


def _precision(data: Buffer) -> str:
    weights: Counter[str] = Counter()
    if not _operators(data).isdisjoint(_QUANTISED):
        return "INT8"
    for start, end in messages(data, 0, len(data), _MODEL_GRAPH):
        for tensor in messages(data, start, end, _GRAPH_INITIALIZER):
            kind, size = _tensor(data, *tensor)
            weights[_NAMES.get(kind, "")] += size
    del weights[""]
    return weights.most_common(1)[0][0] if weights else ""


def _operators(data: Buffer) -> set[str]:
    """The types of the graph's nodes."""
    return {
        data[first:last].decode("ascii", "replace")
        for start, end in messages(data, 0, len(data), _MODEL_GRAPH)
        for node in messages(data, start, end, _GRAPH_NODE)
        for first, last in messages(data, *node, _NODE_OP_TYPE)
    }


def _tensor(data: Buffer, start: int, end: int) -> tuple[int, int]:
    """The number that stands for a tensor's type, and the number of its elements."""
    kind, dims = 0, []
    for field, wire, value, after in fields(data, start, end):
        if field == _TENSOR_TYPE and wire == VARINT:
            kind = value
        elif field == _TENSOR_DIMS and wire == VARINT:
            dims.append(value)
        elif field == _TENSOR_DIMS and wire == BYTES:  # packed
            at = value
            while at < after:
                dim, at = varint(data, at)
                dims.append(dim)
    return kind, prod(dims)
