"""Keras' applications by name, `keras:ResNet50`: which mode of `preprocess_input` each uses, and its usual input.

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


def is_keras(name: str) -> bool:
    """Whether `name` is meant for this module."""
    return name.lower().startswith(_PREFIX)


def read(name: str, *, crop: Size | None) -> Choices:
    """What Keras does for the application that `name` names; its usual input, unless the network's is `crop`.

    Raises `ConfigurationError` for an application that is not known.
    """
    asked = name[len(_PREFIX) :]
    known = {application.lower(): application for application in APPLICATIONS}
    application = known.get(asked.strip().lower())
    if application is None:
        near = difflib.get_close_matches(asked.lower(), known, n=3, cutoff=0.5)
        did = f"did you mean {', '.join(known[one] for one in near)}?" if near else "ResNet50 is one, for example"
        raise ConfigurationError(f"--from {name}: Keras has no application of this name; {did}")
    mode, side = APPLICATIONS[application]
    where = f"keras:{application}, mode {mode}" if mode != "raw" else f"keras:{application}, which normalises inside"
    fields = {**KERAS_MODES[mode], "crop": crop or (side, side)}
    return {field: Choice(value, "read", where) for field, value in fields.items()}
