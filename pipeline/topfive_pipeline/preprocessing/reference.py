"""What `Preprocessing` means, in Pillow and NumPy and without tricks: graphs, proofs and tests are compared with it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from topfive_pipeline.preprocessing.geometry import resized_size, windows
from topfive_pipeline.preprocessing.rules import Preprocessing, Size
from topfive_pipeline.preprocessing.taps import sampled

Layout = Literal["NCHW", "NHWC", "flat"]
"""The order of a network's input; `flat` is [N, h * w * channels], the channels of a pixel side by side."""

_FILTERS: Final = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
}
_MOST_PIXELS: Final = 1 << 24
"""A resized image larger than this (1 x 5000 becomes 256 x 1280000) is not made as a whole."""


def decode(path: Path) -> Image.Image:
    """A photo upright (EXIF orientation applied), mode RGB.

    Raises OSError if the file cannot be read, `PIL.UnidentifiedImageError` (also an OSError) if it is no image.
    """
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def pixels(image: Image.Image | NDArray[np.uint8], rules: Preprocessing) -> NDArray[np.uint8]:
    """The resized and cropped image, UINT8 [crop height, crop width, 3], RGB.

    `image` is an RGB image, or UINT8 [H, W, 3]; H and W at least 1. Raises `ConfigurationError` if the rules say how to
    resize, but not to what size.
    """
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    resized = resized_size((picture.height, picture.width), rules)
    vertical, horizontal = windows(resized, rules)
    ground = np.full((*rules.crop, 3), rules.fill, np.uint8)
    if min(resized) > 0:
        rows, columns = range(vertical.start, vertical.stop), range(horizontal.start, horizontal.stop)
        seen = _seen(picture, resized, rows=rows, columns=columns, rules=rules)
        ground[vertical.before :, horizontal.before :][: len(rows), : len(columns)] = seen
    return ground


def network_input(pixels: NDArray[np.uint8], rules: Preprocessing, *, layout: Layout) -> NDArray[np.float32]:
    """The network's input for `pixels`, UINT8 [N, h, w, 3]: colour, and (level * scale - mean) / std in float32."""
    levels = _colour(pixels, rules).astype(np.float32)
    scale, mean, std = (np.asarray(value, np.float32) for value in (rules.scale, rules.mean, rules.std))
    normalised: NDArray[np.float32] = (levels * scale - mean) / std
    match layout:
        case "NCHW":
            return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2))
        case "NHWC":
            return normalised
        case "flat":
            return normalised.reshape(len(normalised), -1)


def _seen(
    picture: Image.Image, resized: Size, *, rows: range, columns: range, rules: Preprocessing
) -> NDArray[np.uint8]:
    """The given rows and columns of the resized picture."""
    same = resized == (picture.height, picture.width)
    huge = resized[0] * resized[1] > _MOST_PIXELS
    nearest = rules.interpolation == "nearest"
    if not same and (huge if nearest else not rules.antialias):
        array = np.asarray(picture)
        return sampled(array, resized, rows=rows, columns=columns, interpolation=rules.interpolation)
    if huge and not same:
        return _by_passes(picture, resized, rows=rows, columns=columns, rules=rules)
    whole = picture if same else picture.resize((resized[1], resized[0]), _FILTERS[rules.interpolation])
    return np.asarray(whole.crop((columns.start, rows.start, columns.stop, rows.stop)))


def _by_passes(
    picture: Image.Image, resized: Size, *, rows: range, columns: range, rules: Preprocessing
) -> NDArray[np.uint8]:
    """The same as `_seen`, cropping after each of Pillow's two passes, horizontal first.

    Pillow rounds the box to float32, which may make a pixel in some thousands one grey level off.
    """
    method, (height, width) = _FILTERS[rules.interpolation], resized
    narrow = picture.resize((width, picture.height), method).crop((columns.start, 0, columns.stop, picture.height))
    box = (0, rows.start * picture.height / height, len(columns), rows.stop * picture.height / height)
    return np.asarray(narrow.resize((len(columns), len(rows)), method, box=box))


def _colour(pixels: NDArray[np.uint8], rules: Preprocessing) -> NDArray[np.uint8]:
    """The network's channels, UINT8 [N, h, w, channels]."""
    match rules.colour:
        case "rgb":
            return pixels
        case "bgr":
            return pixels[..., ::-1]
        case "grey":
            # Pillow's convert("L"): ITU-R 601 in 16-bit fixed point, rounded half up
            red, green, blue = np.moveaxis(pixels.astype(np.uint32), -1, 0)
            grey = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
            plane: NDArray[np.uint8] = grey.astype(np.uint8)[..., np.newaxis]
            return plane
