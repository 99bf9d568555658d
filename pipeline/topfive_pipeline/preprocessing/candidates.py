"""The customary preprocessings of a network, to be tried out one by one or shown to somebody who must choose."""

from __future__ import annotations

import math
from typing import Any, Final

from topfive_pipeline.preprocessing.choices import Choice, Choices, resolve
from topfive_pipeline.preprocessing.presets import IMAGENET_MEAN, IMAGENET_STD, PRESETS, preset
from topfive_pipeline.preprocessing.rules import Preprocessing, Size

_IMAGENET: Final = {"scale": 1 / 255, "mean": IMAGENET_MEAN, "std": IMAGENET_STD}
_IMAGENET_BGR: Final = {"colour": "bgr", "mean": IMAGENET_MEAN[::-1], "std": IMAGENET_STD[::-1]}
_MINUS_ONE_TO_ONE: Final = {"scale": 1 / 255, "mean": (0.5,), "std": (0.5,)}
_ZERO_TO_ONE: Final = {"scale": 1 / 255, "mean": (0.0,), "std": (1.0,)}
_LEVELS: Final = {"scale": 1.0, "mean": (0.0,), "std": (1.0,)}
# The mean and standard deviation of OpenAI's CLIP, in the files of the networks that were made from it.
_CLIP: Final = {
    "scale": 1 / 255,
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
}
_SQUASH: Final = {"resize": "squash", "interpolation": "bilinear"}
_CENTRE: Final = {"resize": "short-side", "interpolation": "bicubic"}
# The mean and standard deviation of MNIST, as in PyTorch's example.
_MNIST: Final = {"scale": 1 / 255, "mean": (0.1307,), "std": (0.3081,)}


def candidates(*, crop: Size, channels: int = 3) -> list[tuple[str, Preprocessing]]:
    """Names and rules of the customary preprocessings for an input of the height and width `crop`, all different.

    `channels`: 3, or 1 for grey. For a crop that is not square there are fewer: the shorter side has no rule there.
    """
    found: dict[Preprocessing, str] = {}
    for name, layer in _grey(crop) if channels == 1 else _coloured(crop):
        rules = resolve(
            [layer], network={"crop": Choice(crop, "found", "the network's input")}, channels=channels
        ).rules
        if rules is not None:
            found.setdefault(rules, name)
    return [(name, rules) for rules, name in found.items()]


def _coloured(crop: Size) -> list[tuple[str, Choices]]:
    side = min(crop)
    near = {**_CENTRE, "short_side": side}
    listed = [(name, preset(name, crop=crop)) for name in PRESETS if name not in ("keras-torch", "keras-raw")]
    listed += [
        ("squash, bicubic, ImageNet", _said(_SQUASH, _IMAGENET, interpolation="bicubic")),
        ("squash, bilinear, 0..1", _said(_SQUASH, _ZERO_TO_ONE)),
        ("squash, bilinear, 0..255", _said(_SQUASH, _LEVELS)),
        ("letterbox, bilinear, 0..1", _said(_SQUASH, _ZERO_TO_ONE, resize="letterbox")),
        ("torchvision, BGR", _said(preset("torchvision", crop=crop), _IMAGENET_BGR)),
        ("squash, bilinear, 0..1, BGR", _said(_SQUASH, _ZERO_TO_ONE, colour="bgr")),
        ("squash, bilinear, 0..255, BGR", _said(_SQUASH, _LEVELS, colour="bgr")),
    ]
    if crop[0] == crop[1]:
        listed += [
            ("centre 87.5 %, bicubic, -1..1", _said(_CENTRE, _MINUS_ONE_TO_ONE, short_side=math.floor(side / 0.875))),
            ("centre 87.5 %, bicubic, 0..1", _said(_CENTRE, _ZERO_TO_ONE, short_side=math.floor(side / 0.875))),
            ("centre 95 %, bicubic, ImageNet", _said(_CENTRE, _IMAGENET, short_side=math.floor(side / 0.95))),
            ("centre, bicubic, CLIP", _said(near, _CLIP)),
        ]
    return listed


def _grey(crop: Size) -> list[tuple[str, Choices]]:
    listed = [
        (f"{how}, bilinear, {what}", _said(_SQUASH, numbers, resize=how))
        for how in ("squash", "letterbox")
        for what, numbers in (
            ("0..1", _ZERO_TO_ONE),
            ("-1..1", _MINUS_ONE_TO_ONE),
            ("0..255", _LEVELS),
            ("MNIST", _MNIST),
            ("ImageNet's grey", {"scale": 1 / 255, "mean": (0.449,), "std": (0.226,)}),
        )
    ]
    if crop[0] == crop[1]:
        near = {**_CENTRE, "short_side": round(crop[0] * 256 / 224), "interpolation": "bilinear"}
        listed += [
            ("centre 87.5 %, bilinear, 0..1", _said(near, _ZERO_TO_ONE)),
            ("centre 87.5 %, bilinear, -1..1", _said(near, _MINUS_ONE_TO_ONE)),
        ]
    return listed


def _said(*parts: Choices | dict[str, Any], **fields: Any) -> Choices:
    said = {field: value for part in [*parts, fields] for field, value in part.items()}
    return {
        field: value if isinstance(value, Choice) else Choice(value, "assumed", "a candidate")
        for field, value in said.items()
    }
