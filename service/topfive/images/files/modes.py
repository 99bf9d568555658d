"""Converts all of Pillow's kinds of pixels to RGB: grey of any depth, palettes, ink, CIELAB, and alpha over white.

An image is converted in bands of a few rows, and each band is put at its place in the upright image. So intermediate
results take little memory, and no call holds up other threads for long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from topfive.images.files.colour import ColourProfiles
from topfive.images.files.exif import UPRIGHT, empty_turned

PROFILES: Final = ColourProfiles()
"""All threads share it; nothing in it depends on settings."""

_KEPT: Final = ("RGB", "RGBA", "L", "LA", "CMYK")
_MODES: Final = {1: "L", 3: "RGB", 4: "CMYK"}
"""The mode of a JPEG, by its number of components."""
_OPAQUE: Final = 255
_BAND_PIXELS: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read an image's samples.

    `grey_bits`, `is_inverted`: for grey samples of more than eight bits, of which the highest eight are kept.
    `ignore_blank_alpha`: if alpha is 0 everywhere, it was never set, and the image is opaque. `turn`: as `orientation`.
    """

    profile: bytes | None = None
    turn: int = UPRIGHT
    grey_bits: int = 16
    is_inverted: bool = False
    ignore_blank_alpha: bool = False


def image_to_rgb(image: Image.Image, reading: Reading) -> NDArray[np.uint8]:
    """The upright image, [H, W, 3] in sRGB over white; raises `ValueError` if its palette is missing."""
    if image.mode == "P" and image.palette is None:
        raise ValueError("its palette is missing")
    opaque = reading.ignore_blank_alpha and image.mode == "RGBA" and not _has_alpha(image)
    pixels, target = empty_turned(image.height, image.width, reading.turn)
    for top, bottom in _bands(image.height, image.width):
        band = image.crop((0, top, image.width, bottom))
        plain = band.convert("RGB") if opaque else _plain(band, reading)
        target[top:bottom] = np.asarray(_to_rgb(plain, reading.profile))
    return pixels


def array_to_rgb(
    pixels: NDArray[np.uint8], components: int, profile: bytes | None, turn: int = UPRIGHT
) -> NDArray[np.uint8]:
    """The upright image, [H, W, 3] in sRGB, of a JPEG's `pixels`: [H, W, 3], also for grey, or [H, W, 4] for ink."""
    mode = _MODES[components]
    converts = mode == "CMYK" or PROFILES.changes(profile, mode)
    if not converts and turn == UPRIGHT:
        return pixels
    height, width = pixels.shape[:2]
    turned, target = empty_turned(height, width, turn)
    for top, bottom in _bands(height, width):
        band = pixels[top:bottom]
        if converts:
            samples = np.ascontiguousarray(band[..., 0]) if mode == "L" else band
            band = np.asarray(_to_rgb(Image.frombytes(mode, (width, bottom - top), samples.data), profile))
        target[top:bottom] = band
    return turned


def _bands(height: int, width: int) -> Iterator[tuple[int, int]]:
    """For each band its first row, and the row after its last."""
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        yield top, min(height, top + rows)


def _has_alpha(image: Image.Image) -> bool:
    bands = _bands(image.height, image.width)
    return any(image.crop((0, top, image.width, bottom)).getchannel("A").getbbox() for top, bottom in bands)


def _plain(image: Image.Image, reading: Reading) -> Image.Image:
    """`image`, converted to one of the modes RGB, RGBA, L, LA and CMYK."""
    if image.mode.startswith("I;16"):
        samples = np.asarray(image)
        high = (samples >> (reading.grey_bits - 8)).astype(np.uint8)
        grey = Image.fromarray(np.invert(high) if reading.is_inverted else high)
        key = image.info.get("transparency")
        if isinstance(key, int):
            grey.putalpha(Image.fromarray(np.where(samples == key, 0, 255).astype(np.uint8)))
        return grey
    if image.mode == "LAB":
        converted = ImageCms.applyTransform(image, _lab_to_srgb())
        assert converted is not None
        return converted
    if image.has_transparency_data and image.mode != "LA":
        return image.convert("RGBA")
    return image if image.mode in _KEPT else image.convert("RGB")


@lru_cache(maxsize=1)
def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")


def _to_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """`image`, which `_plain` made, in sRGB over white; it may be changed in place."""
    if image.mode == "LA":
        coloured = PROFILES.to_srgb(image.getchannel(0), profile).convert("RGB")
        coloured.putalpha(image.getchannel(1))
        image = coloured
    else:
        image = PROFILES.to_srgb(image, profile)
    if image.mode != "RGBA":
        return image.convert("RGB") if image.mode != "RGB" else image
    if image.getchannel("A").getextrema()[0] == _OPAQUE:
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
