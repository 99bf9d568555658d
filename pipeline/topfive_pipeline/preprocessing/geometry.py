"""Sizes and places in whole pixels: what an image is resized to, and where the crop lies in that.

Plain integers (and, for `letterbox`, the float64 arithmetic of Pillow), for the reference. What does not live here:
pixels (`preprocessing.reference`), and the same arithmetic as nodes of a graph (`graphs.resize`).
"""

from __future__ import annotations

from dataclasses import dataclass

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.rules import CropRounding, Preprocessing, Size


@dataclass(frozen=True, slots=True)
class Window:
    """Along one axis: the resized pixels `start` up to `stop` are seen, `before` pixels of fill come first."""

    start: int
    stop: int
    before: int


def short_side(rules: Preprocessing) -> int:
    """The `short_side` of rules that resize by it; raises `ConfigurationError` if it is missing or below 1."""
    if rules.short_side is None or rules.short_side < 1:
        raise ConfigurationError(
            f"resize short-side with the short side {rules.short_side}; say how long it is, as in short-side:256"
        )
    return rules.short_side


def resize_to(rules: Preprocessing) -> Size:
    """The `resize_to` of rules that squash; raises `ConfigurationError` if it is missing or below 1 x 1."""
    if rules.resize_to is None or min(rules.resize_to) < 1:
        raise ConfigurationError(
            f"resize squash to the size {rules.resize_to}; say the height and width to squash to, each at least 1"
        )
    return rules.resize_to


def resized_size(size: Size, rules: Preprocessing) -> Size:
    """The height and width to which an image of `size` is resized; with `letterbox` one of them may be 0.

    - `short-side`: torchvision's `Resize(int)`, int(short_side * longer / shorter).
    - `letterbox`: Pillow's `ImageOps.contain`, which rounds half to even in float64.
    """
    height, width = size
    match rules.resize:
        case "short-side":
            wanted, shorter = short_side(rules), min(size)
            return wanted * height // shorter, wanted * width // shorter
        case "squash":
            return resize_to(rules)
        case "letterbox":
            box_height, box_width = rules.crop
            if width / height > box_width / box_height:
                return round(height / width * box_width), box_width
            return box_height, round(width / height * box_height)
        case "none":
            return size


def half(length: int, rounding: CropRounding) -> int:
    """Half of `length`, rounded down, or an exact half to the even neighbour."""
    return length // 2 if rounding == "floor" else round(length / 2)


def windows(resized: Size, rules: Preprocessing) -> tuple[Window, Window]:
    """Which part of an image of the size `resized` the crop shows, and where in the crop: vertically, horizontally.

    Padding is split as `Preprocessing` says, and that of `letterbox` as Pillow's `ImageOps.pad` does, half to even.
    """
    splits: CropRounding = "half-even" if rules.resize == "letterbox" else "floor"
    placed = []
    for length, crop in zip(resized, rules.crop, strict=True):
        if length >= crop:
            start = half(length - crop, rules.crop_rounding)
            placed.append(Window(start, start + crop, 0))
        else:
            placed.append(Window(0, length, half(crop - length, splits)))
    return placed[0], placed[1]
