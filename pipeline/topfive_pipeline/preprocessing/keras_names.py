"""Keras by name: an application (`keras:ResNet50`), its module (`keras:resnet50`), or a mode (`keras:caffe`).

An application has a mode of `preprocess_input`, and a usual input.

Source: `keras.applications` of Keras 3, each module's `preprocess_input` and the default of `input_shape`. How images
are resized is not said there; see `presets.KERAS_MODES`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.choices import Choice, Choices
from topfive_pipeline.preprocessing.presets import KERAS_MODES
from topfive_pipeline.preprocessing.rules import Size

_PREFIX: Final = "keras:"
_SIZE: Final = (224, 224)
"""The usual input of most applications."""
APPLICATIONS: Final[Mapping[str, tuple[str, int]]] = {
    **dict.fromkeys(("VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152"), ("caffe", 224)),
    **dict.fromkeys(("ResNet50V2", "ResNet101V2", "ResNet152V2", "MobileNet", "MobileNetV2"), ("tf", 224)),
    **dict.fromkeys(("Xception", "InceptionV3", "InceptionResNetV2"), ("tf", 299)),
    "NASNetMobile": ("tf", 224),
    "NASNetLarge": ("tf", 331),
    **dict.fromkeys(("DenseNet121", "DenseNet169", "DenseNet201"), ("torch", 224)),
    **dict.fromkeys(("MobileNetV3Small", "MobileNetV3Large"), ("raw", 224)),
    **{f"ConvNeXt{size}": ("raw", 224) for size in ("Tiny", "Small", "Base", "Large", "XLarge")},
    **{f"EfficientNetB{n}": ("raw", side) for n, side in enumerate((224, 240, 260, 300, 380, 456, 528, 600))},
    **{f"EfficientNetV2B{n}": ("raw", side) for n, side in enumerate((224, 240, 260, 300))},
    **{f"EfficientNetV2{size}": ("raw", side) for size, side in (("S", 384), ("M", 480), ("L", 480))},
}
"""The mode, and the height and width of the input unless `input_shape` says another."""
_MODULES: Final[Mapping[str, str]] = {
    "resnet": "caffe",
    "resnetv2": "tf",
    "nasnet": "tf",
    "densenet": "torch",
    **dict.fromkeys(("mobilenetv3", "convnext", "efficientnet", "efficientnetv2"), "raw"),
}
"""The mode of those modules of `keras.applications` whose name is no application's too."""


def is_keras(name: str) -> bool:
    """Whether `name` is meant for this module."""
    return name.lower().startswith(_PREFIX)


def read(name: str, *, crop: Size | None) -> Choices:
    """What Keras does for the application, module or mode that `name` names; the usual input, unless it is `crop`.

    Raises `ConfigurationError` for a name that is not known.
    """
    asked = name[len(_PREFIX) :].strip()
    plain = asked.lower().replace("_", "")
    known = {application.lower(): application for application in APPLICATIONS}
    application = known.get(plain)
    if application is None and (mode := plain if plain in KERAS_MODES else _MODULES.get(plain)):
        return _choices(mode, crop or _SIZE, where=f"keras:{asked}, mode {mode}")
    if application is None:
        near = difflib.get_close_matches(asked.lower(), known, n=3, cutoff=0.5)
        did = f"did you mean {', '.join(known[one] for one in near)}?" if near else "ResNet50 is one, for example"
        modes = ", ".join(KERAS_MODES)
        raise ConfigurationError(f"--from {name}: Keras has no application and no mode ({modes}) of this name; {did}")
    mode, side = APPLICATIONS[application]
    where = f"keras:{application}, mode {mode}" if mode != "raw" else f"keras:{application}, which normalises inside"
    return _choices(mode, crop or (side, side), where=where)


def _choices(mode: str, crop: Size, *, where: str) -> Choices:
    fields = {**KERAS_MODES[mode], "crop": crop}
    return {field: Choice(value, "read", where) for field, value in fields.items()}
