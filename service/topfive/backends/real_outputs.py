"""Compares what a graph really puts out with what is declared: pure functions.

ONNX Runtime only warns where a tensor has another shape than the graph declares, and a dimension that the graph leaves
open says nothing. So the shapes are known only when the graph has run. The datatypes need no look here: the runtime
refuses a graph whose tensors have others than it declares, and `onnx_runtime` compares those with config.pbtxt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from topfive.ground.errors import ConfigurationError
from topfive.ground.next_steps import import_command
from topfive.ground.types import TensorSpec

_SIZES: Final = ((1, 1), (211, 67), (67, 211), (375, 500))
"""Heights and widths: the least image, a tall and a wide one with odd sides, and an ordinary photo."""


def images_of_all_sizes(image: TensorSpec, *, most: int) -> Iterator[NDArray[np.uint8]]:
    """Black images to run a per-image graph on: UINT8 [N, H, W, 3], N is 1, but for the last size 2 if `most` is not 1.

    A dimension that `image` fixes is kept.
    """
    seen = set()
    for number, size in enumerate(_SIZES, 1):
        free = dict(zip((1, 2), size, strict=True))
        images = min(2, most) if number == len(_SIZES) else 1
        shape = (images, *(free.get(axis, 3) if side == -1 else side for axis, side in enumerate(image.shape) if axis))
        if shape not in seen:
            seen.add(shape)
            yield np.zeros(shape, np.uint8)


def described(images: NDArray[Any]) -> str:
    """The batch `images` in words."""
    height, width = images.shape[1:3]
    each = f"{height} x {width} pixels (height x width)"
    return f"an image of {each}" if len(images) == 1 else f"{len(images)} images of {each}"


def check_prepared(path: Path, output: TensorSpec, images: NDArray[Any], prepared: NDArray[Any]) -> None:
    """Raise `ConfigurationError` unless the graph at `path` made `prepared` of `images` as its `output` declares."""
    if _fits(output, prepared, len(images)):
        return
    raise ConfigurationError(
        f"{path}: of {described(images)} the graph makes '{output.name}' of shape {list(prepared.shape)}, but "
        f"config.pbtxt declares {_wanted(output, len(images))}, which the classifier takes; build the graph anew so "
        f"that it makes this size of every image, as {import_command()} does"
    )


def check_answered(
    path: Path, outputs: Sequence[TensorSpec], images: NDArray[Any], found: Sequence[NDArray[Any]]
) -> None:
    """Raise `ConfigurationError` unless the graph at `path` put out `found` for `images` as its `outputs` declare."""
    for output, values in zip(outputs, found, strict=True):
        if not _fits(output, values, len(images)):
            raise ConfigurationError(
                f"{path}: for {described(images)} the graph puts out '{output.name}' of shape {list(values.shape)}, "
                f"but config.pbtxt declares {_wanted(output, len(images))}; {_remedy(output, values, len(images))}"
            )


def _remedy(output: TensorSpec, values: NDArray[Any], images: int) -> str:
    if values.ndim == len(output.shape) and len(values) == images:
        return f"declare dims: [ {', '.join(map(str, values.shape[1:]))} ], in config.pbtxt and in its ensemble's"
    return f"build the graph anew with a row for each image of a batch, as {import_command()} does"


def _fits(declared: TensorSpec, found: NDArray[Any], images: int) -> bool:
    wanted = (images, *declared.shape[1:])
    return found.ndim == len(wanted) and all(size in (-1, real) for size, real in zip(wanted, found.shape, strict=True))


def _wanted(declared: TensorSpec, images: int) -> list[int]:
    return [images, *declared.shape[1:]]
