"""Pillow's kinds of pixels to RGB: grey of any depth, palettes, ink, CIELAB, and alpha over white."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from service.decoding.colour import ColourProfiles

PROFILES: Final = ColourProfiles()
"""Kept for all threads; nothing in it depends on settings."""

_KEPT: Final = ("RGB", "RGBA", "L", "LA", "CMYK")
_MODES: Final = {1: "L", 3: "RGB", 4: "CMYK"}
"""Of a JPEG, by its components."""
_OPAQUE: Final = 255


def plain(image: Image.Image, *, bits: int, is_inverted: bool) -> Image.Image:
    """`image` in one of the modes RGB, RGBA, L, LA and CMYK.

    `bits`, `is_inverted`: of grey samples of more than eight bits, of which the highest eight are kept.
    """
    if image.mode.startswith("I;16"):
        samples = np.asarray(image)
        high = (samples >> (bits - 8)).astype(np.uint8)
        grey = Image.fromarray(np.invert(high) if is_inverted else high)
        key = image.info.get("transparency")
        if isinstance(key, int):
            grey.putalpha(Image.fromarray(np.where(samples == key, 0, 255).astype(np.uint8)))
        return grey
    if image.mode == "LAB":
        converted = ImageCms.profileToProfile(
            image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
        assert converted is not None
        return converted
    if image.has_transparency_data and image.mode != "LA":
        return image.convert("RGBA")
    return image if image.mode in _KEPT else image.convert("RGB")


def array_to_rgb(pixels: NDArray[np.uint8], components: int, profile: bytes | None) -> NDArray[np.uint8]:
    """[H, W, 3] in sRGB of a JPEG's `pixels`: [H, W, 3], also of grey, or of ink [H, W, 4]."""
    mode = _MODES[components]
    if mode != "CMYK" and not PROFILES.changes(profile, mode):
        return pixels
    height, width = pixels.shape[:2]
    if mode == "L":
        pixels = np.ascontiguousarray(pixels[..., 0])
    return np.asarray(to_rgb(Image.frombytes(mode, (width, height), pixels.data), profile))


def to_rgb(image: Image.Image, profile: bytes | None, *, ignore_blank_alpha: bool = False) -> Image.Image:
    """`image`, as `plain` makes them, in sRGB over white; it may be changed in place.

    `ignore_blank_alpha`: alpha that is 0 everywhere was never set, so the image is opaque.
    """
    if image.mode == "LA":
        coloured = PROFILES.to_srgb(image.getchannel(0), profile).convert("RGB")
        coloured.putalpha(image.getchannel(1))
        image = coloured
    else:
        image = PROFILES.to_srgb(image, profile)
    if image.mode != "RGBA":
        return image.convert("RGB") if image.mode != "RGB" else image
    least, most = image.getchannel("A").getextrema()
    if least == _OPAQUE or (ignore_blank_alpha and most == 0):
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
