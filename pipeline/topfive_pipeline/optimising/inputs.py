"""What each layer takes on photos: the mean and the covariance of the numbers that its weights are multiplied by.

A convolution is a matrix on patches of its input, so both are of patches, some at random places of each photo. What
does not live here: what weights are rounded to because of it (`rounding`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray

from topfive_pipeline.graphs.running import session
from topfive_pipeline.optimising.source import Source, constants, with_outputs

_BATCH: Final = 8
"""Crops at once."""
_PLACES: Final = 32
"""Patches of each photo. Of EfficientNet-Lite0 and 126 photos, 16 give 25.7 dB, and 32, 64 and 128 give 25.9."""
_WIDEST: Final = 4608
"""Numbers that a layer's output is summed of, 512 channels of 3 x 3: a covariance of more takes gigabytes."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """A layer as matrices: `weights` FP32 [groups, outputs of a group, d], its `bias` FP32 [outputs] if it has one.

    `kernel`, `strides`, `pads` and `dilations` are those of a convolution, and empty for others.
    """

    name: str
    takes: str
    weights: NDArray[np.float32]
    bias: NDArray[np.float32] | None
    kernel: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    pads: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()

    def patches(self, array: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
        """FP32 [groups, d, patches] of what the layer takes, with the batch first; at most `_PLACES` of each photo."""
        if not self.kernel:
            rows = array.reshape(len(array), -1, array.shape[-1])
            rows = rows[:, random.permutation(rows.shape[1])[:_PLACES]]
            return rows.reshape(-1, rows.shape[-1]).T[np.newaxis]
        top, left, bottom, right = self.pads
        padded = np.pad(array, ((0, 0), (0, 0), (top, bottom), (left, right)))
        extent = tuple((size - 1) * step + 1 for size, step in zip(self.kernel, self.dilations, strict=True))
        windows = np.lib.stride_tricks.sliding_window_view(padded, extent, axis=(2, 3))
        windows = windows[:, :, :: self.strides[0], :: self.strides[1], :: self.dilations[0], :: self.dilations[1]]
        rows, columns = windows.shape[2:4]
        places = random.permutation(rows * columns)[:_PLACES]
        some = windows[:, :, places // columns, places % columns]  # [n, channels, places, kernel]
        groups, _, length = self.weights.shape
        return some.transpose(1, 3, 4, 0, 2).reshape(groups, length, -1)


@dataclass(slots=True)
class Inputs:
    """Sums over `count` patches of what a layer takes: of them FP64 [groups, d], of their products [groups, d, d].

    `products` is None if d is too large for it.
    """

    count: int = 0
    total: NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))
    products: NDArray[np.float32] | None = field(default_factory=lambda: np.zeros((), np.float32))

    def add(self, patches: NDArray[np.float32]) -> None:
        """Count `patches` [groups, d, n]."""
        self.count += patches.shape[2]
        self.total = self.total + patches.sum(axis=2, dtype=np.float64)
        if self.products is not None and patches.shape[1] <= _WIDEST:
            self.products = self.products + np.matmul(patches, patches.transpose(0, 2, 1))
        else:
            self.products = None

    @property
    def mean(self) -> NDArray[np.float64]:
        """FP64 [groups, d]."""
        return self.total / self.count

    def moments(self, *, centred: bool) -> NDArray[np.float64] | None:
        """FP64 [groups, d, d]: the covariance, or not `centred` the mean product; None if d is too large."""
        if self.products is None:
            return None
        products = self.products.astype(np.float64) / self.count
        return products - self.mean[:, :, np.newaxis] * self.mean[:, np.newaxis, :] if centred else products


def matrices(source: Source) -> list[Matrix]:
    """The layers of `source` that are matrices of their own: not those that share weights."""
    values = constants(source.model)
    uses = [name for node in source.model.graph.node for name in node.input]
    found = []
    for node in source.of_types(frozenset({"Conv", "Gemm", "MatMul"})):
        if node.input[1] not in values or any(uses.count(name) > 1 for name in node.input[1:] if name):
            continue
        weights = onnx.numpy_helper.to_array(values[node.input[1]])
        said = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        biased = len(node.input) > 2 and node.input[2] in values
        bias = onnx.numpy_helper.to_array(values[node.input[2]]).reshape(-1) if biased else None
        if node.op_type == "Conv":
            if weights.ndim != 4 or said.get("auto_pad", b"NOTSET") != b"NOTSET":  # NCHW
                continue
            groups = said.get("group", 1)
            found.append(
                Matrix(
                    node.name,
                    node.input[0],
                    weights.reshape(groups, weights.shape[0] // groups, -1),
                    bias,
                    tuple(weights.shape[2:]),
                    tuple(said.get("strides", (1, 1))),
                    tuple(said.get("pads", (0, 0, 0, 0))),
                    tuple(said.get("dilations", (1, 1))),
                )
            )
        elif weights.ndim == 2 and not any(  # a matrix
            (said.get("transA", 0), said.get("alpha", 1.0) != 1.0, said.get("beta", 1.0) != 1.0)
        ):
            across = weights if said.get("transB", 0) else weights.T
            if bias is None or len(bias) == len(across):
                found.append(Matrix(node.name, node.input[0], across[np.newaxis], bias))
    return found


def collect(
    source: Source,
    layers: Sequence[Matrix],
    crops: Sequence[NDArray[np.uint8]],
    *,
    progress: Callable[[int, int], None],
) -> Mapping[str, Inputs]:
    """Run the network in floating point on `crops`, UINT8 [h, w, 3] each; what each of `layers` takes, by its name."""
    names = sorted({layer.takes for layer in layers})
    running = session(with_outputs(source.model, names))
    (taken,) = (each.name for each in running.get_inputs())
    found = {layer.name: Inputs() for layer in layers}
    random = np.random.default_rng(0)
    for first in range(0, len(crops), _BATCH):
        some = np.stack(crops[first : first + _BATCH])
        values = dict(zip(names, running.run(names, {taken: some}), strict=True))
        for layer in layers:
            found[layer.name].add(layer.patches(values[layer.takes], random))
        progress(first + len(some), len(crops))
    return found
