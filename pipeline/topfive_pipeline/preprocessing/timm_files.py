"""Reads timm's `config.json`, or the `pretrained_cfg` in it, as timm's evaluation would use it.

Sources, of timm 1.0.31: `timm.data.config.resolve_data_config` for the defaults,
`timm.data.transforms_factory.transforms_imagenet_eval` for what the fields mean, `timm.models._hub._parse_model_cfg`
for where they stand.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.choices import Choice, Choices
from topfive_pipeline.preprocessing.fields import Fields, shown
from topfive_pipeline.preprocessing.presets import IMAGENET_MEAN, IMAGENET_STD
from topfive_pipeline.preprocessing.rules import Size

_INTERPOLATIONS: Final = ("bicubic", "bilinear", "nearest")
_MARKS: Final = frozenset({"crop_pct", "input_size", "first_conv", "test_input_size"})
"""Keys of a `pretrained_cfg` that no file of another framework has."""


def is_timm(content: Mapping[str, Any]) -> bool:
    """Whether a file with this content is timm's."""
    return isinstance(content.get("pretrained_cfg"), Mapping) or (
        bool(_MARKS & content.keys()) and "image_mean" not in content
    )


def read(content: Mapping[str, Any], *, path: Path, crop: Size | None, said: Collection[str]) -> Choices:
    """What `content`, of the file at `path`, says; see `files.read`.

    Of its two sizes, that of training and `test_input_size`, it is the second only if `crop` is that: timm too takes
    the first unless it is asked (`use_test_size`).
    """
    fields = Fields(pretrained_of(content), path)
    channels, size, fraction = _sizes(fields, crop)
    found: dict[str, Any] = {"antialias": True, "crop_rounding": "half-even", "fill": 0, "crop": size}
    if channels == 3:
        found["colour"] = "rgb"
    elif channels == 1:
        found["colour"] = "grey"
    if "resize" not in said:
        found |= _resizing(fields, size, fraction)
    if "interpolation" not in said:
        found["interpolation"] = _interpolation(fields)
    for field, default in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
        if field not in said:
            found[field] = fields.numbers(field, default)
    found["scale"] = 1 / 255
    return {field: Choice(value, "read", f"{path.name} (timm)") for field, value in found.items()}


def pretrained_of(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The `pretrained_cfg` of a file, with what the arguments of its network change."""
    inner = content.get("pretrained_cfg")
    return {**inner, **_of_model(content)} if isinstance(inner, Mapping) else content


def _of_model(content: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that the network was made with, where they change what `pretrained_cfg` says."""
    inner, given = content["pretrained_cfg"], content.get("model_args")
    if not isinstance(given, Mapping):
        return {}
    size = inner.get("input_size") or (3, 224, 224)
    if given.get("img_size") is not None and inner.get("fixed_input_size"):
        side = given["img_size"]
        size = [size[0], *(side if isinstance(side, list) else [side, side])]
    if given.get("in_chans") is not None:
        size = [given["in_chans"], *size[1:]]
    return {"input_size": list(size)}


def _sizes(fields: Fields, crop: Size | None) -> tuple[int, Size, float]:
    """Channels, height and width of the input, and the fraction of the picture's sides that is looked at."""
    channels, *size = fields.whole_numbers("input_size", (3, 224, 224), count=3)
    fraction = fields.number("crop_pct", 0.875)
    if fields.get("test_input_size") is not None:
        test = fields.whole_numbers("test_input_size", (), count=3)[1:]
        if crop == tuple(test) and crop != tuple(size):
            size, fraction = list(test), fields.number("test_crop_pct", fraction)
    if not 0 < fraction <= 1.5:
        raise ConfigurationError(f"{fields.path}: crop_pct is {fraction:g}, which is no fraction of a side; correct it")
    return channels, (size[0], size[1]), fraction


def _resizing(fields: Fields, size: Size, fraction: float) -> dict[str, Any]:
    height, width = (math.floor(side / fraction) for side in size)
    mode = fields.get("crop_mode") or "center"
    if mode == "squash":
        return {"resize": "squash", "resize_to": (height, width)}
    if mode == "border":
        mean = sum(colours := fields.numbers("mean", IMAGENET_MEAN)) / len(colours)
        raise ConfigurationError(
            f"{fields.path}: crop_mode 'border' pads with the mean colour, which cannot be done here; for the nearest "
            f"to it, say --resize letterbox:{round(255 * mean)}"
        )
    if mode != "center":
        raise ConfigurationError(
            f"{fields.path}: crop_mode {shown(mode)} is not known; center and squash are; say it with --resize"
        )
    if height != width:
        raise ConfigurationError(
            f"{fields.path}: an input of {size[0]}x{size[1]} is cropped from images that cover it, which cannot be "
            f"done here; say --resize squash:{height}x{width}, or letterbox, if the network was trained so"
        )
    return {"resize": "short-side", "short_side": height}


def _interpolation(fields: Fields) -> str:
    name = fields.get("interpolation") or "bicubic"
    if name not in _INTERPOLATIONS:
        raise ConfigurationError(
            f"{fields.path}: interpolation {shown(name)} cannot be done here; say --interpolation bicubic, the nearest "
            "to it, and check it on photos"
        )
    return str(name)
