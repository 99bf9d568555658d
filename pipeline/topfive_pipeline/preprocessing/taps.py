"""Resampling without antialias, and by the nearest pixel, in NumPy: each output pixel is a sum of a few source pixels.

What does not live here: resampling with antialias, which is Pillow's own (`preprocessing.reference`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from topfive_pipeline.preprocessing.rules import Interpolation, Size

CUBIC: Final = -0.75
"""The parameter of the cubic filter without antialias, in OpenCV and PyTorch; Pillow's, with antialias, is -0.5."""
TIE: Final = 1e-4
"""What is less than this below half-way between two levels is rounded up, too, lest the last bit of a weight decide."""


def sampled(
    image: NDArray[np.uint8], resized: Size, *, rows: range, columns: range, interpolation: Interpolation
) -> NDArray[np.uint8]:
    """The given rows and columns of `image`, UINT8 [H, W, C], resized to the size `resized` without antialias.

    The arithmetic is OpenCV's (half-pixel centres, the border pixel repeated) in float64, rounded once at the end, half
    up. OpenCV itself rounds its weights to 1/2048, so it may be one grey level off.
    """
    vertical, horizontal = (
        _taps(length, full, places, interpolation=interpolation)
        for length, full, places in zip(image.shape, resized, (rows, columns), strict=False)
    )
    if interpolation == "nearest":
        picked: NDArray[np.uint8] = image[vertical[0][0]][:, horizontal[0][0]]
        return picked
    between = sum(
        image[index].astype(np.float64) * weight[:, np.newaxis, np.newaxis]
        for index, weight in zip(*vertical, strict=True)
    )
    levels = sum(between[:, index] * weight[:, np.newaxis] for index, weight in zip(*horizontal, strict=True))
    rounded: NDArray[np.uint8] = np.floor(np.clip(levels + (0.5 + TIE), 0, 255)).astype(np.uint8)
    return rounded


def _taps(
    length: int, full: int, places: range, *, interpolation: Interpolation
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Which source pixels the resized pixels `places` are made of, INT64 [taps, places], and their weights."""
    if interpolation == "nearest":
        # Pillow adds the step up from pixel to pixel, in float64; to multiply would differ where centres meet borders.
        step = length / full
        steps = np.full(places.stop, step)
        steps[:1] = step * 0.5
        return np.cumsum(steps).astype(np.int64)[np.newaxis, places.start :], np.ones((1, len(places)))
    # The centre of pixel x lies at (x + 0.5) * length / full - 0.5, kept as a fraction of whole numbers.
    below, rest = np.divmod((2 * np.arange(places.start, places.stop) + 1) * length - full, 2 * full)
    f = rest / (2 * full)
    if interpolation == "bilinear":
        offsets, weights = [0, 1], [1 - f, f]
    else:
        a = CUBIC
        far = [a * (((d - 5) * d + 8) * d - 4) for d in (1 + f, 2 - f)]
        near = [((a + 2) * d - (a + 3)) * d * d + 1 for d in (f, 1 - f)]
        offsets, weights = [-1, 0, 1, 2], [far[0], near[0], near[1], far[1]]
    index = np.clip(below + np.array(offsets)[:, np.newaxis], 0, length - 1)
    return index, np.stack(weights)
