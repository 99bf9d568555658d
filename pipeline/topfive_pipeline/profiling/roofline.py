"""What a graph needs at least, and what this machine can do: multiplications and bytes a second.

What lives here: counts by shape inference, and two short measurements. The roofline model: Williams, Waterman and
Patterson, "Roofline: an insightful visual performance model for multicore architectures", CACM 52(4), 2009.

Its error is large: convolutions never reach the peak of a product of matrices, depthwise ones least of all; and bytes
are counted as if no cache held anything. So it says which of both is nearer, within a factor of about two, and no more.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from topfive.backends.onnx_runtime import runtime

FEW: Final = 1e6
"""Multiplications: a graph with fewer is not bounded by them."""
_SIDE: Final = 768
"""Of the square matrices: each fits a second-level cache nearly, as the tiles of a convolution do."""
_SECONDS: Final = 0.6
_COPY_BYTES: Final = 32 << 20
"""Far more than a core's share of the last cache."""
_CONVOLUTIONS: Final = ("Conv", "ConvInteger", "QLinearConv")
_PRODUCTS: Final = ("MatMul", "Gemm", "MatMulInteger", "QLinearMatMul")
_INTEGER: Final = ("QuantizeLinear", "QLinearConv", "ConvInteger", "MatMulInteger")

Shapes = Mapping[str, Sequence[int]]


def macs(path: Path, shape: Sequence[int]) -> float:
    """Multiplications with additions of convolutions and products of matrices for an input of `shape`.

    Bodies of loops and branches are left out, and so is what shape inference does not know.
    """
    model = onnx.load(path, load_external_data=False)
    fixed = {each.name: list(each.dims) for each in model.graph.initializer}
    given = next(each for each in model.graph.input if each.name not in fixed)
    for dimension, size in zip(given.type.tensor_type.shape.dim, shape, strict=True):
        dimension.dim_value = size
    inferred = onnx.shape_inference.infer_shapes(model).graph
    shapes: dict[str, Sequence[int]] = dict(fixed)
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        dims = value.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in dims):
            shapes[value.name] = [dim.dim_value for dim in dims]
    return float(sum(_macs(node, shapes) for node in inferred.node))


def _macs(node: Any, shapes: Shapes) -> int:
    """Of one node: the elements that it puts out, times the products of each."""
    out = shapes.get(node.output[0])
    if out is None:
        return 0
    if node.op_type in _CONVOLUTIONS:
        weights = shapes.get(node.input[3 if node.op_type == "QLinearConv" else 1])
        return 0 if weights is None else math.prod(out) * math.prod(weights[1:])
    if node.op_type in _PRODUCTS:
        first = shapes.get(node.input[0])
        return 0 if not first or not out else math.prod(out) * _inner(node, first, out)
    return 0


def _inner(node: Any, first: Sequence[int], out: Sequence[int]) -> int:
    """The side that a product of matrices sums over."""
    return math.prod(first) // out[0] if node.op_type == "Gemm" else first[-1]


def is_integer(path: Path) -> bool:
    """Whether the network's convolutions and products are of integers."""
    nodes = onnx.load(path, load_external_data=False).graph.node
    return sum(node.op_type in _INTEGER for node in nodes) > sum(node.op_type in _CONVOLUTIONS for node in nodes) / 2


def peak_flops(*, threads: int, integers: bool) -> float:
    """Operations a second of a product of two matrices on ONNX Runtime, the fastest of half a second of runs."""
    options = runtime().SessionOptions()
    options.intra_op_num_threads = threads
    session = runtime().InferenceSession(
        _product(integers=integers).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    sides = (_SIDE, _SIDE)
    left = np.ones(sides, np.uint8 if integers else np.float32)
    feed = {"left": left}
    return 2 * _SIDE**3 / _fastest(lambda: session.run(None, feed))


def _product(*, integers: bool) -> Any:
    """A model of one product, of FP32 matrices or of UINT8 with INT8, whose second is a constant, as weights are."""
    right = np.ones((_SIDE, _SIDE), np.int8 if integers else np.float32)
    kind, into = (TensorProto.UINT8, TensorProto.INT32) if integers else (TensorProto.FLOAT, TensorProto.FLOAT)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger" if integers else "MatMul", ["left", "right"], ["out"])],
        "product",
        [helper.make_tensor_value_info("left", kind, [_SIDE, _SIDE])],
        [helper.make_tensor_value_info("out", into, [_SIDE, _SIDE])],
        [onnx.numpy_helper.from_array(right, "right")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def copied(*, threads: int) -> float:
    """Bytes read and written a second when memory is copied by `threads` at once, the fastest of some copies."""
    pairs = [(np.ones(_COPY_BYTES, np.uint8), np.empty(_COPY_BYTES, np.uint8)) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:  # NumPy copies without Python's lock
        return 2 * _COPY_BYTES * threads / _fastest(lambda: list(pool.map(_copy, pairs)))


def _copy(pair: tuple[Any, Any]) -> None:
    np.copyto(pair[1], pair[0])


def _fastest(run: Callable[[], object]) -> float:
    """Seconds of the fastest run."""
    run()
    fastest, ends = math.inf, time.perf_counter() + _SECONDS
    while time.perf_counter() < ends:
        began = time.perf_counter()
        run()
        fastest = min(fastest, time.perf_counter() - began)
    return fastest
