"""Customary preprocessings by name: `--preset torchvision`.

They say everything but the size of the network's input, which is mostly found in its graph; the size below is the one
for a graph that takes any. Where the shorter side is resized to more than the crop, it grows with the crop, as the
frameworks' own larger networks have it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.choices import Choice, Choices
from topfive_pipeline.preprocessing.rules import Size

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)
_SIZE: Final = (224, 224)

_IMAGENET: Final = {"colour": "rgb", "scale": 1 / 255, "mean": IMAGENET_MEAN, "std": IMAGENET_STD}
_ROUNDED_TO_EVEN: Final = {"antialias": True, "crop_rounding": "half-even", "fill": 0}

# `torchvision.transforms._presets.ImageClassification`: resize_size=256 is its default, 232 what the weights of the new
# recipe (IMAGENET1K_V2) use; Pillow's or its own antialiased bilinear filter; `center_crop` rounds with Python's
# `round`. Of Inception, for 299, the short side is 342: 299 * 256 / 224 = 341.7, rounded.
_TORCHVISION: Final = {**_IMAGENET, **_ROUNDED_TO_EVEN, "resize": "short-side", "interpolation": "bilinear"}
# `timm.data.transforms_factory.transforms_imagenet_eval` with the defaults of `timm.data.config`: bicubic, crop_pct
# 0.875, whose short side is floor(size / crop_pct); torchvision's transforms underneath.
_TIMM: Final = {**_TORCHVISION, "interpolation": "bicubic"}
# `transformers.ViTImageProcessor`: size {height: 224, width: 224}, resample 2 (Pillow's bilinear), mean and std 0.5.
_HF_VIT: Final = {
    "resize": "squash",
    "interpolation": "bilinear",
    "antialias": True,
    "crop_rounding": "floor",
    "fill": 0,
    "colour": "rgb",
    "scale": 1 / 255,
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
}
# `keras.applications.imagenet_utils.preprocess_input` normalises; its modes are below. It does not resize. In training
# `keras.utils.image_dataset_from_directory` and `keras.layers.Resizing` do that: squashed, `tf.image.resize` bilinear
# without antialias. (`keras.utils.load_img(target_size=...)`, of the examples for one image, takes the nearest pixel:
# where a network was trained or measured with it, `--interpolation nearest` says so.)
_KERAS: Final = {
    "resize": "squash",
    "interpolation": "bilinear",
    "antialias": False,
    "crop_rounding": "floor",
    "fill": 0,
    "colour": "rgb",
}
KERAS_MODES: Final[Mapping[str, Mapping[str, Any]]] = {
    # x / 127.5 - 1
    "tf": {**_KERAS, "scale": 1 / 127.5, "mean": (1.0,), "std": (1.0,)},
    # x / 255, then ImageNet's mean and std
    "torch": {**_KERAS, **_IMAGENET},
    # RGB to BGR, then the mean of each channel of ImageNet is subtracted; no scaling
    "caffe": {**_KERAS, "colour": "bgr", "scale": 1.0, "mean": (103.939, 116.779, 123.68), "std": (1.0,)},
    # networks that normalise in their first layers (EfficientNet, MobileNetV3, ConvNeXt), so that it does nothing
    "raw": {**_KERAS, "scale": 1.0, "mean": (0.0,), "std": (1.0,)},
}
"""What each mode of Keras' `preprocess_input` means, with the resizing of Keras' data sets; `raw`: the mode of none."""

_PRESETS: Final[Mapping[str, tuple[Mapping[str, Any], Callable[[int], int] | None]]] = {
    "torchvision": (_TORCHVISION, lambda size: round(size * 256 / 224)),
    "torchvision-v2": (_TORCHVISION, lambda size: round(size * 232 / 224)),
    "timm": (_TIMM, lambda size: math.floor(size / 0.875)),
    "hf-vit": (_HF_VIT, None),
    "keras-tf": (KERAS_MODES["tf"], None),
    "keras-caffe": (KERAS_MODES["caffe"], None),
    "keras-torch": (KERAS_MODES["torch"], None),
    "keras-raw": (KERAS_MODES["raw"], None),
}
"""The fields of each preset, and the short side for the side of a square crop."""
PRESETS: Final = tuple(_PRESETS)
"""The names."""


def preset(name: str, *, crop: Size | None = None) -> Choices:
    """What the preset `name` says for a network whose input has the height and width `crop`; None: any, so 224x224.

    For an input that is not square, the presets that resize the shorter side do not say how: no framework has a rule
    for that. Raises `ConfigurationError` for a name that is not in `PRESETS`.
    """
    if name not in _PRESETS:
        raise ConfigurationError(f"--preset {name}: it is not known; say {', '.join(PRESETS[:-1])} or {PRESETS[-1]}")
    fields, short_side = _PRESETS[name]
    height, width = crop or _SIZE
    says = {**fields, "crop": (height, width)}
    if short_side is not None:
        if height == width:
            says["short_side"] = short_side(height)
        else:
            del says["resize"]
    return {field: Choice(value, "read", f"preset {name}") for field, value in says.items()}
