"""Words about preprocessings: which flag says a field, which values are customary, and what looks like a mistake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from topfive_pipeline.preprocessing.rules import Preprocessing, Size

FLAGS: Final[Mapping[str, str]] = {
    "resize": "--resize",
    "short_side": "--resize",
    "resize_to": "--resize",
    "fill": "--resize",
    "interpolation": "--interpolation",
    "antialias": "--no-antialias",
    "crop": "--crop",
    "crop_rounding": "--crop-rounding",
    "colour": "--colour",
    "scale": "--scale",
    "mean": "--mean",
    "std": "--std",
}
"""The flag that says each field of `Preprocessing`."""
_CUSTOMARY: Final[Mapping[str, str]] = {
    "resize": "short-side:256 (torchvision, timm), squash (Hugging Face's ViT, Keras), letterbox or none",
    "short_side": "short-side:256 for a crop of 224",
    "interpolation": "bilinear (torchvision, Keras), bicubic (timm) or nearest",
    "crop": "224, or 48x192 for height x width: the size that the network was trained on",
}
_GREY_LEVELS: Final = 2.0
"""A mean or std above this is one of levels from 0 to 255, not of numbers from 0 to 1, nor from -1 to 1."""


def hint(field: str, known: Mapping[str, Any]) -> str:
    """The customary values of `field`, given the values of the fields that are `known`."""
    scale = known.get("scale")
    in_levels = scale is not None and scale > 0.5
    if field == "scale":
        return _scale_hint(known)
    if field == "mean":
        if in_levels:
            return "123.675,116.28,103.53 (ImageNet), or 0 for none"
        return "0.485,0.456,0.406 (ImageNet), 0.5 (for -1..1), or 0 for none"
    if field == "std":
        if in_levels:
            return "58.395,57.12,57.375 (ImageNet), or 1 for none"
        return "0.229,0.224,0.225 (ImageNet), 0.5 (for -1..1), or 1 for none"
    return _CUSTOMARY[field]


def size_text(size: Size) -> str:
    """Height and width as a flag says them: `224` for a square, else `48x192`."""
    height, width = size
    return str(height) if height == width else f"{height}x{width}"


def suspicions(rules: Preprocessing) -> tuple[str, ...]:
    """Full sentences about `rules` that are possible, but look like a mistake."""
    found = []
    largest = max(abs(number) for number in rules.mean)
    if rules.scale > 0.5 and 0 < largest <= 1 and max(rules.std) <= 1:
        found.append(
            f"The mean of {largest:g} is one of levels from 0 to 1, but a scale of {rules.scale:g} leaves them at 0 to "
            "255; is the scale 1/255?"
        )
    if rules.scale < 0.02 and max(largest, *rules.std) > _GREY_LEVELS:
        found.append(
            f"A mean or std of {max(largest, *rules.std):g} is one of levels from 0 to 255, but the scale makes 0 to "
            f"{255 * rules.scale:.3g} of them; is the scale 1?"
        )
    smaller = {
        "short-side": rules.short_side is not None and rules.short_side < min(rules.crop),
        "squash": rules.resize_to is not None and any(a < b for a, b in zip(rules.resize_to, rules.crop, strict=True)),
    }
    if smaller.get(rules.resize):
        found.append("Images are resized to less than the crop, so that each gets a border; is the crop right?")
    return tuple(found)


def _scale_hint(known: Mapping[str, Any]) -> str:
    numbers = [*known.get("mean", ()), *known.get("std", ())]
    largest = max((abs(number) for number in numbers), default=0)
    if largest > _GREY_LEVELS:
        return f"1, as {largest:g} is one of levels from 0 to 255"
    if any(0 < abs(number) < 1 for number in numbers):
        return f"1/255, as {next(number for number in numbers if 0 < abs(number) < 1):g} is one of levels from 0 to 1"
    return "1/255 for levels from 0 to 1, 1 for levels from 0 to 255"
